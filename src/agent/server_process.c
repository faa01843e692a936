/*
 * One question at a time: a frame goes down, a byte comes up. The server answers within
 * moments, whatever its clients do; one that does not is wedged and is replaced.
 */
#include "agent/server_process.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "server/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_SECOND UINT64_C(1000000000)

#define ANSWER_NS (5 * NS_PER_SECOND) /* longest time for a frame and its answer */
#define STOP_NS (300 * NS_PER_MS)     /* for the server's end once its pipe is closed */
#define PING_NS (5 * NS_PER_SECOND)
#define LONGEST_WAIT_NS (100 * NS_PER_MS) /* without a tick */

/* The first restart comes at once, the next ones after this, then twice as long, …; a
 * server that lived for the longest distance starts afresh. */
#define FIRST_RESTART_NS (1 * NS_PER_SECOND)
#define LONGEST_RESTART_NS (30 * NS_PER_SECOND)

enum { PIPE_BYTES = 1 << 20 };

struct server_process {
    struct server_config config;
    pid_t pid;      /* 0: none is running */
    pid_t unreaped; /* was killed and has not ended yet; 0: none */
    int frames;
    int acks;
    const struct page *page; /* the newest, borrowed; NULL: none yet */
    uint64_t started_at_ns;
    uint64_t asked_at_ns;
    uint64_t restart_at_ns; /* while none is running */
    uint64_t restart_after_ns;
    uint64_t restarts;
    server_process_tick *tick; /* NULL: nobody wants to know */
    void *tick_context;
};

struct server_process *server_process_new(const struct server_config *config)
{
    struct server_process *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    server->config = *config;
    server->frames = -1;
    server->acks = -1;
    return server;
}

void server_process_set_tick(struct server_process *server, server_process_tick *tick,
                             void *context)
{
    server->tick = tick;
    server->tick_context = context;
}

/* Return: true when the server has ended by DEADLINE. */
static bool reap(pid_t pid, uint64_t deadline, int *status)
{
    for (;;) {
        pid_t ended = waitpid(pid, status, WNOHANG);
        if (ended == pid || (ended < 0 && errno != EINTR))
            return true;
        if (clock_monotonic_ns() >= deadline)
            return false;
        (void)nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
}

/* Closes the pipes and waits for the end, by SIGKILL where it does not come. Nothing that
 * this process does can keep it in the kernel for long. */
static int end_server(struct server_process *server)
{
    int status = 0;
    close_fdp(&server->frames);
    close_fdp(&server->acks);
    server->frames = -1;
    server->acks = -1;
    if (server->pid && !reap(server->pid, clock_monotonic_ns() + STOP_NS, &status)) {
        (void)kill(server->pid, SIGKILL);
        if (!reap(server->pid, clock_monotonic_ns() + STOP_NS, &status))
            server->unreaped = server->pid;
    }
    server->pid = 0;
    return status;
}

void server_process_free(struct server_process *server)
{
    if (!server)
        return;
    (void)end_server(server);
    free(server);
}

/* Waits until DEADLINE for EVENTS on FD. Return: 0, -EPIPE at its end, -ETIMEDOUT,
 * -ECANCELED when the program is about to end. */
static int wait_for(const struct server_process *server, int fd, short events,
                    uint64_t deadline)
{
    for (;;) {
        uint64_t now = clock_monotonic_ns();
        if (now >= deadline)
            return -ETIMEDOUT;
        if (server->tick && !server->tick(server->tick_context))
            return -ECANCELED;
        struct pollfd poller = {.fd = fd, .events = events};
        uint64_t wait_ns = deadline - now;
        if (wait_ns > LONGEST_WAIT_NS)
            wait_ns = LONGEST_WAIT_NS;
        int ready = poll(&poller, 1, (int)(wait_ns / NS_PER_MS) + 1);
        if (ready > 0)
            return poller.revents & events ? 0 : -EPIPE;
        if (ready < 0 && errno != EINTR)
            return -errno;
    }
}

static int write_until(const struct server_process *server, struct str bytes,
                       uint64_t deadline)
{
    while (bytes.n > 0) {
        ssize_t put = write(server->frames, bytes.p, bytes.n);
        if (put > 0) {
            bytes = str_part(bytes, (size_t)put, bytes.n - (size_t)put);
            continue;
        }
        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        int rc = wait_for(server, server->frames, POLLOUT, deadline);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int await_ack(const struct server_process *server, uint64_t deadline)
{
    char ack;
    int rc = wait_for(server, server->acks, POLLIN, deadline);
    if (rc < 0)
        return rc;
    ssize_t got = read(server->acks, &ack, 1);
    return got == 1 && ack == SERVER_ACK ? 0 : -EPIPE;
}

static int tell(struct server_process *server, enum frame_kind kind,
                const struct page *page)
{
    struct frame_header header;
    uint64_t deadline = clock_monotonic_ns() + ANSWER_NS;
    frame_header_set(&header, kind, page);
    int rc = write_until(server, (struct str){(char *)&header, sizeof header}, deadline);
    if (rc == 0 && page)
        rc = write_until(server, buf_str(&page->bytes), deadline);
    if (rc == 0)
        rc = await_ack(server, deadline);
    server->asked_at_ns = clock_monotonic_ns();
    return rc;
}

static int fork_server(struct server_process *server, struct err *err)
{
    int frames[2], acks[2];
    if (pipe2(frames, O_CLOEXEC) != 0)
        return err_errno(err, errno, "cannot make a pipe to the server process");
    CLEANUP(close_fdp) int frames_read = frames[0];
    CLEANUP(close_fdp) int frames_write = frames[1];
    if (pipe2(acks, O_CLOEXEC) != 0)
        return err_errno(err, errno, "cannot make a pipe to the server process");
    CLEANUP(close_fdp) int acks_read = acks[0];
    CLEANUP(close_fdp) int acks_write = acks[1];
    /* Where that much is not allowed, a page takes more turns. */
    (void)fcntl(frames_write, F_SETPIPE_SZ, PIPE_BYTES);
    if (fcntl(frames_write, F_SETFL, O_NONBLOCK) != 0)
        return err_errno(err, errno, "cannot set up the pipe to the server process");

    (void)fflush(NULL); /* or the server's exit would print it a second time */
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(err, errno, "cannot start the server process");
    if (pid == 0) /* exit, not _exit: the sanitizers look for leaks at exit */
        exit(server_run(&server->config, frames_read, acks_write));
    server->pid = pid;
    server->frames = take_fd(&frames_write);
    server->acks = take_fd(&acks_read);
    server->started_at_ns = clock_monotonic_ns();
    return 0;
}

int server_process_start(struct server_process *server, struct err *err)
{
    int rc = fork_server(server, err);
    if (rc < 0)
        return rc;
    rc = await_ack(server, clock_monotonic_ns() + ANSWER_NS);
    if (rc == 0)
        return 0;
    (void)end_server(server);
    if (rc == -ETIMEDOUT)
        return err_set(err, ETIMEDOUT, ERR_ERRNO, 0,
                       "the server process does not answer");
    if (rc == -ECANCELED)
        return err_set(err, ECANCELED, ERR_ERRNO, 0, "ended before it had begun");
    return err_set(err, EPIPE, ERR_ERRNO, 0,
                   "the server process has ended; its last message says why");
}

static void postpone_restart(struct server_process *server)
{
    uint64_t *after = &server->restart_after_ns;
    server->restart_at_ns = clock_monotonic_ns() + *after;
    *after = *after ? *after * 2 : FIRST_RESTART_NS;
    if (*after > LONGEST_RESTART_NS)
        *after = LONGEST_RESTART_NS;
}

/* Ends a server that is of no use any more; the next check starts another. */
static void give_up(struct server_process *server, int rc)
{
    char how[64];
    uint64_t now = clock_monotonic_ns();
    if (rc == -ETIMEDOUT)
        (void)kill(server->pid, SIGKILL);
    int status = end_server(server);
    if (rc == -ETIMEDOUT)
        (void)snprintf(how, sizeof how, "did not answer");
    else if (WIFSIGNALED(status))
        (void)snprintf(how, sizeof how, "was ended by SIG%s",
                       sigabbrev_np(WTERMSIG(status)));
    else
        (void)snprintf(how, sizeof how, "ended with status %d", WEXITSTATUS(status));
    if (now - server->started_at_ns >= LONGEST_RESTART_NS)
        server->restart_after_ns = 0;
    log_line(&server->config.log, LOG_ERROR,
             "the server process %s; another is started in %.0f s", how,
             (double)server->restart_after_ns / 1e9);
    postpone_restart(server);
}

static void restart(struct server_process *server)
{
    struct err err = {0};
    server->restarts++;
    if (server_process_start(server, &err) != 0) {
        log_line(&server->config.log, LOG_ERROR, "%s", err.message);
        postpone_restart(server);
        return;
    }
    if (server->page)
        server_process_show(server, server->page);
}

static void tell_or_give_up(struct server_process *server, enum frame_kind kind,
                            const struct page *page)
{
    if (!server->pid)
        return;
    int rc = tell(server, kind, page);
    if (rc < 0 && rc != -ECANCELED)
        give_up(server, rc);
}

void server_process_show(struct server_process *server, const struct page *page)
{
    server->page = page;
    tell_or_give_up(server, FRAME_PAGE, page);
}

void server_process_reload(struct server_process *server)
{
    tell_or_give_up(server, FRAME_RELOAD, NULL);
}

void server_process_check(struct server_process *server)
{
    if (server->unreaped && waitpid(server->unreaped, NULL, WNOHANG) != 0)
        server->unreaped = 0;
    uint64_t now = clock_monotonic_ns();
    struct pollfd poller = {.fd = server->acks};
    if (server->pid && poll(&poller, 1, 0) > 0)
        give_up(server, -EPIPE);
    else if (now - server->asked_at_ns >= PING_NS)
        tell_or_give_up(server, FRAME_PING, NULL);
    if (!server->pid && clock_monotonic_ns() >= server->restart_at_ns)
        restart(server);
}

int server_process_fd(const struct server_process *server)
{
    return server->acks;
}

pid_t server_process_pid(const struct server_process *server)
{
    return server->pid;
}

uint64_t server_process_restarts(const struct server_process *server)
{
    return server->restarts;
}
