/*
 * Real processes, on the real /proc: the living cost no system call, the ended are not
 * reported. (A pid that is used again cannot be brought about at will; see
 * test_process_watch.c for what keeps a new owner of a pid from being taken for the old.)
 */
#include "source/identity.h"

#include "source/identity/process_watch.h"
#include "tree.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 12 };

struct fixture {
    struct error_counters errors;
    struct call_progress progress;
    struct identity_source *source;
    struct process_clock clock;
    uint32_t pids[CHILDREN];
    struct process_identity out[CHILDREN];
};

static void start_children(struct fixture *f)
{
    for (size_t i = 0; i < CHILDREN; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* when an assertion fails */
        while (pid == 0)
            (void)pause();
        f->pids[i] = (uint32_t)pid;
    }
}

static void end_child(struct fixture *f, size_t at)
{
    pid_t pid = (pid_t)f->pids[at];
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int set_up_with(void **state, int max_held)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    const struct identity_config config = {.procfs = "/proc",
                                           .rootfs = "/",
                                           .podlogs = "/nonexistent",
                                           .max_held = max_held,
                                           .errors = &f->errors,
                                           .progress = &f->progress};
    start_children(f);
    assert_int_equal(identity_open(&config, &f->source, NULL), 0);
    assert_int_equal(identity_clock(f->source, &f->clock, NULL), 0);
    f->clock.now_ticks += 1000; /* the children are younger than a tick */
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
    for (size_t i = 0; i < CHILDREN; i++) {
        (void)kill((pid_t)f->pids[i], SIGKILL);
        (void)waitpid((pid_t)f->pids[i], NULL, 0);
    }
    identity_close(f->source);
    free(f);
    return 0;
}

static void collect(struct fixture *f)
{
    assert_int_equal(
        identity_collect(f->source, &f->clock, f->pids, CHILDREN, f->out, NULL), 0);
}

static void the_ended_are_not_reported(void **state)
{
    struct fixture *f = *state;
    collect(f);
    for (size_t i = 0; i < CHILDREN; i++) {
        assert_int_equal(f->out[i].state, IDENTITY_KNOWN);
        assert_true(f->out[i].uid == getuid());
    }
    for (size_t ended = 0; ended < CHILDREN; ended += 3) {
        end_child(f, ended);
        collect(f);
        for (size_t i = 0; i < CHILDREN; i++)
            assert_int_equal(f->out[i].state, i <= ended && i % 3 == 0
                                                  ? IDENTITY_INVISIBLE
                                                  : IDENTITY_KNOWN);
    }
}

/* From here on any system call but asking epoll and ending kills this process. */
static bool forbid_system_calls(void)
{
#ifdef SYS_epoll_wait
    const unsigned epoll_wait_number = SYS_epoll_wait;
#else
    const unsigned epoll_wait_number = SYS_epoll_pwait;
#endif
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, epoll_wait_number, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {ARRAY_LENGTH(filter), filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Collects in a child that can no longer do anything else, whose wait status this is. */
static int collect_without_system_calls(struct fixture *f)
{
    enum { CANNOT_FORBID = 77 };
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (!forbid_system_calls())
            _exit(CANNOT_FORBID);
        int rc = identity_collect(f->source, &f->clock, f->pids, CHILDREN, f->out, NULL);
        bool is_known = rc == 0 && f->out[CHILDREN - 1].state == IDENTITY_KNOWN;
        /* Not _exit(), in which a sanitizer has work of its own. */
        (void)syscall(SYS_exit_group, is_known ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_FORBID)
        skip();
    return status;
}

static void the_living_cost_no_system_call(void **state)
{
    struct fixture *f = *state;
    CLEANUP(close_fdp) int procfs = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(close_fdp) int watch = process_watch_open(procfs);
    if (watch < 0)
        skip();
    collect(f);
    int status = collect_without_system_calls(f);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
}

/* Guards the test above: where processes are not watched, the filter strikes. */
static void without_descriptors_they_are_asked(void **state)
{
    struct fixture *f = *state;
    collect(f);
    int status = collect_without_system_calls(f);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    the_ended_are_not_reported(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_ended_are_not_reported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_living_cost_no_system_call, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_descriptors_they_are_asked,
                                        set_up_without_descriptors, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
