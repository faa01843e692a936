/*
 * Start nvidia-smi, read both its outputs as they come, collect its end.
 *
 * fork and exec rather than posix_spawn: the child must ask to die with its parent
 * (PR_SET_PDEATHSIG), because the parent is a collecting process that a supervisor kills
 * when the driver hangs, and nvidia-smi would then be the thing that hangs for ever.
 */
#include "source/nvsmi/smi_run.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* The child's descriptors; REPORT closes at exec, or tells why there was none. */
enum { CHILD_INPUT, CHILD_OUTPUT, CHILD_COMPLAINT, CHILD_REPORT, CHILD_FDS };
enum { FD_OUT_OF_THE_WAY = 10, CHUNK_BYTES = 16 * 1024 };

/* What the parent reads and what the child writes, [CHILD_OUTPUT] to [CHILD_REPORT]. */
struct plumbing {
    int ours[CHILD_FDS];
    int theirs[CHILD_FDS];
};

void smi_output_done(struct smi_output *output)
{
    buf_done(&output->text);
    buf_done(&output->complaint);
}

static void plumbing_close_theirs(struct plumbing *plumbing)
{
    for (int i = 0; i < CHILD_FDS; i++) {
        close_fdp(&plumbing->theirs[i]);
        plumbing->theirs[i] = -1;
    }
}

static void plumbing_done(struct plumbing *plumbing)
{
    plumbing_close_theirs(plumbing);
    for (int i = 0; i < CHILD_FDS; i++)
        close_fdp(&plumbing->ours[i]);
}

static int plumbing_open(struct plumbing *plumbing, struct err *err)
{
    plumbing->theirs[CHILD_INPUT] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (plumbing->theirs[CHILD_INPUT] < 0)
        return err_errno(err, errno, "open /dev/null");
    for (int i = CHILD_OUTPUT; i < CHILD_FDS; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
            return err_errno(err, errno, "pipe");
        plumbing->ours[i] = ends[0];
        plumbing->theirs[i] = ends[1];
    }
    return 0;
}

/* The four descriptors move to 0–3 by way of high numbers: any of them may already lie
 * on another one's place when the caller was started with standard streams closed. */
static bool child_place_descriptors(const int fds[CHILD_FDS])
{
    int moved[CHILD_FDS];
    for (int i = 0; i < CHILD_FDS; i++) {
        moved[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FD_OUT_OF_THE_WAY);
        if (moved[i] < 0)
            return false;
    }
    for (int i = 0; i < CHILD_FDS; i++) {
        if (dup2(moved[i], i) < 0)
            return false;
    }
    closefrom(CHILD_FDS);
    return fcntl(CHILD_REPORT, F_SETFD, FD_CLOEXEC) == 0;
}

/* A supervisor may block or ignore signals for itself; exec would pass that on. */
static void child_restore_signals(void)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
}

static void __attribute__((noreturn))
child_exec(const char *program, char *const arguments[], const int fds[CHILD_FDS],
           pid_t parent)
{
    int report = fds[CHILD_REPORT];
    (void)setpgid(0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent &&
        child_place_descriptors(fds)) {
        report = CHILD_REPORT;
        child_restore_signals();
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): after fork there is one thread */
        if (setenv("LC_ALL", "C", 1) == 0)
            (void)execv(program, arguments);
    }
    int code = errno;
    ssize_t written = write(report, &code, sizeof code);
    _exit(written == (ssize_t)sizeof code ? 127 : 126);
}

/* Return: 0 once the child runs PROGRAM, or the errno value that kept it from that. */
static int read_report(int fd)
{
    int code;
    for (;;) {
        ssize_t n = read(fd, &code, sizeof code);
        if (n == 0)
            return 0;
        if (n == (ssize_t)sizeof code)
            return code ? code : EIO;
        if (n >= 0 || errno != EINTR)
            return EIO;
    }
}

/* Moves what FD has into TEXT. Return: false at end of file or on an error. */
static bool read_some(int fd, struct buf *text)
{
    char chunk[CHUNK_BYTES];
    ssize_t n = read(fd, chunk, sizeof chunk);
    if (n > 0)
        buf_append(text, (struct str){chunk, (size_t)n});
    return n > 0 || (n < 0 && errno == EINTR);
}

/* Reads both streams in step, so that neither can fill its pipe and block the child. */
static int read_streams(const struct plumbing *plumbing, struct smi_output *output)
{
    struct buf *texts[2] = {&output->text, &output->complaint};
    struct pollfd streams[2] = {
        {.fd = plumbing->ours[CHILD_OUTPUT], .events = POLLIN},
        {.fd = plumbing->ours[CHILD_COMPLAINT], .events = POLLIN},
    };
    while (streams[0].fd >= 0 || streams[1].fd >= 0) {
        if (poll(streams, 2, -1) < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < 2; i++) {
            if (streams[i].fd >= 0 && streams[i].revents &&
                !read_some(streams[i].fd, texts[i]))
                streams[i].fd = -1;
            streams[i].revents = 0;
        }
        if (buf_is_full(&output->text))
            return -EFBIG;
    }
    return 0;
}

/* Waits for the child, then kills what it left in its group: while the child is not yet
 * collected, its group's number cannot belong to anybody else. Return: 0 or -errno. */
static int collect_child(pid_t pid, siginfo_t *end)
{
    int rc;
    do {
        rc = waitid(P_PID, (id_t)pid, end, WEXITED | WNOWAIT);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0)
        return -errno;
    (void)kill(-pid, SIGKILL);
    do {
        rc = waitpid(pid, NULL, 0);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

static int follow_child(pid_t pid, const struct plumbing *plumbing, const char *program,
                        struct smi_output *output, struct err *err)
{
    int exec_errno = read_report(plumbing->ours[CHILD_REPORT]);
    int read_rc = exec_errno ? 0 : read_streams(plumbing, output);
    if (read_rc < 0)
        (void)kill(-pid, SIGKILL);
    siginfo_t end = {0};
    int wait_rc = collect_child(pid, &end);
    if (exec_errno)
        return err_errno(err, exec_errno, "cannot run %s", program);
    if (read_rc == -EFBIG)
        return err_set(err, EFBIG, ERR_SMI, 0, "%s printed more than %d bytes: given up",
                       program, SMI_TEXT_BYTES);
    if (read_rc < 0)
        return err_errno(err, -read_rc, "reading the output of %s", program);
    if (wait_rc < 0)
        return err_errno(err, -wait_rc, "waiting for %s", program);
    if (end.si_code != CLD_EXITED)
        return err_set(err, EINTR, ERR_SMI, end.si_status, "%s was killed by signal %d",
                       program, end.si_status);
    output->exit_status = end.si_status;
    return 0;
}

int smi_run(const char *program, char *const arguments[], struct smi_output *output,
            struct err *err)
{
    CLEANUP(plumbing_done)
    struct plumbing plumbing = {{-1, -1, -1, -1}, {-1, -1, -1, -1}};
    int rc = plumbing_open(&plumbing, err);
    if (rc < 0)
        return rc;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(err, errno, "fork");
    if (pid == 0)
        child_exec(program, arguments, plumbing.theirs, parent);
    (void)setpgid(pid,
                  pid); /* both sides set it: whoever is first, it is set from here */
    plumbing_close_theirs(&plumbing);
    return follow_child(pid, &plumbing, program, output, err);
}
