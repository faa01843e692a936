/* Processes over several collections: known, reused, vanished, forbidden, hostile. */
#include "source/identity.h"

#include "source/identity/proc_stat.h"

#include <sys/resource.h>

#include "tree.h"

#define ID_A "65d752a38e1db784d521f48c3f1956f4f9a74ebb923377144f253f3aca9fa028"
#define UID_A "51b64565-2b17-4d46-83ac-22e398f2f7fb"

struct fixture {
    struct tree tree;
    struct error_counters errors;
    struct call_progress progress;
    int max_held;
    struct arena *arena;
    struct identity_source *source;
    struct process_clock clock;
    struct process_identity out[8];
};

static int open_source(struct fixture *f, struct err *err)
{
    char procfs[PATH_MAX + 8], podlogs[PATH_MAX + 8];
    (void)snprintf(procfs, sizeof procfs, "%s/proc", f->tree.path);
    (void)snprintf(podlogs, sizeof podlogs, "%s/logs", f->tree.path);
    const struct identity_config config = {.progress = &f->progress,
                                           .max_held = f->max_held,
                                           .procfs = procfs,
                                           .rootfs = f->tree.path,
                                           .podlogs = podlogs,
                                           .errors = &f->errors};
    return identity_open(&config, &f->source, err);
}

static int set_up_with(void **state, int max_held)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->max_held = max_held;
    f->tree = tree_make();
    f->arena = arena_new(1 << 20);
    assert_non_null(f->arena);
    tree_write_text(&f->tree, "proc/stat", "cpu 1\nbtime 1767225600\n");
    tree_write_text(&f->tree, "proc/uptime", "1000.00 0.00\n");
    tree_write_text(&f->tree, "etc/passwd", "root:x:0:0::/:\nalice:x:1000:1000::/:\n");
    assert_int_equal(open_source(f, NULL), 0);
    assert_int_equal(identity_clock(f->source, &f->clock, NULL), 0);
    *state = f;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, 1024);
}

static int set_up_without_descriptors(void **state)
{
    return set_up_with(state, 0);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    identity_close(f->source);
    arena_free(f->arena);
    tree_remove(&f->tree, "");
    free(f);
    return 0;
}

static void write_stat(struct fixture *f, uint32_t pid, const char *comm, uint64_t start)
{
    char path[64], text[256];
    (void)snprintf(path, sizeof path, "proc/%u/stat", pid);
    (void)snprintf(text, sizeof text,
                   "%u (%s) S 1 1 1 0 -1 4194560 480 0 0 0 62 51 0 0 20 0 1 0 %llu 0 0\n",
                   pid, comm, (unsigned long long)start);
    tree_write_text(&f->tree, path, text);
}

static void write_file(struct fixture *f, uint32_t pid, const char *name, struct str text)
{
    char path[64];
    (void)snprintf(path, sizeof path, "proc/%u/%s", pid, name);
    tree_write(&f->tree, path, text);
}

/* A process of user alice, outside any pod. */
static void write_process(struct fixture *f, uint32_t pid, const char *comm,
                          uint64_t start)
{
    write_stat(f, pid, comm, start);
    write_file(f, pid, "status", STR("Name:\tx\nUid:\t1000\t0\t0\t0\n"));
    write_file(f, pid, "cmdline", STR("/usr/bin/python3\0train.py\0--key=secret\0"));
    write_file(f, pid, "cgroup", STR("0::/user.slice/user-1000.slice/session-1.scope\n"));
}

static void collect(struct fixture *f, const uint32_t *pids, size_t count)
{
    assert_int_equal(identity_collect(f->source, &f->clock, pids, count, f->out, NULL),
                     0);
}

static const struct process_identity *collect_one(struct fixture *f, uint32_t pid)
{
    collect(f, &pid, 1);
    return &f->out[0];
}

static uint64_t counted(const struct fixture *f, const char *source, const char *reason)
{
    for (size_t i = 0; i < f->errors.count; i++) {
        if (strcmp(f->errors.entries[i].source, source) == 0 &&
            strcmp(f->errors.entries[i].reason, reason) == 0)
            return f->errors.entries[i].value;
    }
    return 0;
}

static void clock_of_the_tree(void **state)
{
    struct fixture *f = *state;
    struct process_clock clock;
    struct err err = {0};
    assert_true(f->clock.is_known);
    assert_int_equal(f->clock.now_ticks, 1000 * f->clock.ticks_per_second);
    assert_int_equal(f->clock.boot_time_seconds, 1767225600);
    tree_write_text(&f->tree, "proc/uptime", "soon\n");
    assert_true(identity_clock(f->source, &clock, &err) < 0);
    assert_false(clock.is_known);
    assert_non_null(strstr(err.message, "/proc/uptime is not a number"));
    tree_remove(&f->tree, "proc/uptime");
    assert_true(identity_clock(f->source, &clock, &err) < 0);
    assert_non_null(strstr(err.message, "No such file"));
}

static void refuses_what_is_no_procfs(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    identity_close(f->source);
    f->source = NULL;
    tree_write_text(&f->tree, "proc/stat", "nothing here\n");
    assert_int_equal(open_source(f, &err), -EBADMSG);
    assert_non_null(strstr(err.message, "--path.procfs"));
    tree_remove(&f->tree, "proc/stat");
    assert_int_equal(open_source(f, &err), -ENOENT);
    assert_non_null(strstr(err.message, "/proc/stat"));
    tree_remove(&f->tree, "proc");
    assert_int_equal(open_source(f, &err), -ENOENT);
    assert_non_null(strstr(err.message, "/proc"));
    assert_null(f->source);
}

static void everything_about_a_process(void **state)
{
    struct fixture *f = *state;
    write_process(f, 7, "python3", 50);
    const struct process_identity *identity = collect_one(f, 7);
    assert_int_equal(identity->state, IDENTITY_KNOWN);
    assert_int_equal(identity->pid, 7);
    assert_int_equal(identity->start_ticks, 50);
    assert_string_equal(identity->command, "python3");
    assert_true(identity->has_uid);
    assert_int_equal(identity->uid, 1000);
    assert_string_equal(identity->unix_user, "alice");
    assert_int_equal(identity->pod.state, POD_NONE);
    assert_int_equal(f->errors.count, 0);
}

/* What was learnt is not read again, what is confirmed costs one file. */
static void known_processes_are_only_confirmed(void **state)
{
    struct fixture *f = *state;
    write_process(f, 7, "python3", 50);
    const char *command = collect_one(f, 7)->command;
    tree_remove(&f->tree, "proc/7/status");
    tree_remove(&f->tree, "proc/7/cmdline");
    tree_remove(&f->tree, "proc/7/cgroup");
    tree_remove(&f->tree, "etc/passwd");
    const struct process_identity *identity = collect_one(f, 7);
    assert_int_equal(identity->state, IDENTITY_KNOWN);
    assert_ptr_equal(identity->command, command);
    assert_string_equal(identity->unix_user, "alice");
    assert_int_equal(identity->pod.state, POD_NONE);
    assert_int_equal(f->errors.count, 0);

    /* Not asked for once: forgotten. */
    collect(f, NULL, 0);
    identity = collect_one(f, 7);
    assert_int_equal(identity->state, IDENTITY_KNOWN);
    assert_false(identity->has_uid);
    assert_int_equal(identity->pod.state, POD_UNKNOWN);
}

/* Where a descriptor is held, stat is read again after a minute only. */
static void another_program_in_the_same_process(void **state)
{
    struct fixture *f = *state;
    write_process(f, 7, "sh", 50);
    write_file(f, 7, "cmdline", STR("sh\0-c\0exec python3\0"));
    assert_string_equal(collect_one(f, 7)->command, "sh");
    write_process(f, 7, "python3", 50);
    if (f->max_held) {
        f->clock.now_ticks += 59 * f->clock.ticks_per_second;
        assert_string_equal(collect_one(f, 7)->command, "sh");
        f->clock.now_ticks += f->clock.ticks_per_second;
    }
    const struct process_identity *identity = collect_one(f, 7);
    assert_string_equal(identity->command, "python3");
    assert_int_equal(identity->start_ticks, 50);
}

static void one_process_on_several_devices(void **state)
{
    struct fixture *f = *state;
    write_process(f, 7, "python3", 50);
    const uint32_t pids[] = {7, 8, 7, 8, 7};
    collect(f, pids, ARRAY_LENGTH(pids));
    for (size_t i = 0; i < ARRAY_LENGTH(pids); i++) {
        assert_int_equal(f->out[i].pid, pids[i]);
        assert_int_equal(f->out[i].state,
                         pids[i] == 7 ? IDENTITY_KNOWN : IDENTITY_INVISIBLE);
    }
}

static void second_look(void **state)
{
    struct fixture *f = *state;
    write_process(f, 7, "python3", 50);
    write_process(f, 8, "young", f->clock.now_ticks + 5);
    const uint32_t pids[] = {7, 8, 9};
    collect(f, pids, ARRAY_LENGTH(pids));
    assert_int_equal(f->out[1].state, IDENTITY_REUSED);
    assert_int_equal(f->out[2].state, IDENTITY_INVISIBLE);

    /* By the clock of the second list, 8 is old enough; 9 has not come. */
    struct process_identity again[2];
    f->clock.now_ticks += 10;
    assert_int_equal(
        identity_collect_again(f->source, &f->clock, pids + 1, 2, again, NULL), 0);
    assert_int_equal(again[0].state, IDENTITY_KNOWN);
    assert_string_equal(again[0].unix_user, "alice");
    assert_int_equal(again[1].state, IDENTITY_INVISIBLE);

    /* What the first look gave out is still good, and the count is of three processes. */
    assert_string_equal(f->out[0].command, "python3");
    struct source_status status[2];
    assert_true(identity_status(f->source, f->arena, status) >= 1);
    assert_true(status[0].is_up);
}

static void process_that_blocks_is_left_alone(void **state)
{
    struct fixture *f = *state;
    write_process(f, 7, "python3", 50);
    write_process(f, 8, "python3", 60);
    atomic_store(&f->progress.skip_pids[3], 7);
    const uint32_t pids[] = {7, 8};
    collect(f, pids, ARRAY_LENGTH(pids));
    assert_int_equal(f->out[0].state, IDENTITY_DENIED);
    assert_null(f->out[0].command);
    assert_int_equal(f->out[0].pod.state, POD_UNKNOWN);
    assert_int_equal(f->out[1].state, IDENTITY_KNOWN);
    assert_int_equal(atomic_load(&f->progress.pid), 8);
    assert_int_equal(atomic_load(&f->progress.sequence), 2);

    atomic_store(&f->progress.skip_pids[3], 0);
    assert_int_equal(collect_one(f, 7)->state, IDENTITY_KNOWN);
}

static void pid_reuse(void **state)
{
    struct fixture *f = *state;
    write_process(f, 7, "python3", 50);
    assert_int_equal(collect_one(f, 7)->start_ticks, 50);

    /* Another process with the pid, older than the driver's list: it is the one listed.
     */
    tree_remove(&f->tree, "proc/7");
    write_process(f, 7, "other", 60);
    write_file(f, 7, "status", STR("Uid:\t0\n"));
    const struct process_identity *identity = collect_one(f, 7);
    assert_int_equal(identity->state, IDENTITY_KNOWN);
    assert_int_equal(identity->start_ticks, 60);
    assert_string_equal(identity->unix_user, "root");

    /* In the very tick of the clock it may be younger than the list; before it is not. */
    tree_remove(&f->tree, "proc/7");
    write_process(f, 7, "edge", f->clock.now_ticks - 1);
    assert_int_equal(collect_one(f, 7)->state, IDENTITY_KNOWN);
    tree_remove(&f->tree, "proc/7");
    write_process(f, 7, "young", f->clock.now_ticks);
    identity = collect_one(f, 7);
    assert_int_equal(identity->state, IDENTITY_REUSED);
    assert_null(identity->command);
    assert_false(identity->has_uid);
    assert_int_equal(identity->start_ticks, 0);
    assert_int_equal(identity->pod.state, POD_UNKNOWN);

    /* At the next collection it is a process like any other. */
    f->clock.now_ticks += 100;
    assert_int_equal(collect_one(f, 7)->state, IDENTITY_KNOWN);

    /* Without a clock nothing can be called younger. */
    f->clock.is_known = false;
    tree_remove(&f->tree, "proc/7");
    write_process(f, 7, "young", f->clock.now_ticks + 1000);
    assert_int_equal(collect_one(f, 7)->state, IDENTITY_KNOWN);
}

static void vanished_and_half_there(void **state)
{
    struct fixture *f = *state;
    write_process(f, 7, "python3", 50);
    assert_int_equal(collect_one(f, 7)->state, IDENTITY_KNOWN);
    tree_remove(&f->tree, "proc/7");
    const struct process_identity *identity = collect_one(f, 7);
    assert_int_equal(identity->state, IDENTITY_INVISIBLE);
    assert_null(identity->command);

    /* The directory stands, its stat is gone: dying. */
    write_file(f, 8, "cgroup", STR("0::/\n"));
    assert_int_equal(collect_one(f, 8)->state, IDENTITY_INVISIBLE);

    write_stat(f, 9, "bare", 50);
    identity = collect_one(f, 9);
    assert_int_equal(identity->state, IDENTITY_KNOWN);
    assert_string_equal(identity->command, "bare");
    assert_false(identity->has_uid);
    assert_int_equal(identity->pod.state, POD_UNKNOWN);

    write_file(f, 10, "stat", STR("no stat at all"));
    assert_int_equal(collect_one(f, 10)->state, IDENTITY_UNKNOWN);
    assert_int_equal(counted(f, "procfs", "malformed"), 1);
}

/* Each read of the process's stat gives the next of COUNT start times. */
static int feed_stat(struct fixture *f, uint32_t pid, const uint64_t *starts,
                     size_t count)
{
    char path[64], text[PROC_STAT_BYTES];
    (void)snprintf(path, sizeof path, "proc/%u/stat", pid);
    write_process(f, pid, "x", 1);
    tree_remove(&f->tree, path);
    assert_int_equal(mkfifoat(f->tree.fd, path, 0644), 0);
    int fd = openat(f->tree.fd, path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    assert_true(fd >= 0);
    for (size_t i = 0; i < count; i++) {
        memset(text, ' ', sizeof text);
        int n =
            snprintf(text, sizeof text,
                     "%u (x) S 1 1 1 0 -1 4194560 480 0 0 0 62 51 0 0 20 0 1 0 %llu 0",
                     pid, (unsigned long long)starts[i]);
        text[n] = ' ';
        assert_int_equal(fdio_write_all(fd, (struct str){text, sizeof text}), 0);
    }
    return fd;
}

static void replaced_between_the_reads(void **state)
{
    struct fixture *f = *state;
    static const uint64_t settles[] = {50, 60, 60, 60}, restless[] = {50, 60, 70, 80};
    int fd = feed_stat(f, 7, settles, ARRAY_LENGTH(settles));
    const struct process_identity *identity = collect_one(f, 7);
    assert_int_equal(identity->state, IDENTITY_KNOWN);
    assert_int_equal(identity->start_ticks, 60);

    close(fd);
    fd = feed_stat(f, 8, restless, ARRAY_LENGTH(restless));
    identity = collect_one(f, 8);
    close(fd);
    assert_int_equal(identity->state, IDENTITY_INVISIBLE);
    assert_null(identity->command);
    assert_false(identity->has_uid);
    assert_int_equal(identity->pod.state, POD_UNKNOWN);
}

static void nameless_processes(void **state)
{
    struct fixture *f = *state;
    write_process(f, 7, "", 50);
    write_file(f, 7, "cmdline", STR(""));
    write_file(f, 7, "status", STR("Uid:\t4242\n"));
    const struct process_identity *identity = collect_one(f, 7);
    assert_int_equal(identity->state, IDENTITY_KNOWN);
    assert_null(identity->command);
    assert_int_equal(identity->uid, 4242);
    assert_null(identity->unix_user);
}

static void hostile_names(void **state)
{
    struct fixture *f = *state;
    char name[4 * 4096];
    memset(name, 'n', sizeof name);
    write_process(f, 7, "python3", 50);
    write_file(f, 7, "cmdline", (struct str){name, sizeof name});
    assert_string_equal(collect_one(f, 7)->command, "python3");

    name[4000] = '\0';
    write_process(f, 8, "python3", 50);
    write_file(f, 8, "cmdline", (struct str){name, sizeof name});
    assert_int_equal(strlen(collect_one(f, 8)->command), FACTS_COMMAND_BYTES);

    write_process(f, 9, ") S 1 (\n\"\\", 50);
    write_file(f, 9, "cmdline", STR(""));
    assert_string_equal(collect_one(f, 9)->command, ") S 1 (\n\"\\");
}

/* Permission bits do not bind root. Return: false where no other user can be had. */
static bool become_nobody(void)
{
    return geteuid() != 0 || seteuid(65534) == 0;
}

static void denied(void **state)
{
    struct fixture *f = *state;
    write_process(f, 7, "python3", 50);
    write_process(f, 8, "python3", 50);
    assert_int_equal(fchmodat(f->tree.fd, "proc/7", 0000, 0), 0);
    assert_int_equal(fchmodat(f->tree.fd, "proc/8/status", 0000, 0), 0);
    assert_int_equal(fchmodat(f->tree.fd, "proc/8/cgroup", 0000, 0), 0);
    uid_t user = geteuid();
    if (!become_nobody())
        skip();
    const uint32_t pids[] = {7, 8};
    collect(f, pids, 2);
    assert_int_equal(seteuid(user), 0);
    assert_int_equal(fchmodat(f->tree.fd, "proc/7", 0755, 0), 0);
    assert_int_equal(f->out[0].state, IDENTITY_DENIED);
    assert_int_equal(f->out[1].state, IDENTITY_KNOWN);
    assert_string_equal(f->out[1].command, "python3");
    assert_false(f->out[1].has_uid);
    assert_int_equal(f->out[1].pod.state, POD_UNKNOWN);
    assert_int_equal(counted(f, "procfs", "permission_denied"), 3);
}

static const struct source_status *status(struct fixture *f, size_t expected)
{
    static struct source_status statuses[2];
    assert_int_equal(identity_status(f->source, f->arena, statuses), expected);
    assert_string_equal(statuses[0].name, "procfs");
    return statuses;
}

static void status_of_procfs(void **state)
{
    struct fixture *f = *state;
    assert_true(status(f, 1)[0].is_up);
    write_process(f, 1, "x", 50);
    const uint32_t half[] = {1, 2};
    collect(f, half, 2);
    assert_true(status(f, 1)[0].is_up);
    assert_null(status(f, 1)[0].reason);
    const uint32_t most[] = {1, 2, 3, 3};
    collect(f, most, 4);
    const struct source_status *procfs = status(f, 1);
    assert_false(procfs->is_up);
    assert_non_null(strstr(procfs->reason, "2 of 3 processes are not in "));
    assert_non_null(strstr(procfs->reason, "hostPID: true"));
}

/* Room for COUNT descriptors more than are open. Return: the limit as it was. */
static struct rlimit leave_descriptors(rlim_t count)
{
    struct rlimit before;
    int next = dup(STDIN_FILENO);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit tight = {(rlim_t)next + count, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    return before;
}

/* A look takes two descriptors, and keeps one where it may. What could not be read is
 * told of, and read when there is room again. */
static void too_few_descriptors(void **state)
{
    struct fixture *f = *state;
    bool holds = f->max_held > 0;
    static const uint32_t pids[] = {7, 8, 9};
    const struct {
        rlim_t room;
        size_t known;
    } cases[] = {{0, 0}, {1, 0}, {2, holds ? 1 : 3}, {3, holds ? 2 : 3}, {4, 3}};
    for (size_t i = 0; i < ARRAY_LENGTH(pids); i++)
        write_process(f, pids[i], "python3", 50);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        collect(f, NULL, 0);
        uint64_t before = counted(f, "procfs", "no_descriptors");
        struct rlimit limit = leave_descriptors(cases[i].room);
        collect(f, pids, ARRAY_LENGTH(pids));
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        for (size_t j = 0; j < ARRAY_LENGTH(pids); j++) {
            bool is_known = j < cases[i].known;
            assert_int_equal(f->out[j].state,
                             is_known ? IDENTITY_KNOWN : IDENTITY_UNKNOWN);
            assert_int_equal(f->out[j].has_uid, is_known);
            assert_int_equal(f->out[j].command != NULL, is_known);
        }
        assert_int_equal(counted(f, "procfs", "no_descriptors") - before,
                         ARRAY_LENGTH(pids) - cases[i].known);
        const struct source_status *procfs = status(f, 1);
        assert_int_equal(procfs->is_up, cases[i].known >= 2);
        if (cases[i].known == ARRAY_LENGTH(pids))
            assert_null(procfs->reason);
        else
            assert_non_null(strstr(procfs->reason, "Too many open files"));
    }
}

static void status_of_malformed_procfs(void **state)
{
    struct fixture *f = *state;
    write_file(f, 7, "stat", STR("no stat at all"));
    assert_int_equal(collect_one(f, 7)->state, IDENTITY_UNKNOWN);
    const struct source_status *procfs = status(f, 1);
    assert_false(procfs->is_up);
    assert_non_null(strstr(procfs->reason, "1 of 1 processes could not be read in "));
}

static void status_of_podlogs(void **state)
{
    struct fixture *f = *state;
    write_process(f, 7, "python3", 50);
    (void)collect_one(f, 7);
    (void)status(f, 1);

    /* In a pod, without the kubelet's links. */
    write_process(f, 8, "python3", 50);
    write_file(f, 8, "cgroup", STR("0::/kubepods/pod" UID_A "/" ID_A "\n"));
    const struct process_identity *identity = collect_one(f, 8);
    assert_int_equal(identity->pod.state, POD_UNRESOLVED);
    assert_string_equal(identity->pod.uid, UID_A);
    const struct source_status *podlogs = &status(f, 2)[1];
    assert_string_equal(podlogs->name, "podlogs");
    assert_false(podlogs->is_up);
    assert_non_null(strstr(podlogs->reason, "/logs: No such file"));
    assert_int_equal(counted(f, "podlogs", "unresolved"), 1);

    /* They appear: the process known by now gets its names. */
    tree_link(&f->tree, "logs/a_ml_main-" ID_A ".log", "/l/ml_a_" UID_A "/main/0.log");
    identity = collect_one(f, 8);
    assert_int_equal(identity->pod.state, POD_RESOLVED);
    assert_string_equal(identity->pod.namespace_, "ml");
    assert_string_equal(identity->pod.name, "a");
    assert_string_equal(identity->pod.container, "main");
    assert_string_equal(identity->pod.container_id, ID_A);
    assert_string_equal(identity->pod.resolver, "podlogs");
    assert_true(status(f, 2)[1].is_up);

    /* The directory alone makes it a source, also when no process is in a pod. */
    (void)collect_one(f, 7);
    assert_true(status(f, 2)[1].is_up);
    assert_int_equal(fchmodat(f->tree.fd, "logs", 0700, 0), 0);
    uid_t user = geteuid();
    if (user != 0 || !become_nobody())
        return;
    podlogs = &status(f, 2)[1];
    assert_int_equal(seteuid(user), 0);
    assert_false(podlogs->is_up);
    assert_non_null(strstr(podlogs->reason, "Permission denied"));
}

/* The machine's own /proc: this test is a process too. */
static void real_procfs(void **state)
{
    struct fixture *f = *state;
    struct identity_source *source = NULL;
    const struct identity_config config = {.procfs = "/proc",
                                           .rootfs = "/",
                                           .podlogs = "/nowhere",
                                           .errors = &f->errors,
                                           .progress = &f->progress};
    struct process_clock clock;
    struct process_identity out;
    assert_int_equal(identity_open(&config, &source, NULL), 0);
    assert_int_equal(identity_clock(source, &clock, NULL), 0);
    uint32_t pid = (uint32_t)getpid();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(identity_collect(source, &clock, &pid, 1, &out, NULL), 0);
        assert_int_equal(out.state, IDENTITY_KNOWN);
        assert_string_equal(out.command, "test_identity");
        assert_true(out.has_uid && out.uid == getuid());
        assert_true(out.start_ticks <= clock.now_ticks);
    }
    identity_close(source);
    identity_close(NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define TEST_WITHOUT_DESCRIPTORS(function)                                               \
    cmocka_unit_test_setup_teardown(function, set_up_without_descriptors, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(clock_of_the_tree),
        TEST(refuses_what_is_no_procfs),
        TEST(everything_about_a_process),
        TEST(known_processes_are_only_confirmed),
        TEST(another_program_in_the_same_process),
        TEST_WITHOUT_DESCRIPTORS(another_program_in_the_same_process),
        TEST_WITHOUT_DESCRIPTORS(known_processes_are_only_confirmed),
        TEST_WITHOUT_DESCRIPTORS(pid_reuse),
        TEST_WITHOUT_DESCRIPTORS(vanished_and_half_there),
        TEST(one_process_on_several_devices),
        TEST(second_look),
        TEST(process_that_blocks_is_left_alone),
        TEST(pid_reuse),
        TEST(vanished_and_half_there),
        TEST(replaced_between_the_reads),
        TEST(nameless_processes),
        TEST(hostile_names),
        TEST(denied),
        TEST(status_of_procfs),
        TEST(too_few_descriptors),
        TEST_WITHOUT_DESCRIPTORS(too_few_descriptors),
        TEST(status_of_malformed_procfs),
        TEST(status_of_podlogs),
        TEST(real_procfs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
