/*
 * The layers, in the order in which they need each other: no_new_privs lets a process
 * without capabilities use the next two, and seccomp comes last because it refuses the
 * calls that the others are made with.
 *
 * Landlock is asked by number: its constants here are newer than the headers of the
 * distributions that we build on. See landlock(7) and the kernel's
 * include/uapi/linux/landlock.h.
 */
#include "server/sandbox.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Adds to the report's words, what does not fit is cut. */
__attribute__((format(printf, 2, 3))) static void say(struct sandbox_report *report,
                                                      const char *format, ...)
{
    size_t used = strlen(report->words);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(report->words + used, sizeof report->words - used, format, arguments);
    va_end(arguments);
}

static bool is_left_out(const struct sandbox_config *config, enum sandbox_layer layer)
{
    return config->left_out & (unsigned)layer;
}

/* --- privileges
 * -------------------------------------------------------------------------
 */

/* Return: what has become of the capabilities; "dropped" is as it should be. The bounding
 * set may stay where it cannot be changed: it gives nothing to a process that can gain no
 * privileges. */
static const char *drop_capabilities(void)
{
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0;
         capability++)
        (void)prctl(PR_CAPBSET_DROP, capability);

    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (syscall(SYS_capset, &header, none) == 0)
        return "dropped";
    /* Where capset is filtered away, there may be nothing to drop. */
    struct __user_cap_data_struct left[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, left) != 0)
        return "UNKNOWN";
    return memcmp(left, none, sizeof left) == 0 ? "dropped" : "KEPT";
}

static bool drop_privileges(struct sandbox_report *report)
{
    const char *capabilities = drop_capabilities();
    bool is_final = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    say(report, "capabilities %s; %s", capabilities,
        is_final ? "no new privileges" : "new privileges POSSIBLE");
    return strcmp(capabilities, "dropped") == 0 && is_final;
}

/* --- Landlock
 * ---------------------------------------------------------------------------
 */

struct landlock_rules {
    uint64_t files;
    uint64_t network;
    uint64_t scoped;
};

/* As the kernel has it: without padding. */
struct landlock_path {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

enum {
    LANDLOCK_VERSION_QUESTION = 1, /* flag of landlock_create_ruleset */
    LANDLOCK_PATH_BENEATH = 1,
    LANDLOCK_READ_FILE = 1 << 2,
    LANDLOCK_READ_DIRECTORY = 1 << 3,
    LANDLOCK_FILES_ABI_1 = (1 << 13) - 1, /* execute, write, read, remove, make */
    LANDLOCK_REFER = 1 << 13,             /* ABI 2 */
    LANDLOCK_TRUNCATE = 1 << 14,          /* ABI 3 */
    LANDLOCK_TCP = 1 << 0 | 1 << 1,       /* ABI 4: bind, connect */
    LANDLOCK_IOCTL_DEVICE = 1 << 15,      /* ABI 5 */
    LANDLOCK_SCOPES = 1 << 0 | 1 << 1,    /* ABI 6: abstract unix sockets, signals */
};

/* Everything that the running kernel can refuse. */
static struct landlock_rules all_rules(long abi)
{
    return (struct landlock_rules){
        .files = (uint64_t)LANDLOCK_FILES_ABI_1 | (abi >= 2 ? LANDLOCK_REFER : 0u) |
                 (abi >= 3 ? LANDLOCK_TRUNCATE : 0u) |
                 (abi >= 5 ? LANDLOCK_IOCTL_DEVICE : 0u),
        .network = abi >= 4 ? LANDLOCK_TCP : 0,
        .scoped = abi >= 6 ? LANDLOCK_SCOPES : 0,
    };
}

/* Return: 0 or -errno. */
static int allow_reading(int ruleset, const char *directory)
{
    CLEANUP(close_fdp) int fd = open(directory, O_PATH | O_CLOEXEC | O_DIRECTORY);
    if (fd < 0)
        return -errno;
    struct landlock_path rule = {LANDLOCK_READ_FILE | LANDLOCK_READ_DIRECTORY, fd};
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_PATH_BENEATH, &rule, 0) == 0
               ? 0
               : -errno;
}

static bool allow_directories(int ruleset, const struct sandbox_config *config,
                              struct sandbox_report *report)
{
    bool has_all = true;
    say(report, "files %s", config->readable_count ? "below " : "none");
    for (size_t i = 0; i < config->readable_count; i++) {
        int rc = allow_reading(ruleset, config->readable[i]);
        say(report, "%s%s", i ? ", " : "", config->readable[i]);
        if (rc < 0)
            say(report, " (NOT: %s)", strerror(-rc));
        has_all = has_all && rc == 0;
    }
    return has_all;
}

static bool restrict_files(const struct sandbox_config *config,
                           struct sandbox_report *report)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_QUESTION);
    if (abi < 1) {
        say(report, "landlock: NOT AVAILABLE (%s)", strerror(errno));
        return false;
    }
    const struct landlock_rules rules = all_rules(abi);
    /* Kernels that know a shorter structure accept a longer one that ends in zeros. */
    CLEANUP(close_fdp)
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
    if (ruleset < 0) {
        say(report, "landlock: REFUSED (%s)", strerror(errno));
        return false;
    }
    say(report, "landlock (ABI %ld): ", abi);
    bool has_all = allow_directories(ruleset, config, report);
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
        say(report, ", but REFUSED (%s)", strerror(errno));
        return false;
    }
    if (rules.network)
        say(report, ", network none");
    return has_all;
}

/* --- seccomp
 * ----------------------------------------------------------------------------
 */

/* A call that is allowed, when an argument has the right bits where that matters. */
struct allowed_call {
    int number; /* negative where the architecture has no such call */
    unsigned argument;
    uint64_t mask; /* 0: any argument */
    uint64_t value;
};

#define ANY(name)                                                                        \
    {                                                                                    \
        .number = SCMP_SYS(name)                                                         \
    }
#define WHEN(name, argument_number, bits, wanted)                                        \
    {                                                                                    \
        SCMP_SYS(name), argument_number, bits, wanted                                    \
    }
#define ALL_BITS UINT64_MAX

/* Threads, but neither processes nor namespaces. */
#define CLONE_MASK                                                                       \
    (CLONE_THREAD | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |        \
     CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

static const struct allowed_call serving_calls[] = {
    /* connections, the pipe, standard error */
    ANY(accept),
    ANY(accept4),
    ANY(close),
    ANY(getpeername),
    ANY(getsockname),
    ANY(getsockopt),
    ANY(read),
    ANY(readv),
    ANY(recvfrom),
    ANY(recvmsg),
    /* A socket whose peer has left could connect elsewhere by this flag. */
    WHEN(sendmsg, 2, MSG_FASTOPEN, 0),
    WHEN(sendto, 3, MSG_FASTOPEN, 0),
    WHEN(setsockopt, 1, ALL_BITS, SOL_SOCKET),
    WHEN(setsockopt, 1, ALL_BITS, IPPROTO_TCP),
    ANY(shutdown),
    ANY(write),
    ANY(writev),
    /* the event loop */
    ANY(epoll_create1),
    ANY(epoll_ctl),
    ANY(epoll_pwait),
    ANY(epoll_wait),
    ANY(eventfd2),
    WHEN(fcntl, 1, ALL_BITS, F_DUPFD_CLOEXEC),
    WHEN(fcntl, 1, ALL_BITS, F_GETFD),
    WHEN(fcntl, 1, ALL_BITS, F_GETFL),
    WHEN(fcntl, 1, ALL_BITS, F_SETFD),
    WHEN(fcntl, 1, ALL_BITS, F_SETFL),
    ANY(pipe2),
    ANY(poll),
    ANY(ppoll),
    ANY(pselect6),
    ANY(select),
    /* time and chance; most are answered without entering the kernel */
    ANY(clock_getres),
    ANY(clock_gettime),
    ANY(clock_nanosleep),
    ANY(getrandom),
    ANY(gettimeofday),
    ANY(nanosleep),
    ANY(time),
    /* memory, none of it executable */
    ANY(brk),
    ANY(madvise),
    WHEN(mmap, 2, PROT_EXEC, 0),
    WHEN(mprotect, 2, PROT_EXEC, 0),
    ANY(mremap),
    ANY(munmap),
    /* the password thread */
    WHEN(clone, 0, CLONE_MASK, CLONE_THREAD),
    ANY(exit),
    ANY(exit_group),
    ANY(futex),
    WHEN(prctl, 0, ALL_BITS, PR_SET_NAME),
    ANY(rseq),
    ANY(sched_getaffinity),
    ANY(sched_yield),
    ANY(set_robust_list),
    /* signals, to itself only: see add_calls() */
    ANY(restart_syscall),
    ANY(rt_sigaction),
    ANY(rt_sigprocmask),
    ANY(rt_sigreturn),
    ANY(sigaltstack),
    /* questions about itself */
    ANY(getegid),
    ANY(geteuid),
    ANY(getgid),
    ANY(getpid),
    ANY(getppid),
    ANY(getrusage),
    ANY(gettid),
    ANY(getuid),
    ANY(sysinfo),
    ANY(uname),
};

/* Reading the web configuration again. */
static const struct allowed_call reading_calls[] = {
    ANY(fstat),      ANY(lseek),
    ANY(newfstatat), WHEN(openat, 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY),
    ANY(statx),
};

/* Return: 0 or -errno. */
static int allow_calls(scmp_filter_ctx filter, const struct allowed_call *calls,
                       size_t count, unsigned *allowed)
{
    for (size_t i = 0; i < count; i++) {
        const struct allowed_call *call = &calls[i];
        if (call->number < 0)
            continue;
        int rc = call->mask
                     ? seccomp_rule_add(filter, SCMP_ACT_ALLOW, call->number, 1,
                                        SCMP_CMP(call->argument, SCMP_CMP_MASKED_EQ,
                                                 call->mask, call->value))
                     : seccomp_rule_add(filter, SCMP_ACT_ALLOW, call->number, 0);
        if (rc < 0)
            return rc;
        bool is_repeated = i > 0 && calls[i - 1].number == call->number;
        *allowed += is_repeated ? 0 : 1;
    }
    return 0;
}

static int add_calls(scmp_filter_ctx filter, const struct sandbox_config *config,
                     unsigned *allowed)
{
    int rc = allow_calls(filter, serving_calls, ARRAY_LENGTH(serving_calls), allowed);
    if (rc == 0 && config->readable_count)
        rc = allow_calls(filter, reading_calls, ARRAY_LENGTH(reading_calls), allowed);
    const struct allowed_call abort_call[] = {
        WHEN(tgkill, 0, ALL_BITS, (uint64_t)getpid()),
    };
    if (rc == 0)
        rc = allow_calls(filter, abort_call, ARRAY_LENGTH(abort_call), allowed);
    /* Its flags lie in memory, where a filter cannot see them; the C library then asks by
     * clone. */
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    return rc;
}

static void release_filter(scmp_filter_ctx *filter)
{
    if (*filter)
        seccomp_release(*filter);
}

/* Return: 0 or -errno. */
static int load_filter(scmp_filter_ctx filter, const struct sandbox_config *config,
                       unsigned *allowed)
{
    /* Calls of another architecture are refused like the rest: the default would kill. */
    int rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));
    if (rc == 0)
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (rc == 0)
        rc = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
    /* Our own layer has asked for it already, or must not. */
    if (rc == 0)
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP,
                              is_left_out(config, SANDBOX_PRIVILEGES));
    if (rc == 0)
        rc = add_calls(filter, config, allowed);
    return rc == 0 ? seccomp_load(filter) : rc;
}

static bool filter_calls(const struct sandbox_config *config,
                         struct sandbox_report *report)
{
    CLEANUP(release_filter)
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    unsigned allowed = 0;
    int rc = filter ? load_filter(filter, config, &allowed) : -ENOMEM;
    if (rc < 0) {
        say(report, "seccomp: NOT AVAILABLE (%s)", strerror(-rc));
        return false;
    }
    say(report, "seccomp: %u calls allowed", allowed);
    return true;
}

/* --- the whole
 * --------------------------------------------------------------------------
 */

int sandbox_enter(const struct sandbox_config *config, struct sandbox_report *report)
{
    static const struct {
        enum sandbox_layer layer;
        const char *name;
    } layers[] = {
        {SANDBOX_PRIVILEGES, "privileges"},
        {SANDBOX_LANDLOCK, "landlock"},
        {SANDBOX_SECCOMP, "seccomp"},
    };
    bool holds = true;
    report->words[0] = '\0';
    for (size_t i = 0; i < ARRAY_LENGTH(layers); i++) {
        say(report, "%s", i ? "; " : "");
        if (is_left_out(config, layers[i].layer)) {
            say(report, "%s: left out", layers[i].name);
            holds = false;
            continue;
        }
        switch (layers[i].layer) {
        case SANDBOX_PRIVILEGES: holds = drop_privileges(report) && holds; break;
        case SANDBOX_LANDLOCK: holds = restrict_files(config, report) && holds; break;
        case SANDBOX_SECCOMP: holds = filter_calls(config, report) && holds; break;
        }
    }
    return holds ? 0 : SANDBOX_PARTIAL;
}
