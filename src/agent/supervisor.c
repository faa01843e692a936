/*
 * The supervisor's side: one byte down a pipe asks for a collection, one answer comes up.
 *
 * A GPU (or a process whose /proc files block) is blamed only for what was seen: a call
 * about it that took longer than its share of the time-out, or one in which the worker
 * crashed. It is asked again later, at growing distances, so that a GPU that came back is
 * found without a restart.
 */
#include "agent/supervisor.h"

#include "agent/worker.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_SECOND UINT64_C(1000000000)

enum {
    STALL_SHARE = 3,      /* a call about one GPU may take this part of the time left */
    RESERVE_SHARE = 20,   /* kept for saying that the rest did not suffice */
    MAX_ABANDONED = 4,    /* workers stuck in the kernel; then no more are started */
    MAX_GPUS = 64,        /* bits of call_progress.skip_devices */
    PIPE_BYTES = 1 << 20, /* a page of some hundred sessions goes through at once */
};

/* A GPU that was left out is asked again after this, then after twice as long, … */
#define FIRST_RETRY_NS (30 * NS_PER_SECOND)
#define LONGEST_RETRY_NS (3600 * NS_PER_SECOND)

/* After the second collection in a row without an answer, the next attempt comes after
 * this, then after twice as long, … */
#define FIRST_PAUSE_NS (10 * NS_PER_SECOND)
#define LONGEST_PAUSE_NS (60 * NS_PER_SECOND)

#define LONGEST_WAIT_NS (100 * NS_PER_MS) /* without a tick */
#define REAP_NS (250 * NS_PER_MS)         /* for the end of a worker that was killed */
#define STOP_NS (300 * NS_PER_MS)         /* for the worker's end when the program ends */

struct worker {
    pid_t pid; /* 0: none is running */
    int ask_fd;
    int answer_fd;
};

struct supervisor {
    struct worker_job job;
    uint64_t timeout_ns;
    struct worker worker;
    pid_t abandoned[MAX_ABANDONED]; /* 0: free place */
    uint64_t retry_at_ns[MAX_GPUS]; /* for GPUs that are left out */
    uint64_t retry_after_ns[MAX_GPUS];
    uint64_t retry_processes_at_ns; /* for all processes that are left out */
    unsigned unanswered;            /* collections in a row */
    uint64_t paused_until_ns;
    supervisor_tick *tick; /* NULL: nobody wants to know */
    void *tick_context;
    bool is_stopping;
};

/* How waiting for an answer ended. */
enum outcome {
    OUTCOME_ANSWERED,
    OUTCOME_FAILED,    /* the worker answered that it could not */
    OUTCOME_ENDED,     /* the worker ended */
    OUTCOME_STALLED,   /* a call about one GPU, or one process's files, took too long */
    OUTCOME_TIMED_OUT, /* all calls together, or one that is about no GPU */
    OUTCOME_STOPPED,   /* the program is about to end */
};

/* Watches the driver call in progress. */
struct watch {
    const struct call_progress *progress;
    uint64_t limit_ns;
    uint32_t sequence;
    uint64_t since_ns; /* when `sequence` was first seen */
    uint32_t device;
    uint32_t pid;
    char call[PROGRESS_CALL_BYTES];
};

struct supervisor *supervisor_new(const struct config *config,
                                  collection_renderer *render, const void *context,
                                  struct cycle_memory *memory)
{
    struct supervisor *supervisor = calloc(1, sizeof *supervisor);
    if (!supervisor)
        return NULL;
    void *page = mmap(NULL, sizeof(struct worker_shared), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        free(supervisor);
        return NULL;
    }
    supervisor->job = (struct worker_job){config, render, context, page, memory};
    supervisor->timeout_ns = config->timeout_ns;
    return supervisor;
}

void supervisor_set_tick(struct supervisor *supervisor, supervisor_tick *tick,
                         void *context)
{
    supervisor->tick = tick;
    supervisor->tick_context = context;
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

    /* Where that much is not allowed, the page takes more turns. */
    (void)fcntl(answer_write, F_SETPIPE_SZ, PIPE_BYTES);
    atomic_store(&supervisor->job.shared->progress.sequence, 0);
    pid_t self = getpid();
    (void)fflush(NULL); /* or the worker's exit would print it a second time */
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(err, errno, "cannot start the collecting process");
    if (pid == 0) /* exit, not _exit: the sanitizers look for leaks at exit */
        exit(worker_run(&supervisor->job, ask_read, answer_write, self));
    supervisor->worker = (struct worker){pid, take_fd(&ask_write), take_fd(&answer_read)};
    return 0;
}

/* Whether the program goes on. */
static bool may_go_on(struct supervisor *supervisor)
{
    if (supervisor->tick && !supervisor->tick(supervisor->tick_context))
        supervisor->is_stopping = true;
    return !supervisor->is_stopping;
}

/* Waits until DEADLINE for the worker's pipe to be at its end, as it is when the worker
 * is about to be gone. Return: whether it is; false also when the program is to end that
 * was not to when the wait began. */
static bool drain_answer(struct supervisor *supervisor, const struct worker *worker,
                         uint64_t deadline)
{
    char rest[4096];
    bool was_stopping = supervisor->is_stopping;
    for (;;) {
        uint64_t now = clock_monotonic_ns();
        uint64_t wait_ns = now < deadline ? deadline - now : 0;
        if (wait_ns > LONGEST_WAIT_NS)
            wait_ns = LONGEST_WAIT_NS;
        struct pollfd poller = {.fd = worker->answer_fd, .events = POLLIN};
        int ready = poll(&poller, 1, (int)((wait_ns + NS_PER_MS - 1) / NS_PER_MS));
        if (ready > 0 && read(worker->answer_fd, rest, sizeof rest) <= 0)
            return true;
        if (now >= deadline || (!was_stopping && !may_go_on(supervisor)))
            return false;
    }
}

/* Return: true with the wait status of PID; false when it has not ended by DEADLINE. */
static bool reap(pid_t pid, uint64_t deadline, int *status)
{
    for (;;) {
        pid_t ended = waitpid(pid, status, WNOHANG);
        if (ended == pid)
            return true;
        if (ended < 0 && errno != EINTR)
            return false;
        if (clock_monotonic_ns() >= deadline)
            return false;
        (void)nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
}

static void abandon(struct supervisor *supervisor, pid_t pid)
{
    for (size_t i = 0; i < MAX_ABANDONED; i++) {
        if (!supervisor->abandoned[i]) {
            supervisor->abandoned[i] = pid;
            return;
        }
    }
}

void *supervisor_memory(const struct supervisor *supervisor, size_t *bytes)
{
    *bytes = sizeof *supervisor->job.shared;
    return supervisor->job.shared;
}

pid_t supervisor_worker(const struct supervisor *supervisor)
{
    return supervisor->worker.pid;
}

struct error_counters *supervisor_errors(struct supervisor *supervisor)
{
    return &supervisor->job.shared->errors;
}

/* Return: how many workers are still stuck. */
static size_t reap_abandoned(struct supervisor *supervisor)
{
    size_t stuck = 0;
    int status;
    for (size_t i = 0; i < MAX_ABANDONED; i++) {
        pid_t *pid = &supervisor->abandoned[i];
        if (*pid && waitpid(*pid, &status, WNOHANG) != 0)
            *pid = 0;
        stuck += *pid != 0;
    }
    if (supervisor->job.memory)
        supervisor->job.memory->status->collectors_stuck = stuck;
    return stuck;
}

/* Closes the pipes and waits until DEADLINE; what is still there is killed and abandoned.
 * Return: true with the wait status when it ended. */
static bool end_worker(struct supervisor *supervisor, uint64_t deadline, int *status)
{
    struct worker worker = supervisor->worker;
    supervisor->worker = (struct worker){0};
    close(worker.ask_fd);
    bool is_ending = drain_answer(supervisor, &worker, deadline);
    close(worker.answer_fd);
    if (reap(worker.pid, is_ending ? deadline : 0, status))
        return true;
    (void)kill(worker.pid, SIGKILL);
    if (reap(worker.pid, clock_monotonic_ns() + REAP_NS, status))
        return true;
    abandon(supervisor, worker.pid);
    (void)reap_abandoned(supervisor); /* counts it */
    return false;
}

/* All GPUs and processes are asked again, whatever they did before. */
static void forget_left_out(struct supervisor *supervisor)
{
    struct call_progress *progress = &supervisor->job.shared->progress;
    atomic_store(&progress->skip_devices, 0);
    for (size_t i = 0; i < PROGRESS_MAX_PROCESSES; i++)
        atomic_store(&progress->skip_pids[i], 0);
    memset(supervisor->retry_after_ns, 0, sizeof supervisor->retry_after_ns);
}

void supervisor_end_worker(struct supervisor *supervisor)
{
    int status;
    uint64_t wait_ns =
        may_go_on(supervisor) ? supervisor->timeout_ns / STALL_SHARE : STOP_NS;
    if (supervisor->worker.pid)
        (void)end_worker(supervisor, clock_monotonic_ns() + wait_ns, &status);
    supervisor->unanswered = 0;
    supervisor->paused_until_ns = 0;
    forget_left_out(supervisor);
}

void supervisor_free(struct supervisor *supervisor)
{
    if (!supervisor)
        return;
    supervisor_end_worker(supervisor);
    (void)munmap(supervisor->job.shared, sizeof *supervisor->job.shared);
    free(supervisor);
}

static bool is_in_call(uint32_t sequence)
{
    return sequence % 2 == 1;
}

static void watch_look(struct watch *watch, uint64_t now)
{
    uint32_t sequence = atomic_load(&watch->progress->sequence);
    if (sequence == watch->sequence)
        return;
    watch->sequence = sequence;
    watch->since_ns = now;
    watch->device = atomic_load(&watch->progress->device);
    watch->pid = atomic_load(&watch->progress->pid);
    memcpy(watch->call, watch->progress->call, sizeof watch->call);
    watch->call[sizeof watch->call - 1] = '\0';
}

static bool watch_is_overdue(const struct watch *watch, uint64_t now)
{
    return is_in_call(watch->sequence) && now - watch->since_ns >= watch->limit_ns;
}

/* Whether what is in progress can be left out, so that the rest can be had. */
static bool watch_names_one(const struct watch *watch)
{
    return watch->device < MAX_GPUS || watch->pid != 0;
}

/* How long to wait for the worker before the next look at its progress. */
static int patience_ms(uint64_t now, uint64_t deadline, const struct watch *watch)
{
    uint64_t wait_ns = deadline - now;
    if (wait_ns > watch->limit_ns / 8)
        wait_ns = watch->limit_ns / 8;
    if (wait_ns > LONGEST_WAIT_NS)
        wait_ns = LONGEST_WAIT_NS;
    return (int)(wait_ns / NS_PER_MS) + 1;
}

/* OUTCOME_ANSWERED while there is time left. */
static enum outcome judge_delay(const struct watch *watch, uint64_t now,
                                uint64_t deadline)
{
    if (now >= deadline)
        return OUTCOME_TIMED_OUT;
    if (watch_is_overdue(watch, now) && watch_names_one(watch))
        return OUTCOME_STALLED;
    return OUTCOME_ANSWERED;
}

/* Reads exactly N bytes into TARGET, or tells why not. */
static enum outcome read_until(struct supervisor *supervisor, void *target, size_t n,
                               uint64_t deadline, struct watch *watch)
{
    int fd = supervisor->worker.answer_fd;
    char *at = target;
    while (n > 0) {
        if (!may_go_on(supervisor))
            return OUTCOME_STOPPED;
        uint64_t now = clock_monotonic_ns();
        watch_look(watch, now);
        enum outcome verdict = judge_delay(watch, now, deadline);
        /* What has come in the meantime counts, however late it is looked at. */
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        int ready =
            poll(&poller, 1,
                 verdict == OUTCOME_ANSWERED ? patience_ms(now, deadline, watch) : 0);
        if (ready <= 0 && verdict != OUTCOME_ANSWERED)
            return verdict;
        if (ready <= 0)
            continue;
        ssize_t got = read(fd, at, n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return OUTCOME_ENDED;
        at += got;
        n -= (size_t)got;
    }
    return OUTCOME_ANSWERED;
}

/* Reads N bytes into BUF. A length past the buffer's bound counts as the worker's end: it
 * can only come from a worker whose memory the driver has damaged. */
static enum outcome read_into(struct supervisor *supervisor, struct buf *buf, uint64_t n,
                              uint64_t deadline, struct watch *watch)
{
    buf_reset(buf);
    if (n == 0)
        return OUTCOME_ANSWERED;
    char *bytes = n <= buf->limit ? buf_extend(buf, (size_t)n) : NULL;
    return bytes ? read_until(supervisor, bytes, (size_t)n, deadline, watch)
                 : OUTCOME_ENDED;
}

static enum outcome ask_worker(struct supervisor *supervisor, uint64_t deadline,
                               struct watch *watch, struct collection *out)
{
    *watch = (struct watch){
        .progress = &supervisor->job.shared->progress,
        .since_ns = clock_monotonic_ns(),
        .device = PROGRESS_NO_DEVICE,
    };
    /* Of what is left: with several GPUs stuck, each attempt waits for less. */
    if (deadline > watch->since_ns)
        watch->limit_ns = (deadline - watch->since_ns) / STALL_SHARE;
    watch->sequence = atomic_load(&watch->progress->sequence);
    struct worker_answer answer;
    if (fdio_write_all(supervisor->worker.ask_fd, STR("c")) != 0)
        return OUTCOME_ENDED;
    enum outcome outcome =
        read_until(supervisor, &answer, sizeof answer, deadline, watch);
    if (outcome == OUTCOME_ANSWERED)
        outcome = read_into(supervisor, &out->body, answer.body_bytes, deadline, watch);
    if (outcome == OUTCOME_ANSWERED)
        outcome = read_into(supervisor, &out->notes, answer.notes_bytes, deadline, watch);
    if (outcome == OUTCOME_ANSWERED && answer.rc != 0)
        return OUTCOME_FAILED;
    out->is_answered = outcome == OUTCOME_ANSWERED;
    out->is_complete = out->is_answered && answer.is_complete;
    return outcome;
}

static const char driver_hint[] = "the driver may be wedged: see 'dmesg | grep -i nvrm'";

static void describe_end(const struct watch *watch, int status, struct err *err)
{
    const char *signal = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;
    char how[40];
    (void)snprintf(how, sizeof how, signal ? "SIG%s" : "exit status %.0s%d",
                   signal ? signal : "", WEXITSTATUS(status));
    if (!is_in_call(watch->sequence))
        (void)err_set(
            err, EIO, ERR_NVML, status,
            "the collecting process was ended (%s) outside any driver call: out "
            "of memory?",
            how);
    else if (watch->device < MAX_GPUS)
        (void)err_set(err, EIO, ERR_NVML, status, "%s of GPU %u crashed (%s); %s",
                      watch->call, watch->device, how, driver_hint);
    else
        (void)err_set(err, EIO, ERR_NVML, status, "%s crashed (%s); %s", watch->call, how,
                      driver_hint);
}

static void describe_delay(const struct supervisor *supervisor, const struct watch *watch,
                           struct err *err)
{
    double took = (double)(clock_monotonic_ns() - watch->since_ns) / 1e9;
    if (!watch_is_overdue(watch, clock_monotonic_ns()))
        (void)err_set(err, ETIMEDOUT, ERR_NVML, 0,
                      "the driver's calls together took longer than %.1f s; raise "
                      "--timeout",
                      (double)supervisor->timeout_ns / 1e9);
    else if (watch->pid)
        (void)err_set(err, ETIMEDOUT, ERR_ERRNO, 0,
                      "%s of process %u did not return within %.1f s; its state in 'ps' "
                      "may say what it waits for",
                      watch->call, watch->pid, took);
    else if (watch->device < MAX_GPUS)
        (void)err_set(err, ETIMEDOUT, ERR_NVML, 0,
                      "%s of GPU %u did not return within %.1f s; %s", watch->call,
                      watch->device, took, driver_hint);
    else
        (void)err_set(err, ETIMEDOUT, ERR_NVML, 0, "%s did not return within %.1f s; %s",
                      watch->call, took, driver_hint);
}

/* Leaves the GPU out of the next collections, for a time that doubles. */
static void leave_out_gpu(struct supervisor *supervisor, const struct watch *watch,
                          bool has_crashed)
{
    struct call_progress *progress = &supervisor->job.shared->progress;
    uint32_t gpu = watch->device;
    uint64_t bit = UINT64_C(1) << gpu;
    uint64_t *after = &supervisor->retry_after_ns[gpu];
    *after = *after ? *after * 2 : FIRST_RETRY_NS;
    if (*after > LONGEST_RETRY_NS)
        *after = LONGEST_RETRY_NS;
    supervisor->retry_at_ns[gpu] = clock_monotonic_ns() + *after;
    memcpy(progress->skip_calls[gpu], watch->call, sizeof watch->call);
    atomic_fetch_or(&progress->skip_devices, bit);
    if (has_crashed)
        atomic_fetch_or(&progress->crashed_devices, bit);
    else
        atomic_fetch_and(&progress->crashed_devices, ~bit);
}

static void leave_out_process(struct supervisor *supervisor, uint32_t pid)
{
    struct call_progress *progress = &supervisor->job.shared->progress;
    supervisor->retry_processes_at_ns = clock_monotonic_ns() + FIRST_RETRY_NS;
    for (size_t i = 0; i < PROGRESS_MAX_PROCESSES; i++) {
        uint32_t free_place = 0;
        if (atomic_compare_exchange_strong(&progress->skip_pids[i], &free_place, pid))
            return;
    }
}

static void retry_left_out(struct supervisor *supervisor)
{
    struct call_progress *progress = &supervisor->job.shared->progress;
    uint64_t now = clock_monotonic_ns();
    for (uint32_t gpu = 0; gpu < MAX_GPUS; gpu++) {
        if (progress_is_left_out(progress, gpu) && now >= supervisor->retry_at_ns[gpu])
            atomic_fetch_and(&progress->skip_devices, ~(UINT64_C(1) << gpu));
    }
    for (size_t i = 0; now >= supervisor->retry_processes_at_ns; i++) {
        if (i == PROGRESS_MAX_PROCESSES)
            break;
        atomic_store(&progress->skip_pids[i], 0);
    }
}

/* A GPU that was asked and answered begins anew with the shortest distance. */
static void forgive_gpus(struct supervisor *supervisor)
{
    const struct call_progress *progress = &supervisor->job.shared->progress;
    for (uint32_t gpu = 0; gpu < MAX_GPUS; gpu++) {
        if (!progress_is_left_out(progress, gpu))
            supervisor->retry_after_ns[gpu] = 0;
    }
}

static void count_restart(struct supervisor *supervisor, bool has_crashed)
{
    struct cycle_memory *memory = supervisor->job.memory;
    if (memory && has_crashed)
        memory->status->collector_restarts_crashed++;
    else if (memory)
        memory->status->collector_restarts_timeout++;
}

/* The source that is told of in the counters. A process that ended outside any call was
 * killed by somebody, or by the kernel for want of memory. */
static const char *culprit(const struct supervisor *supervisor, const struct watch *watch,
                           bool has_ended)
{
    if (has_ended && !is_in_call(watch->sequence))
        return "collector";
    return watch->pid ? "procfs" : config_driver_name(supervisor->job.config);
}

/* Gives the worker up; ERR says why. Return: true when a GPU was found to leave out, so
 * that asking again makes sense. */
static bool give_up_worker(struct supervisor *supervisor, enum outcome outcome,
                           struct watch *watch, struct err *err)
{
    int status = 0;
    uint64_t deadline = clock_monotonic_ns();
    bool has_ended = outcome == OUTCOME_ENDED;
    if (has_ended) {
        watch_look(watch, deadline);
        deadline += REAP_NS;
    } else {
        if (outcome != OUTCOME_STOPPED)
            describe_delay(supervisor, watch, err);
        (void)kill(supervisor->worker.pid, SIGKILL);
    }
    (void)end_worker(supervisor, deadline, &status);
    if (outcome == OUTCOME_STOPPED)
        return false;
    if (has_ended)
        describe_end(watch, status, err);
    count_restart(supervisor, has_ended);
    errors_add(&supervisor->job.shared->errors, culprit(supervisor, watch, has_ended),
               has_ended ? "crashed" : "timeout", 1);
    bool is_to_blame = has_ended ? is_in_call(watch->sequence)
                                 : watch_is_overdue(watch, clock_monotonic_ns());
    if (!is_to_blame || !watch_names_one(watch))
        return false;
    if (watch->pid)
        leave_out_process(supervisor, watch->pid);
    else
        leave_out_gpu(supervisor, watch, has_ended);
    return true;
}

static int collect_without_driver(struct supervisor *supervisor, const char *reason,
                                  struct collection *out, struct err *err)
{
    const struct worker_job *job = &supervisor->job;
    const struct cycle_shared shared = worker_cycle_shared(job);
    struct cycle *cycle = cycle_new(job->config, &shared);
    const struct snapshot *snapshot =
        cycle ? cycle_run_without_driver(cycle, reason, err) : NULL;
    int rc = snapshot ? collection_render(out, snapshot, job->render, job->context, err)
                      : err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory to collect");
    cycle_free(cycle);
    out->is_answered = false;
    return rc;
}

/* Notes that a collection was (not) answered. What keeps failing is tried less often:
 * each attempt costs a process and may wedge the driver further. */
static void note_answer(struct supervisor *supervisor, bool is_answered)
{
    supervisor->unanswered = is_answered ? 0 : supervisor->unanswered + 1;
    if (supervisor->unanswered < 2)
        return;
    uint64_t pause_ns = FIRST_PAUSE_NS;
    for (unsigned i = 2; i < supervisor->unanswered && pause_ns < LONGEST_PAUSE_NS; i++)
        pause_ns *= 2;
    supervisor->paused_until_ns =
        clock_monotonic_ns() +
        (pause_ns < LONGEST_PAUSE_NS ? pause_ns : LONGEST_PAUSE_NS);
}

static int ensure_worker(struct supervisor *supervisor, struct err *err)
{
    size_t stuck = reap_abandoned(supervisor);
    if (supervisor->worker.pid)
        return 0;
    if (stuck == MAX_ABANDONED)
        return err_set(err, EAGAIN, ERR_NVML, 0,
                       "%d collecting processes are stuck in the driver and cannot be "
                       "ended; none more is started until one returns; %s",
                       MAX_ABANDONED, driver_hint);
    return start_worker(supervisor, err);
}

/* Asks workers until one answers; REASON says why none did. Return: whether one has. */
static bool ask_workers(struct supervisor *supervisor, struct collection *out,
                        struct err *reason)
{
    uint64_t deadline = clock_monotonic_ns() + supervisor->timeout_ns -
                        supervisor->timeout_ns / RESERVE_SHARE;
    bool may_restart = true; /* once, after an end that no driver call explains */
    while (clock_monotonic_ns() < deadline && ensure_worker(supervisor, reason) == 0) {
        struct watch watch;
        enum outcome outcome = ask_worker(supervisor, deadline, &watch, out);
        if (outcome == OUTCOME_ANSWERED)
            return true;
        if (outcome == OUTCOME_FAILED) {
            (void)err_set(reason, ENOMEM, ERR_ERRNO, ENOMEM, "%.*s", (int)out->body.len,
                          out->body.p ? out->body.p : "");
            break;
        }
        bool ask_again = give_up_worker(supervisor, outcome, &watch, reason);
        if (outcome == OUTCOME_ENDED && !is_in_call(watch.sequence)) {
            ask_again = may_restart;
            may_restart = false;
        }
        if (!ask_again)
            break;
    }
    return false;
}

int supervisor_collect(struct supervisor *supervisor, struct collection *out,
                       struct err *err)
{
    struct err reason = {0}; /* of the newest attempt that failed */
    uint64_t now = clock_monotonic_ns();
    retry_left_out(supervisor);
    atomic_store(&supervisor->job.shared->progress.began_ns, now);
    if (now < supervisor->paused_until_ns) {
        (void)err_set(&reason, EAGAIN, ERR_NVML, 0,
                      "%u collections in a row had no answer; the next attempt comes in "
                      "%.0f s; %s",
                      supervisor->unanswered,
                      (double)(supervisor->paused_until_ns - now) / 1e9, driver_hint);
    } else {
        bool is_answered = ask_workers(supervisor, out, &reason);
        note_answer(supervisor, is_answered);
        if (is_answered) {
            forgive_gpus(supervisor);
            if (reason.message[0])
                buf_printf(&out->notes, "%s\n", reason.message);
            return 0;
        }
    }
    return collect_without_driver(supervisor, reason.message, out, err);
}

int supervisor_collect_without_driver(struct supervisor *supervisor, const char *reason,
                                      struct collection *out, struct err *err)
{
    atomic_store(&supervisor->job.shared->progress.began_ns, clock_monotonic_ns());
    return collect_without_driver(supervisor, reason, out, err);
}
