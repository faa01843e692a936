/*
 * The worker cuts itself off from everything that somebody who waits for this program may
 * wait for: its session, its output, inherited locks. Stuck in the kernel for ever, it
 * then holds up nobody.
 */
#include "agent/worker.h"

#include "base/cleanup.h"
#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { ASK_FD = STDERR_FILENO + 1, ANSWER_FD, FIRST_FOREIGN_FD, MAX_DESCRIPTORS = 16384 };

/* Moves the two pipes to ASK_FD and ANSWER_FD and closes every other descriptor; the
 * driver's library may print, which is dropped. Return: 0 or -errno. */
static int keep_two_descriptors(int ask_fd, int answer_fd)
{
    /* Out of the way first: either may lie where the other is to go. */
    int ask = fcntl(ask_fd, F_DUPFD_CLOEXEC, FIRST_FOREIGN_FD);
    int answer = fcntl(answer_fd, F_DUPFD_CLOEXEC, FIRST_FOREIGN_FD);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (ask < 0 || answer < 0 || null < 0)
        return -errno;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (dup2(null, fd) < 0)
            return -errno;
    }
    if (dup3(ask, ASK_FD, O_CLOEXEC) < 0 || dup3(answer, ANSWER_FD, O_CLOEXEC) < 0)
        return -errno;
    closefrom(FIRST_FOREIGN_FD);
    return 0;
}

/* A descriptor per known process is held (source/identity): the usual soft limit of 1024
 * is there for programs that use select(2). */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max < MAX_DESCRIPTORS ? limit.rlim_max : MAX_DESCRIPTORS;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int send_answer(int rc, struct str body, const struct collection *collection)
{
    struct worker_answer answer = {
        .rc = rc,
        .is_complete = rc == 0 && collection->is_complete,
        .body_bytes = body.n,
        .notes_bytes = rc == 0 ? collection->notes.len : 0,
    };
    int sent = fdio_write_all(ANSWER_FD, (struct str){(char *)&answer, sizeof answer});
    if (sent == 0)
        sent = fdio_write_all(ANSWER_FD, body);
    if (sent == 0 && rc == 0)
        sent = fdio_write_all(ANSWER_FD, buf_str(&collection->notes));
    return sent;
}

static int collect_and_answer(const struct worker_job *job, struct cycle *cycle,
                              struct collection *collection)
{
    struct err err = {.message = "no memory to collect"};
    const struct snapshot *snapshot = cycle ? cycle_run(cycle, &err) : NULL;
    int rc = snapshot ? collection_render(collection, snapshot, job->render, job->context,
                                          &err)
                      : -ENOMEM;
    struct str body = rc == 0 ? buf_str(&collection->body) : str_from(err.message);
    return send_answer(rc, body, collection);
}

/* The daemon reads its signals from a descriptor and keeps them blocked; this process,
 * and an nvidia-smi that it starts, are to end by them as others do. */
static void unblock_signals(void)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

int worker_run(const struct worker_job *job, int ask_fd, int answer_fd, pid_t supervisor)
{
    (void)setsid();
    unblock_signals();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor) /* it ended before prctl took effect */
        return EXIT_FAILURE;
    if (keep_two_descriptors(ask_fd, answer_fd) != 0)
        return EXIT_FAILURE;
    raise_descriptor_limit();

    CLEANUP(collection_done) struct collection collection = COLLECTION_INIT;
    const struct cycle_shared shared = worker_cycle_shared(job);
    struct cycle *cycle = cycle_new(job->config, &shared);
    char ask;
    int rc = 0;
    while (rc == 0 && read(ASK_FD, &ask, 1) == 1) {
        rc = collect_and_answer(job, cycle, &collection);
        if (cycle)
            cycle_let_go(cycle);
    }
    cycle_free(cycle);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
