/*
 * Looks processes up in /proc and remembers them by (pid, start time).
 *
 * A new process is read in full through one descriptor of its directory, with the start
 * time read first and confirmed last: what was read in between belongs to that process
 * and no other. Then the process is watched (process_watch.h), so that one call tells
 * which of all known ones have ended. Where processes cannot be watched, the descriptor
 * is kept: it stands for that process, so as long as a file below it can be named the
 * process lives, whatever becomes of its pid. That one call is then all that a steady
 * collection costs per process, but for a look at its name once a minute: it may have
 * become another program (exec). Other processes of the host cost nothing.
 */
#include "source/identity.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "source/identity/pod_resolver.h"
#include "source/identity/proc_clock.h"
#include "source/identity/proc_command.h"
#include "source/identity/proc_file.h"
#include "source/identity/proc_status.h"
#include "source/identity/process_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    SOURCE_ARENA_BYTES = 128 * 1024 * 1024, /* an entry of the cache has about 1 KiB */
    HEAD_BYTES = 4096, /* of status and cmdline: uid and argv[0] stand at the front */
    UPTIME_BYTES = 64,
    PID_PATH_BYTES = 24,
    READ_ATTEMPTS = 2,
    CHECK_SECONDS = 60, /* between looks at what program a process is that is held */
};

/* Distinct processes of the last collection. */
struct identity_tally {
    size_t asked;
    size_t invisible;
    size_t denied;
    size_t unread; /* for want of descriptors, or malformed */
    size_t in_pods;
};

struct identity_source {
    struct arena *arena; /* owns this struct and the entries of the cache */
    const char *procfs_path;
    const char *podlogs_path;
    int procfs;
    int watch; /* of the entries' processes; -1 where they cannot be watched */
    uint64_t boot_time_seconds;
    uint64_t round; /* counts the collections; 0 is before the first */
    struct error_counters *errors;
    struct call_progress *progress;
    int max_held;
    struct podlogs *podlogs;
    struct passwd_file *passwd;
    struct pod_resolver resolver;
    struct process_cache cache;
    struct identity_tally tally;
    int unread_rc; /* of the last process that counts as unread: -EMFILE … */
};

static int open_procfs(struct identity_source *source, struct err *err)
{
    const char *path = source->procfs_path;
    source->procfs = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (source->procfs < 0) {
        int code = errno;
        return err_wrap(err, err_errno(err, code, "open %s", path),
                        "cannot read processes; mount the host's /proc there or name it "
                        "with --path.procfs");
    }
    int rc = proc_boot_time_read(source->procfs, &source->boot_time_seconds);
    if (rc == -EBADMSG)
        return err_set(
            err, EBADMSG, ERR_PARSE, 0,
            "%s/stat has no boot time: not a proc file system; name the host's "
            "with --path.procfs",
            path);
    if (rc < 0)
        return err_wrap(err, err_errno(err, -rc, "read %s/stat", path),
                        "not a readable proc file system; name the host's with "
                        "--path.procfs");
    return 0;
}

static int allocate(struct identity_source *source, const struct identity_config *config)
{
    source->procfs = source->watch = -1;
    source->errors = config->errors;
    source->progress = config->progress;
    source->max_held = config->max_held;
    source->cache.arena = source->arena;
    source->procfs_path = arena_copy(source->arena, str_from(config->procfs));
    source->podlogs_path = arena_copy(source->arena, str_from(config->podlogs));
    source->passwd = passwd_new(config->rootfs);
    source->resolver.errors = config->errors;
    source->resolver.scratch = arena_alloc(source->arena, POD_RESOLVER_SCRATCH_BYTES, 1);
    if (!source->procfs_path || !source->podlogs_path || !source->passwd ||
        !source->resolver.scratch)
        return -ENOMEM;
    source->podlogs = podlogs_new(source->podlogs_path, config->errors);
    source->resolver.podlogs = source->podlogs;
    return source->podlogs ? 0 : -ENOMEM;
}

int identity_open(const struct identity_config *config, struct identity_source **out,
                  struct err *err)
{
    struct arena *arena = arena_new(SOURCE_ARENA_BYTES);
    struct identity_source *source =
        arena ? ARENA_NEW(arena, struct identity_source, 1) : NULL;
    if (!source) {
        arena_free(arena);
        return err_errno(err, ENOMEM, "processes");
    }
    source->arena = arena;
    int rc = allocate(source, config);
    if (rc < 0)
        (void)err_errno(err, -rc, "processes");
    else
        rc = open_procfs(source, err);
    if (rc < 0) {
        identity_close(source);
        return rc;
    }
    own_view_read(&source->resolver, source->procfs);
    source->watch = process_watch_open(source->procfs);
    *out = source;
    return 0;
}

void identity_close(struct identity_source *source)
{
    if (!source)
        return;
    process_cache_close(&source->cache);
    close_fdp(&source->watch);
    close_fdp(&source->procfs);
    podlogs_free(source->podlogs);
    passwd_free(source->passwd);
    arena_free(source->arena);
}

int identity_clock(struct identity_source *source, struct process_clock *clock,
                   struct err *err)
{
    char buffer[UPTIME_BYTES];
    struct str text;
    long ticks_per_second = sysconf(_SC_CLK_TCK);
    *clock = (struct process_clock){.is_known = false};
    int rc = proc_file_read_head(source->procfs, "uptime", buffer, sizeof buffer, &text);
    if (rc < 0)
        return err_errno(err, -rc, "read %s/uptime", source->procfs_path);
    uint64_t now_ticks;
    if (ticks_per_second <= 0 ||
        proc_uptime_parse(text, (uint64_t)ticks_per_second, &now_ticks) < 0)
        return err_set(err, EBADMSG, ERR_PARSE, 0, "%s/uptime is not a number of seconds",
                       source->procfs_path);
    *clock = (struct process_clock){.is_known = true,
                                    .ticks_per_second = (uint64_t)ticks_per_second,
                                    .now_ticks = now_ticks,
                                    .boot_time_seconds = source->boot_time_seconds};
    return 0;
}

static bool is_denial(int rc)
{
    return rc == -EACCES || rc == -EPERM;
}

/* Too few descriptors: what it hits says nothing about the process. */
static bool is_shortage(int rc)
{
    return rc == -EMFILE || rc == -ENFILE;
}

static void count(struct identity_source *source, const char *reason)
{
    errors_add(source->errors, "procfs", reason, 1);
}

/* For a file without which the process is still known. */
static void count_failure(struct identity_source *source, int rc)
{
    if (is_denial(rc))
        count(source, "permission_denied");
    else if (rc == -EBADMSG)
        count(source, "malformed");
}

/* Return: 0, or negative when the user could not be read. */
static int read_user(struct identity_source *source, int process,
                     struct process_entry *entry)
{
    struct process_identity *identity = &entry->identity;
    char buffer[HEAD_BYTES];
    struct str text;
    int rc = proc_file_read_head(process, "status", buffer, sizeof buffer, &text);
    if (rc == 0)
        rc = proc_status_parse_uid(text, &identity->uid);
    count_failure(source, rc);
    if (rc < 0)
        return rc;
    identity->has_uid = true;
    identity->unix_user = process_entry_text(
        entry->unix_user, sizeof entry->unix_user,
        str_from(passwd_find(source->passwd, identity->uid, source->round)));
    return 0;
}

/* argv[0] is easily set to anything; the kernel's comm, cut to 15 bytes, must agree. */
static bool is_mps_service(struct str command, struct str comm)
{
    return str_equal(comm, STR("nvidia-cuda-mps")) &&
           (str_equal(command, STR("nvidia-cuda-mps-server")) ||
            str_equal(command, STR("nvidia-cuda-mps-control")) ||
            str_equal(command, comm));
}

/* Return: 0, or negative when there is only the kernel's comm. */
static int read_command(struct identity_source *source, int process,
                        struct process_entry *entry)
{
    char buffer[HEAD_BYTES];
    struct str text = {NULL, 0};
    int rc = proc_file_read_head(process, "cmdline", buffer, sizeof buffer, &text);
    count_failure(source, rc);
    struct str comm = {entry->comm, entry->comm_bytes};
    struct str name = proc_command_parse(text, text.n == sizeof buffer, comm);
    entry->identity.command =
        process_entry_text(entry->command, sizeof entry->command, name);
    entry->identity.is_mps_service = is_mps_service(name, comm);
    return rc;
}

/* Reads what a process is known by. Return: 0, also when a file is not to be had;
 * -EMFILE, -ENFILE when it might be, another time. */
static int read_about(struct identity_source *source, int process,
                      struct process_entry *entry)
{
    int user = read_user(source, process, entry);
    int command = read_command(source, process, entry);
    int pod = pod_resolve(&source->resolver, process, source->round, entry);
    return is_shortage(user)      ? user
           : is_shortage(command) ? command
           : is_shortage(pod)     ? pod
                                  : 0;
}

/* Reads everything about the process whose directory is PROCESS into ENTRY. Return: 0,
 * -ESRCH when it ended meanwhile, other negative when the start time cannot be read. */
static int read_process(struct identity_source *source, int process,
                        const struct process_clock *clock, struct process_entry *entry)
{
    char buffer[PROC_STAT_BYTES];
    struct proc_stat stat;
    int rc = proc_stat_read(process, "stat", buffer, sizeof buffer, &stat);
    if (rc < 0)
        return rc;
    uint64_t start_ticks = stat.start_ticks;
    /* In the clock's own tick it may have started before or after the list was taken. */
    if (clock->is_known && start_ticks >= clock->now_ticks) {
        entry->identity.state = IDENTITY_REUSED;
        return 0;
    }
    entry->comm_bytes = stat.comm.n;
    memcpy(entry->comm, stat.comm.p, stat.comm.n);
    rc = read_about(source, process, entry);
    if (rc == 0)
        rc = proc_stat_read(process, "stat", buffer, sizeof buffer, &stat);
    if (rc < 0)
        return rc;
    if (stat.start_ticks != start_ticks)
        return -ESRCH;
    entry->checked_ticks = clock->now_ticks;
    entry->identity.start_ticks = start_ticks;
    entry->identity.state = IDENTITY_KNOWN;
    return 0;
}

/* Held descriptors make collections cheap; without one, stat is read again instead. */
static void keep(const struct identity_source *source, struct process_entry *entry,
                 int *directory)
{
    if (entry->identity.state != IDENTITY_KNOWN)
        return;
    CLEANUP(close_fdp)
    int pidfd = process_watch_add(source->watch, entry->identity.pid, *directory, entry);
    entry->is_watched = pidfd >= 0 && pidfd < source->max_held;
    if (entry->is_watched)
        entry->held = take_fd(&pidfd);
    else if (*directory < source->max_held)
        entry->held = take_fd(directory);
}

static int look_up_once(struct identity_source *source, const struct process_clock *clock,
                        struct process_entry *entry)
{
    char path[PID_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%" PRIu32, entry->identity.pid);
    CLEANUP(close_fdp)
    int process = openat(source->procfs, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (process < 0)
        return -errno;
    int rc = read_process(source, process, clock, entry);
    keep(source, entry, &process);
    /* The directory was there a moment ago. */
    return rc == -ENOENT ? -ESRCH : rc;
}

/* Fills ENTRY whatever happens: its state says how far it came. */
static void look_up(struct identity_source *source, const struct process_clock *clock,
                    struct process_entry *entry)
{
    int rc = -ESRCH;
    for (int i = 0; i < READ_ATTEMPTS && rc == -ESRCH; i++) {
        process_entry_clear(entry);
        rc = look_up_once(source, clock, entry);
    }
    if (rc < 0)
        process_entry_clear(entry);
    if (is_denial(rc)) {
        entry->identity.state = IDENTITY_DENIED;
        count(source, "permission_denied");
    } else if (rc == -ENOENT || rc == -ESRCH) {
        entry->identity.state = IDENTITY_INVISIBLE;
    } else if (rc < 0) {
        source->unread_rc = rc;
        count(source, rc == -EBADMSG    ? "malformed"
                      : is_shortage(rc) ? "no_descriptors"
                                        : "read_failed");
    }
}

/* Reads the stat of ENTRY's pid again. Return: 0 when it is of the same process and
 * program as ENTRY; 1 when not; negative when it could not be read. */
static int compare_stat(const struct identity_source *source,
                        const struct process_entry *entry)
{
    char path[PID_PATH_BYTES];
    char buffer[PROC_STAT_BYTES];
    struct proc_stat stat;
    (void)snprintf(path, sizeof path, "%" PRIu32 "/stat", entry->identity.pid);
    int rc = proc_stat_read(source->procfs, path, buffer, sizeof buffer, &stat);
    if (rc < 0)
        return rc;
    return stat.start_ticks != entry->identity.start_ticks ||
           !str_equal(stat.comm, (struct str){entry->comm, entry->comm_bytes});
}

/* Whether the process that ENTRY holds has become another program. What is held cannot
 * tell that, so it is asked now and then. */
static bool has_changed(const struct identity_source *source,
                        const struct process_clock *clock, struct process_entry *entry)
{
    uint64_t age = clock->now_ticks - entry->checked_ticks;
    if (!clock->is_known || age < CHECK_SECONDS * clock->ticks_per_second)
        return false;
    entry->checked_ticks = clock->now_ticks;
    return compare_stat(source, entry) == 1;
}

/* Whether ENTRY still tells about the process that has its pid now. */
static bool is_confirmed(const struct identity_source *source,
                         const struct process_clock *clock, struct process_entry *entry)
{
    if (entry->identity.state != IDENTITY_KNOWN)
        return false;
    if (entry->held < 0)
        return compare_stat(source, entry) == 0;
    /* The end of a watched one would have been told when the round began. */
    bool lives = entry->is_watched || faccessat(entry->held, "stat", F_OK, 0) == 0;
    return lives && !has_changed(source, clock, entry);
}

static struct identity_tally tally_of(const struct process_identity *identity)
{
    return (struct identity_tally){
        .asked = 1,
        .invisible = identity->state == IDENTITY_INVISIBLE,
        .denied = identity->state == IDENTITY_DENIED,
        .unread = identity->state == IDENTITY_UNKNOWN,
        .in_pods =
            identity->pod.state == POD_RESOLVED || identity->pod.state == POD_UNRESOLVED,
    };
}

static void tally_add(struct identity_tally *tally, struct identity_tally one)
{
    tally->asked += one.asked;
    tally->invisible += one.invisible;
    tally->denied += one.denied;
    tally->unread += one.unread;
    tally->in_pods += one.in_pods;
}

static void tally_subtract(struct identity_tally *tally, struct identity_tally one)
{
    tally->asked -= one.asked;
    tally->invisible -= one.invisible;
    tally->denied -= one.denied;
    tally->unread -= one.unread;
    tally->in_pods -= one.in_pods;
}

/* Reading the files of a process can block for as long as something holds its locks; what
 * has, is not tried again until the supervisor says so. */
static void look_at(struct identity_source *source, const struct process_clock *clock,
                    struct process_entry *entry)
{
    if (progress_is_process_left_out(source->progress, entry->identity.pid)) {
        process_entry_clear(entry);
        entry->identity.state = IDENTITY_DENIED;
        return;
    }
    progress_begin_process(source->progress, entry->identity.pid);
    if (is_confirmed(source, clock, entry))
        pod_resolve_again(&source->resolver, source->round, entry);
    else
        look_up(source, clock, entry);
    progress_end(source->progress);
}

/* The entry of PID, confirmed or read in this round; NULL without memory. */
static struct process_entry *identify(struct identity_source *source,
                                      const struct process_clock *clock, uint32_t pid)
{
    struct process_entry *entry = process_cache_find(&source->cache, pid);
    if (entry && entry->round == source->round)
        return entry;
    if (!entry)
        entry = process_cache_add(&source->cache, pid);
    if (!entry)
        return NULL;
    entry->round = source->round;
    look_at(source, clock, entry);
    tally_add(&source->tally, tally_of(&entry->identity));
    return entry;
}

/* Forgets the watched processes that have ended: what has their pids is read anew. */
static void forget_ended(struct identity_source *source)
{
    enum { AT_ONCE = 64 };
    void *ended[AT_ONCE];
    size_t count;
    do {
        count = process_watch_ended(source->watch, ended, AT_ONCE);
        for (size_t i = 0; i < count; i++)
            process_entry_clear(ended[i]);
    } while (count == AT_ONCE);
}

int identity_collect(struct identity_source *source, const struct process_clock *clock,
                     const uint32_t *pids, size_t count, struct process_identity *out,
                     struct err *err)
{
    source->round++;
    source->tally = (struct identity_tally){0};
    forget_ended(source);
    for (size_t i = 0; i < count; i++) {
        const struct process_entry *entry = identify(source, clock, pids[i]);
        if (!entry)
            return err_errno(err, ENOMEM, "processes");
        out[i] = entry->identity;
    }
    process_cache_sweep(&source->cache, source->round);
    return 0;
}

int identity_collect_again(struct identity_source *source,
                           const struct process_clock *clock, const uint32_t *pids,
                           size_t count, struct process_identity *out, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct process_entry *entry = identify(source, clock, pids[i]);
        if (!entry)
            return err_errno(err, ENOMEM, "processes");
        if (entry->identity.state != IDENTITY_KNOWN) {
            tally_subtract(&source->tally, tally_of(&entry->identity));
            look_at(source, clock, entry);
            tally_add(&source->tally, tally_of(&entry->identity));
        }
        out[i] = entry->identity;
    }
    return 0;
}

static const char *unread_remedy(int rc)
{
    if (is_shortage(rc))
        return "raise the limit of open files (LimitNOFILE=, ulimit -n)";
    return rc == -EBADMSG ? "is it a proc file system?" : "see the cause";
}

/* The widest of the causes. */
static const char *procfs_reason(const struct identity_source *source,
                                 struct arena *arena)
{
    const struct identity_tally *tally = &source->tally;
    if (tally->unread > tally->invisible && tally->unread > tally->denied)
        return arena_printf(arena, "%zu of %zu processes could not be read in %s: %s; %s",
                            tally->unread, tally->asked, source->procfs_path,
                            strerrordesc_np(-source->unread_rc),
                            unread_remedy(source->unread_rc));
    if (tally->invisible >= tally->denied)
        return arena_printf(
            arena,
            "%zu of %zu processes are not in %s: run with the host's PID namespace "
            "(hostPID: true)",
            tally->invisible, tally->asked, source->procfs_path);
    return arena_printf(arena,
                        "%zu of %zu processes cannot be read in %s: mounted with "
                        "hidepid=, or a security policy forbids it",
                        tally->denied, tally->asked, source->procfs_path);
}

static struct source_status procfs_status(const struct identity_source *source,
                                          struct arena *arena)
{
    const struct identity_tally *tally = &source->tally;
    struct source_status status = {.name = "procfs", .is_up = true};
    if ((tally->invisible + tally->denied + tally->unread) * 2 > tally->asked) {
        status.is_up = false;
        status.reason = procfs_reason(source, arena);
    } else if (tally->unread > 0 && is_shortage(source->unread_rc)) {
        status.reason = /* without a number: it is logged whenever it changes */
            arena_printf(arena, "some processes could not be read in %s: %s; %s",
                         source->procfs_path, strerrordesc_np(-source->unread_rc),
                         unread_remedy(source->unread_rc));
    }
    return status;
}

static struct source_status podlogs_status(const struct identity_source *source, int rc,
                                           struct arena *arena)
{
    struct source_status status = {.name = "podlogs", .is_up = rc == 0};
    struct err err = {0};
    if (rc == 0)
        return status;
    (void)err_errno(&err, -rc, "read %s", source->podlogs_path);
    status.reason = arena_printf(
        arena, "%s: pod names are unknown; mount the host's /var/log/containers there",
        err.message);
    return status;
}

size_t identity_status(const struct identity_source *source, struct arena *arena,
                       struct source_status *out)
{
    out[0] = procfs_status(source, arena);
    int rc = podlogs_check(source->podlogs);
    if (rc == -ENOENT && source->tally.in_pods == 0)
        return 1;
    out[1] = podlogs_status(source, rc, arena);
    return 2;
}
