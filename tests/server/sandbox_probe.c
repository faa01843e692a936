/*
 * Enters the server's sandbox and tries things:
 *
 *   sandbox_probe [--without LAYER]... [--readable DIRECTORY] --tcp PORT --unix PATH
 *                 --listener FD --scratch DIRECTORY
 *
 * LAYER is privileges, landlock or seccomp. Prints "sandbox: WORDS" and then a line for
 * each attempt, "NAME: done" or "NAME: ERRNO". Something must listen on PORT of 127.0.0.1
 * and on PATH, and a connection must wait at the listening socket FD. SCRATCH may be
 * written to; the directory that may be read holds a file "inside" and a link "outward".
 */
#include "base/cleanup.h"
#include "base/str.h"
#include "server/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <zlib.h>

struct surroundings {
    unsigned left_out;
    const char *readable;
    const char *scratch;
    const char *unix_path;
    uint16_t tcp_port;
    int listener;
    int spare_tcp; /* sockets from before the sandbox */
    int fast_tcp;
    int spare_unix;
    pid_t victim; /* a process of the same user, outside the sandbox */
};

/* Return: 0 when it was done, else errno. */
typedef int attempt(const struct surroundings *here);

static int outcome(long rc)
{
    return rc < 0 ? errno : 0;
}

/* --- files
 * ------------------------------------------------------------------------------
 */

static int open_below(const char *directory, const char *name, int flags)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    CLEANUP(close_fdp) int fd = open(path, flags | O_CLOEXEC, 0600);
    return outcome(fd);
}

static int read_passwd(const struct surroundings *here)
{
    (void)here;
    return open_below("/etc", "passwd", O_RDONLY);
}

static int read_process(const struct surroundings *here)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d", (int)here->victim);
    return open_below(path, "environ", O_RDONLY);
}

static int read_inside(const struct surroundings *here)
{
    if (!here->readable)
        return ENOENT;
    char path[512];
    char bytes[64];
    (void)snprintf(path, sizeof path, "%s/inside", here->readable);
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? errno : outcome(read(fd, bytes, sizeof bytes));
}

static int read_outward(const struct surroundings *here)
{
    return here->readable ? open_below(here->readable, "outward", O_RDONLY) : ENOENT;
}

static int write_inside(const struct surroundings *here)
{
    return here->readable ? open_below(here->readable, "inside", O_WRONLY) : ENOENT;
}

static int write_scratch(const struct surroundings *here)
{
    return open_below(here->scratch, "written", O_WRONLY | O_CREAT);
}

static int create_scratch(const struct surroundings *here)
{
    return open_below(here->scratch, "created", O_RDONLY | O_CREAT);
}

static int make_directory(const struct surroundings *here)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/directory", here->scratch);
    return outcome(mkdir(path, 0700));
}

static int watch_files(const struct surroundings *here)
{
    (void)here;
    CLEANUP(close_fdp) int fd = inotify_init1(IN_CLOEXEC);
    return outcome(fd);
}

/* --- network
 * ----------------------------------------------------------------------------
 */

static int open_socket(int family, int type)
{
    CLEANUP(close_fdp) int fd = socket(family, type | SOCK_CLOEXEC, 0);
    return outcome(fd);
}

static int socket_tcp(const struct surroundings *here)
{
    (void)here;
    return open_socket(AF_INET, SOCK_STREAM);
}

static int socket_udp(const struct surroundings *here)
{
    (void)here;
    return open_socket(AF_INET, SOCK_DGRAM);
}

static int socket_raw(const struct surroundings *here)
{
    (void)here;
    return open_socket(AF_INET, SOCK_RAW);
}

static int socket_netlink(const struct surroundings *here)
{
    (void)here;
    return open_socket(AF_NETLINK, SOCK_RAW);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static int bind_tcp(const struct surroundings *here)
{
    struct sockaddr_in address = loopback(0);
    return outcome(bind(here->spare_tcp, (struct sockaddr *)&address, sizeof address));
}

static int connect_fast(const struct surroundings *here)
{
    struct sockaddr_in address = loopback(here->tcp_port);
    return outcome(sendto(here->fast_tcp, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
                          (struct sockaddr *)&address, sizeof address));
}

static int connect_tcp(const struct surroundings *here)
{
    struct sockaddr_in address = loopback(here->tcp_port);
    return outcome(connect(here->spare_tcp, (struct sockaddr *)&address, sizeof address));
}

static int connect_unix(const struct surroundings *here)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", here->unix_path);
    return outcome(
        connect(here->spare_unix, (struct sockaddr *)&address, sizeof address));
}

/* --- other processes
 * --------------------------------------------------------------------
 */

static int fork_process(const struct surroundings *here)
{
    (void)here;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    int rc = outcome(child);
    if (child > 0)
        (void)waitpid(child, NULL, 0);
    return rc;
}

static int vfork_process(const struct surroundings *here)
{
    (void)here;
    /* What vfork(2) is, without its hazards. */
    long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0)
        _exit(0);
    return outcome(child);
}

static int clone3_process(const struct surroundings *here)
{
    (void)here;
    uint64_t arguments[8] = {[4] = SIGCHLD};
    long child = syscall(SYS_clone3, arguments, sizeof arguments);
    if (child == 0)
        _exit(0);
    return outcome(child);
}

static int signal_other(const struct surroundings *here)
{
    return outcome(kill(here->victim, 0));
}

static int signal_thread_of_other(const struct surroundings *here)
{
    return outcome(syscall(SYS_tgkill, here->victim, here->victim, 0));
}

/* Unlike PTRACE_ATTACH it does not stop the other process. */
static int trace_other(const struct surroundings *here)
{
    return outcome(ptrace(PTRACE_SEIZE, here->victim, NULL, NULL));
}

static int read_memory_of_other(const struct surroundings *here)
{
    char bytes[8];
    struct iovec into = {bytes, sizeof bytes};
    struct iovec from = {(void *)(uintptr_t)here, sizeof bytes}; /* forked: same place */
    return outcome(process_vm_readv(here->victim, &into, 1, &from, 1, 0));
}

static int open_pidfd(const struct surroundings *here)
{
    CLEANUP(close_fdp) int fd = (int)syscall(SYS_pidfd_open, here->victim, 0);
    return outcome(fd);
}

static int limit_other(const struct surroundings *here)
{
    return outcome(
        syscall(SYS_prlimit64, here->victim, 7 /* RLIMIT_NOFILE */, NULL, NULL));
}

/* --- the kernel's larger doors
 * ----------------------------------------------------------
 */

static int map_executable(const struct surroundings *here)
{
    (void)here;
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? errno : 0;
}

static int make_executable(const struct surroundings *here)
{
    (void)here;
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? ENOMEM
                              : outcome(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static int mount_tmpfs(const struct surroundings *here)
{
    int rc = outcome(mount("none", here->scratch, "tmpfs", 0, NULL));
    return rc ? rc : outcome(umount(here->scratch));
}

static int unshare_user(const struct surroundings *here)
{
    (void)here;
    return outcome(unshare(CLONE_NEWUSER));
}

static int set_up_io_uring(const struct surroundings *here)
{
    (void)here;
    struct io_uring_params parameters = {0};
    CLEANUP(close_fdp) int fd = (int)syscall(SYS_io_uring_setup, 1, &parameters);
    return outcome(fd);
}

static int load_bpf(const struct surroundings *here)
{
    (void)here;
    union bpf_attr attributes = {
        .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    return outcome(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
}

static int use_keyring(const struct surroundings *here)
{
    (void)here;
    return outcome(syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3, 1));
}

static int control_terminal(const struct surroundings *here)
{
    (void)here;
    int flags;
    return outcome(syscall(SYS_ioctl, STDOUT_FILENO, 0x541B /* FIONREAD */, &flags));
}

/* Of the other instruction set; on machines without one there is nothing to try. */
static int call_32_bit(const struct surroundings *here)
{
    (void)here;
#ifdef __x86_64__
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20 /* getpid */) : "memory");
    return result < 0 ? (int)-result : 0;
#else
    return EPERM;
#endif
}

/* --- what must go on working
 * ------------------------------------------------------------
 */

static int accept_connection(const struct surroundings *here)
{
    CLEANUP(close_fdp) int fd = accept4(here->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return errno;
    int yes = 1;
    if (setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &yes, sizeof yes) != 0)
        return errno;
    return outcome(send(fd, "hello", 5, MSG_NOSIGNAL));
}

static int wait_for_event(const struct surroundings *here)
{
    (void)here;
    CLEANUP(close_fdp) int loop = epoll_create1(EPOLL_CLOEXEC);
    CLEANUP(close_fdp) int counter = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};
    if (loop < 0 || counter < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, counter, &event) != 0)
        return errno;
    return epoll_wait(loop, &event, 1, 1000) == 1 ? 0 : ETIMEDOUT;
}

static void *set_flag(void *flag)
{
    *(int *)flag = 1;
    return NULL;
}

static int run_thread(const struct surroundings *here)
{
    (void)here;
    pthread_t thread;
    int flag = 0;
    int rc = pthread_create(&thread, NULL, set_flag, &flag);
    if (rc != 0)
        return rc;
    rc = pthread_join(thread, NULL);
    return rc == 0 && !flag ? ESRCH : rc;
}

static int read_clock(const struct surroundings *here)
{
    (void)here;
    struct timespec now;
    return outcome(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now));
}

static int get_random(const struct surroundings *here)
{
    (void)here;
    char bytes[16];
    return outcome(getrandom(bytes, sizeof bytes, 0));
}

static int compress_much(const struct surroundings *here)
{
    (void)here;
    enum { BYTES = 32 << 20 };
    CLEANUP(freep) unsigned char *text = calloc(BYTES, 1);
    uLongf length = compressBound(BYTES);
    CLEANUP(freep) unsigned char *packed = calloc(length, 1);
    if (!text || !packed)
        return ENOMEM;
    return compress2(packed, &length, text, BYTES, 1) == Z_OK ? 0 : EIO;
}

/* Last: where it is allowed, the other program prints the line. */
static int execute(const struct surroundings *here)
{
    (void)here;
    char *const arguments[] = {(char[]){"echo"}, (char[]){"execve: done"}, NULL};
    (void)fflush(stdout);
    return outcome(execv("/bin/echo", arguments));
}

static const struct {
    const char *name;
    attempt *try;
} attempts[] = {
    {"accept", accept_connection},
    {"epoll", wait_for_event},
    {"thread", run_thread},
    {"clock", read_clock},
    {"random", get_random},
    {"compress", compress_much},
    {"read_inside", read_inside},
    {"read_outward", read_outward},
    {"read_passwd", read_passwd},
    {"read_process", read_process},
    {"write_inside", write_inside},
    {"write_scratch", write_scratch},
    {"create_scratch", create_scratch},
    {"mkdir", make_directory},
    {"inotify", watch_files},
    {"socket_tcp", socket_tcp},
    {"socket_udp", socket_udp},
    {"socket_raw", socket_raw},
    {"socket_netlink", socket_netlink},
    {"bind", bind_tcp},
    {"connect_fastopen", connect_fast},
    {"connect_tcp", connect_tcp},
    {"connect_unix", connect_unix},
    {"fork", fork_process},
    {"vfork", vfork_process},
    {"clone3", clone3_process},
    {"kill", signal_other},
    {"tgkill", signal_thread_of_other},
    {"ptrace", trace_other},
    {"process_vm_readv", read_memory_of_other},
    {"pidfd_open", open_pidfd},
    {"prlimit", limit_other},
    {"mmap_exec", map_executable},
    {"mprotect_exec", make_executable},
    {"mount", mount_tmpfs},
    {"unshare", unshare_user},
    {"io_uring", set_up_io_uring},
    {"bpf", load_bpf},
    {"keyctl", use_keyring},
    {"ioctl", control_terminal},
    {"int80", call_32_bit},
    {"execve", execute},
};

/* A process that has as few privileges as ours, but no other layer around it: what keeps
 * us from it is the sandbox. It ends with us, by the end of a pipe: Landlock keeps even
 * the signal of a parent's death from leaving the sandbox. */
static pid_t start_victim(void)
{
    int ready[2];
    int end[2];
    char byte;
    if (pipe2(ready, O_CLOEXEC) != 0 || pipe2(end, O_CLOEXEC) != 0)
        return -1;
    pid_t victim = fork();
    if (victim == 0) {
        struct sandbox_report report;
        const struct sandbox_config config = {.left_out =
                                                  SANDBOX_LANDLOCK | SANDBOX_SECCOMP};
        (void)sandbox_enter(&config, &report);
        close(end[1]);
        (void)!write(ready[1], ".", 1);
        (void)!read(end[0], &byte, 1);
        _exit(0);
    }
    ssize_t n = read(ready[0], &byte, 1);
    close(ready[0]);
    close(ready[1]);
    close(end[0]);
    return n == 1 ? victim : -1;
}

static unsigned layer_named(const char *name)
{
    if (strcmp(name, "landlock") == 0)
        return SANDBOX_LANDLOCK;
    if (strcmp(name, "seccomp") == 0)
        return SANDBOX_SECCOMP;
    return SANDBOX_PRIVILEGES;
}

static bool read_options(int argc, char **argv, struct surroundings *here)
{
    static const struct option options[] = {
        {"without", required_argument, NULL, 'w'},
        {"readable", required_argument, NULL, 'r'},
        {"scratch", required_argument, NULL, 's'},
        {"unix", required_argument, NULL, 'u'},
        {"tcp", required_argument, NULL, 't'},
        {"listener", required_argument, NULL, 'l'},
        {0},
    };
    uint32_t number;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'w': here->left_out |= layer_named(optarg); break;
        case 'r': here->readable = optarg; break;
        case 's': here->scratch = optarg; break;
        case 'u': here->unix_path = optarg; break;
        case 't':
        case 'l':
            if (!str_u32(str_from(optarg), &number))
                return false;
            if (option == 't')
                here->tcp_port = (uint16_t)number;
            else
                here->listener = (int)number;
            break;
        default: return false;
        }
    }
    return here->scratch && here->unix_path && here->tcp_port && here->listener > 0;
}

int main(int argc, char **argv)
{
    struct surroundings here = {0};
    if (!read_options(argc, argv, &here))
        return 2;
    here.victim = start_victim();
    here.spare_tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    here.fast_tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    here.spare_unix = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (here.victim < 0 || here.spare_tcp < 0 || here.fast_tcp < 0 || here.spare_unix < 0)
        return 1;
    /* Not a buffer of stdio's own: it asks the terminal about itself first. */
    static char line_buffer[4096];
    (void)setvbuf(stdout, line_buffer, _IOLBF, sizeof line_buffer);

    const struct sandbox_config config = {
        .readable = &here.readable,
        .readable_count = here.readable ? 1 : 0,
        .left_out = here.left_out,
    };
    struct sandbox_report report;
    (void)sandbox_enter(&config, &report);
    (void)printf("sandbox: %s\n", report.words);
    for (size_t i = 0; i < ARRAY_LENGTH(attempts); i++) {
        int code = attempts[i].try(&here);
        (void)printf("%s: %s\n", attempts[i].name, code ? strerrorname_np(code) : "done");
    }
    (void)fflush(stdout);
    /* A leak checker at the exit would start and trace processes. */
    _exit(0);
}
