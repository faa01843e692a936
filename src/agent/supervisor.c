/*
 * The supervisor's side and the worker's loop. They share one page (which call is in
 * progress, which GPUs to leave out, the error counters) and two pipes: one byte down
 * asks for a collection, one frame up answers it.
 */
#include "agent/supervisor.h"

#include "agent/cycle.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "output/prom.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum { NOTES_BYTES = 64 * 1024, REASON_BYTES = 256, GIVE_UP_WAIT_MS = 200 };

/* A call about one GPU may take this part of the time-out before that GPU is given up. */
enum { STALL_SHARE = 3 };

#define NS_PER_MS UINT64_C(1000000)

struct shared {
    struct call_progress progress;
    struct error_counters errors;
};

struct worker {
    pid_t pid; /* 0: none is running */
    int ask_fd;
    int answer_fd;
};

struct supervisor {
    const struct config *config;
    supervisor_render *render;
    const void *context;
    struct shared *shared;
    struct worker worker;
};

struct frame_header {
    uint64_t body_bytes;
    uint64_t notes_bytes;
    uint64_t is_complete;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* --- both sides ------------------------------------------------------------------- */

static void append_notes(const struct snapshot *snapshot, struct buf *notes)
{
    for (size_t i = 0; i < snapshot->source_count; i++) {
        const struct source_status *source = &snapshot->sources[i];
        if (!source->is_up)
            buf_printf(notes, "%s: %s\n", source->name,
                       source->reason ? source->reason : "down");
    }
    for (size_t i = 0; i < snapshot->device_count; i++) {
        const struct device_facts *facts = snapshot->devices[i].facts;
        if (facts->fault)
            buf_printf(notes, "GPU %s: %s\n", snapshot->devices[i].label, facts->fault);
    }
}

static int render_snapshot(const struct supervisor *supervisor,
                           const struct snapshot *snapshot, struct collection *out,
                           struct err *err)
{
    buf_reset(&out->body);
    buf_reset(&out->notes);
    append_notes(snapshot, &out->notes);
    out->is_complete = snapshot_is_complete(snapshot);
    if (supervisor->render(snapshot, supervisor->context, &out->body) != 0 ||
        buf_is_full(&out->body))
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory for the output");
    return 0;
}

/* --- the worker ------------------------------------------------------------------- */

static int send_frame(int fd, const struct collection *collection)
{
    struct frame_header header = {
        .body_bytes = collection->body.len,
        .notes_bytes = collection->notes.len,
        .is_complete = collection->is_complete,
    };
    int rc = fdio_write_all(fd, (struct str){(const char *)&header, sizeof header});
    if (rc == 0)
        rc = fdio_write_all(fd, buf_str(&collection->body));
    if (rc == 0)
        rc = fdio_write_all(fd, buf_str(&collection->notes));
    return rc;
}

/* Collects once per byte read, until the supervisor closes its end. */
static int worker_loop(const struct supervisor *supervisor, int ask_fd, int answer_fd)
{
    struct shared *shared = supervisor->shared;
    struct cycle *cycle =
        cycle_new(supervisor->config, &shared->errors, &shared->progress);
    struct collection collection = {.body = BUF_INIT(PROM_PAGE_BYTES),
                                    .notes = BUF_INIT(NOTES_BYTES)};
    int rc = cycle ? 0 : -ENOMEM;
    char ask;
    while (rc == 0 && read(ask_fd, &ask, 1) == 1) {
        const struct snapshot *snapshot = cycle_run(cycle, NULL);
        rc =
            snapshot ? render_snapshot(supervisor, snapshot, &collection, NULL) : -ENOMEM;
        if (rc == 0)
            rc = send_frame(answer_fd, &collection);
    }
    buf_done(&collection.body);
    buf_done(&collection.notes);
    cycle_free(cycle);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Cuts the worker off from everything that somebody who waits for this program may wait
 * for: its session, its output. The driver's library may print; that is dropped too. */
static void worker_detach(pid_t supervisor_pid)
{
    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor_pid)
        _exit(EXIT_FAILURE); /* the supervisor ended before prctl took effect */
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = STDIN_FILENO; null_fd >= 0 && fd <= STDERR_FILENO; fd++)
        (void)dup2(null_fd, fd);
    if (null_fd > STDERR_FILENO)
        close(null_fd);
}

/* --- the supervisor --------------------------------------------------------------- */

struct supervisor *supervisor_new(const struct config *config, supervisor_render *render,
                                  const void *context)
{
    struct supervisor *supervisor = calloc(1, sizeof *supervisor);
    if (!supervisor)
        return NULL;
    supervisor->config = config;
    supervisor->render = render;
    supervisor->context = context;
    void *page = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        free(supervisor);
        return NULL;
    }
    supervisor->shared = page;
    return supervisor;
}

static int start_worker(struct supervisor *supervisor, struct err *err)
{
    int ask[2], answer[2];
    if (pipe2(ask, O_CLOEXEC) != 0)
        return err_errno(err, errno, "cannot make a pipe to the collecting process");
    CLEANUP(close_fdp) int ask_read = ask[0];
    CLEANUP(close_fdp) int ask_write = ask[1];
    if (pipe2(answer, O_CLOEXEC) != 0)
        return err_errno(err, errno, "cannot make a pipe to the collecting process");
    CLEANUP(close_fdp) int answer_read = answer[0];
    CLEANUP(close_fdp) int answer_write = answer[1];

    atomic_store(&supervisor->shared->progress.sequence, 0);
    pid_t supervisor_pid = getpid();
    (void)fflush(NULL); /* or the worker's exit would print it a second time */
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(err, errno, "cannot start the collecting process");
    if (pid == 0) {
        close(take_fd(&ask_write));
        close(take_fd(&answer_read));
        worker_detach(supervisor_pid);
        /* exit, not _exit: the sanitizers' leak check runs at exit */
        exit(worker_loop(supervisor, ask_read, answer_write));
    }
    supervisor->worker = (struct worker){pid, take_fd(&ask_write), take_fd(&answer_read)};
    return 0;
}

/* Waits up to TIMEOUT_MS for the worker's end, which shows as end of file on its pipe.
 * Return: its wait status, or -1 when it is still there (stuck in the kernel). */
static int await_worker_end(struct worker *worker, int timeout_ms)
{
    uint64_t deadline = now_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    char rest[4096];
    for (;;) {
        uint64_t now = now_ns();
        int wait_ms = now < deadline ? (int)((deadline - now) / NS_PER_MS) + 1 : 0;
        struct pollfd poller = {.fd = worker->answer_fd, .events = POLLIN};
        if (poll(&poller, 1, wait_ms) < 0 && errno == EINTR)
            continue;
        if (!poller.revents)
            return -1;
        if (read(worker->answer_fd, rest, sizeof rest) <= 0)
            break;
    }
    int status = 0;
    while (waitpid(worker->pid, &status, 0) < 0) {
        if (errno != EINTR)
            return 0;
    }
    return status;
}

static void forget_worker(struct worker *worker)
{
    close(worker->ask_fd);
    close(worker->answer_fd);
    *worker = (struct worker){0};
}

void supervisor_free(struct supervisor *supervisor)
{
    if (!supervisor)
        return;
    struct worker *worker = &supervisor->worker;
    if (worker->pid) {
        int limit_ms =
            (int)(supervisor->config->timeout_ns / STALL_SHARE / NS_PER_MS) + 1;
        close(worker->ask_fd);
        worker->ask_fd = -1;
        if (await_worker_end(worker, limit_ms) < 0) {
            (void)kill(worker->pid, SIGKILL);
            (void)await_worker_end(worker, GIVE_UP_WAIT_MS);
        }
        close(worker->answer_fd);
    }
    (void)munmap(supervisor->shared, sizeof *supervisor->shared);
    free(supervisor);
}

/* How waiting for a frame ended. */
enum wait_outcome { WAIT_ANSWERED, WAIT_ENDED, WAIT_STALLED, WAIT_TIMED_OUT };

/* Watches the driver call in progress: a call about one GPU may take a third of the
 * time-out, then its GPU is given up while there is time to ask the others. */
struct stall_watch {
    const struct call_progress *progress;
    uint64_t limit_ns;
    uint32_t sequence;
    uint64_t since_ns;
};

static bool watch_has_stalled(struct stall_watch *watch, uint64_t now)
{
    uint32_t sequence = atomic_load(&watch->progress->sequence);
    uint32_t device = atomic_load(&watch->progress->device);
    if (sequence != watch->sequence) {
        watch->sequence = sequence;
        watch->since_ns = now;
    }
    bool is_about_one_gpu = sequence % 2 == 1 && device != PROGRESS_NO_DEVICE;
    return is_about_one_gpu && now - watch->since_ns >= watch->limit_ns;
}

/* Reads exactly N bytes into TARGET, or notes why not. */
static enum wait_outcome read_until(const struct worker *worker, void *target, size_t n,
                                    uint64_t deadline, struct stall_watch *watch)
{
    char *at = target;
    while (n > 0) {
        uint64_t now = now_ns();
        if (now >= deadline)
            return WAIT_TIMED_OUT;
        if (watch_has_stalled(watch, now))
            return WAIT_STALLED;
        uint64_t wait_ns = deadline - now;
        if (wait_ns > watch->limit_ns / 8)
            wait_ns = watch->limit_ns / 8;
        struct pollfd poller = {.fd = worker->answer_fd, .events = POLLIN};
        int ready = poll(&poller, 1, (int)(wait_ns / NS_PER_MS) + 1);
        if (ready <= 0)
            continue;
        ssize_t got = read(worker->answer_fd, at, n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return WAIT_ENDED;
        at += got;
        n -= (size_t)got;
    }
    return WAIT_ANSWERED;
}

/* Reads N bytes into an empty buffer. A length past the buffer's bound counts as the
 * worker's failure: it can only come from a worker whose memory the driver corrupted. */
static enum wait_outcome read_into(const struct worker *worker, struct buf *buf,
                                   uint64_t n, uint64_t deadline,
                                   struct stall_watch *watch)
{
    char chunk[16 * 1024];
    buf_reset(buf);
    while (n > 0 && !buf_is_full(buf)) {
        size_t part = n < sizeof chunk ? (size_t)n : sizeof chunk;
        enum wait_outcome outcome = read_until(worker, chunk, part, deadline, watch);
        if (outcome != WAIT_ANSWERED)
            return outcome;
        buf_append(buf, (struct str){chunk, part});
        n -= part;
    }
    return buf_is_full(buf) ? WAIT_ENDED : WAIT_ANSWERED;
}

static enum wait_outcome ask_worker(struct supervisor *supervisor, uint64_t deadline,
                                    struct collection *out)
{
    const struct worker *worker = &supervisor->worker;
    struct stall_watch watch = {
        .progress = &supervisor->shared->progress,
        .limit_ns = supervisor->config->timeout_ns / STALL_SHARE,
        .since_ns = now_ns(),
    };
    struct frame_header header;
    if (fdio_write_all(worker->ask_fd, STR("c")) != 0)
        return WAIT_ENDED;
    enum wait_outcome outcome =
        read_until(worker, &header, sizeof header, deadline, &watch);
    if (outcome == WAIT_ANSWERED)
        outcome = read_into(worker, &out->body, header.body_bytes, deadline, &watch);
    if (outcome == WAIT_ANSWERED)
        outcome = read_into(worker, &out->notes, header.notes_bytes, deadline, &watch);
    if (outcome == WAIT_ANSWERED)
        out->is_complete = header.is_complete != 0;
    return outcome;
}

/* Puts into REASON how the worker failed, in words. */
static void describe_failure(const struct supervisor *supervisor,
                             enum wait_outcome outcome, int status,
                             char reason[REASON_BYTES])
{
    const struct call_progress *progress = &supervisor->shared->progress;
    const char *call = atomic_load(&progress->call);
    uint32_t device = atomic_load(&progress->device);
    bool in_call = atomic_load(&progress->sequence) % 2 == 1 && call;
    uint64_t limit_ns = supervisor->config->timeout_ns;
    if (outcome == WAIT_STALLED)
        limit_ns /= STALL_SHARE;
    char where[96] = "outside any driver call";
    char what[96];
    if (in_call && device != PROGRESS_NO_DEVICE)
        (void)snprintf(where, sizeof where, "in %s of GPU %u", call, device);
    else if (in_call)
        (void)snprintf(where, sizeof where, "in %s", call);
    if (outcome != WAIT_ENDED)
        (void)snprintf(what, sizeof what, "no answer within %.1f s",
                       (double)limit_ns / 1e9);
    else if (status >= 0 && WIFSIGNALED(status))
        (void)snprintf(what, sizeof what, "the collecting process was ended by SIG%s",
                       sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status))
                                                      : "?");
    else
        (void)snprintf(what, sizeof what, "the collecting process failed");
    (void)snprintf(reason, REASON_BYTES,
                   "%s %s; the driver may be wedged: see 'dmesg | grep -i nvrm'", what,
                   where);
}

/* Gives the worker up, and marks the GPU it was busy with so that the next one leaves it
 * out. Return: true when asking again makes sense. */
static bool give_up_worker(struct supervisor *supervisor, enum wait_outcome outcome,
                           char reason[REASON_BYTES])
{
    struct call_progress *progress = &supervisor->shared->progress;
    struct worker *worker = &supervisor->worker;
    (void)kill(worker->pid, SIGKILL);
    int status = await_worker_end(worker, GIVE_UP_WAIT_MS);
    describe_failure(supervisor, outcome, status, reason);
    forget_worker(worker);

    bool has_crashed = outcome == WAIT_ENDED;
    errors_add(&supervisor->shared->errors, "nvml", has_crashed ? "crashed" : "timeout",
               1);
    uint32_t device = atomic_load(&progress->device);
    bool in_call = atomic_load(&progress->sequence) % 2 == 1;
    if (!in_call || device >= 64)
        return false;
    uint64_t bit = UINT64_C(1) << device;
    atomic_store(&progress->skip_calls[device], atomic_load(&progress->call));
    bool is_new = (atomic_fetch_or(&progress->skip_devices, bit) & bit) == 0;
    if (has_crashed)
        atomic_fetch_or(&progress->crashed_devices, bit);
    return is_new;
}

static int collect_without_driver(struct supervisor *supervisor, const char *reason,
                                  struct collection *out, struct err *err)
{
    struct shared *shared = supervisor->shared;
    struct cycle *cycle =
        cycle_new(supervisor->config, &shared->errors, &shared->progress);
    const struct snapshot *snapshot =
        cycle ? cycle_run_without_driver(cycle, reason, err) : NULL;
    int rc = snapshot ? render_snapshot(supervisor, snapshot, out, err)
                      : err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory to collect");
    cycle_free(cycle);
    return rc;
}

int supervisor_collect(struct supervisor *supervisor, struct collection *out,
                       struct err *err)
{
    /* A twentieth of the time is kept for saying that the rest did not suffice. */
    uint64_t timeout_ns = supervisor->config->timeout_ns;
    uint64_t deadline = now_ns() + timeout_ns - timeout_ns / 20;
    char reason[REASON_BYTES] = "";
    bool ask_again = true;
    while (ask_again) {
        if (!supervisor->worker.pid) {
            int rc = start_worker(supervisor, err);
            if (rc != 0)
                return rc;
        }
        enum wait_outcome outcome = ask_worker(supervisor, deadline, out);
        if (outcome == WAIT_ANSWERED)
            return 0;
        ask_again = give_up_worker(supervisor, outcome, reason) && now_ns() < deadline;
    }
    return collect_without_driver(supervisor, reason, out, err);
}
