/* Running a program: what it gets, what comes back, and every way it can go wrong. */
#include "base/cleanup.h"
#include "fake_smi.h"
#include "source/nvsmi/smi_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

static int run(const struct fake_smi *fake, struct smi_output *output, struct err *err)
{
    char *arguments[] = {(char[]){"nvidia-smi"}, (char[]){"one arg"}, (char[]){"$HOME"},
                         NULL};
    return smi_run(fake->program, arguments, output, err);
}

static int setup(void **state)
{
    static struct fake_smi fake;
    fake_smi_open(&fake);
    *state = &fake;
    return 0;
}

static int teardown(void **state)
{
    fake_smi_close(*state);
    return 0;
}

static bool contains(struct str text, const char *part)
{
    return str_find_text(text, str_from(part)) >= 0;
}

static void test_success(void **state)
{
    CLEANUP(smi_output_done) struct smi_output output = SMI_OUTPUT_INIT;
    fake_smi_script(*state, "echo \"$0|$1|$2|$#\"; echo complaint >&2; exit 3");
    assert_int_equal(run(*state, &output, NULL), 0);
    assert_int_equal(output.exit_status, 3);
    assert_true(contains(buf_str(&output.text), "/nvidia-smi|one arg|$HOME|2\n"));
    assert_true(str_equal(buf_str(&output.complaint), STR("complaint\n")));
}

/* Locale, standard input, signals, group and descriptors of the program. */
static void test_surroundings(void **state)
{
    CLEANUP(smi_output_done) struct smi_output output = SMI_OUTPUT_INIT;
    int leaked = fcntl(STDERR_FILENO, F_DUPFD, 20); /* without close-on-exec */
    sigset_t all, old;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &old);
    (void)setenv("LC_ALL", "de_DE.UTF-8", 1);
    fake_smi_script(
        *state,
        "echo locale $LC_ALL\n"
        "echo input $(readlink /proc/self/fd/0)\n"
        "read line || echo no input\n"
        "for fd in 3 4 5 6 7 20; do test -e /proc/$$/fd/$fd && echo has $fd; done\n"
        "echo mask $(sed -n 's/^SigBlk:\t*//p' /proc/self/status)\n"
        "set -- $(cat /proc/$$/stat); echo group $5 is $$\n");
    int rc = run(*state, &output, NULL);
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    (void)unsetenv("LC_ALL");
    close(leaked);
    struct str text = buf_str(&output.text);
    assert_int_equal(rc, 0);
    assert_true(contains(text, "locale C\n"));
    assert_true(contains(text, "no input\n"));
    assert_false(contains(text, "has "));
    assert_true(contains(text, "mask 0000000000000000\n"));
    char group[64];
    ptrdiff_t at = str_find_text(text, STR("group "));
    assert_true(at >= 0);
    struct str rest = str_part(text, (size_t)at, text.n - (size_t)at), pid;
    (void)str_split(&rest, ' ', &pid);
    (void)str_split(&rest, ' ', &pid);
    (void)snprintf(group, sizeof group, "group %.*s is %.*s\n", (int)pid.n, pid.p,
                   (int)pid.n, pid.p);
    assert_true(contains(text, group));
}

/* The caller may have been started with its standard streams closed. */
static void test_closed_streams(void **state)
{
    fake_smi_script(*state, "echo to output; echo to complaint >&2");
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct smi_output output = SMI_OUTPUT_INIT;
        for (int fd = 0; fd <= 2; fd++)
            close(fd);
        bool ok = run(*state, &output, NULL) == 0 &&
                  str_equal(buf_str(&output.text), STR("to output\n")) &&
                  str_equal(buf_str(&output.complaint), STR("to complaint\n"));
        smi_output_done(&output);
        _exit(ok ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Both streams fill at once; neither may block the other. */
static void test_both_streams(void **state)
{
    CLEANUP(smi_output_done) struct smi_output output = SMI_OUTPUT_INIT;
    fake_smi_script(*state, "head -c 300000 /dev/zero >&2 &\n"
                            "head -c 300000 /dev/zero\nwait");
    assert_int_equal(run(*state, &output, NULL), 0);
    assert_int_equal(output.exit_status, 0);
    assert_int_equal(output.text.len, 300000);
    assert_true(buf_is_full(&output.complaint)); /* the surplus was read and dropped */
}

static void test_largest_output(void **state)
{
    CLEANUP(smi_output_done) struct smi_output output = SMI_OUTPUT_INIT;
    fake_smi_script(*state, "head -c 4194304 /dev/zero");
    assert_int_equal(run(*state, &output, NULL), 0);
    assert_int_equal(output.text.len, SMI_TEXT_BYTES);
}

static void test_endless_output(void **state)
{
    CLEANUP(smi_output_done) struct smi_output output = SMI_OUTPUT_INIT;
    struct err err = {0};
    fake_smi_script(*state, "yes");
    assert_true(run(*state, &output, &err) < 0);
    assert_non_null(strstr(err.message, "printed more than 4194304 bytes"));
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* it was killed and collected */
}

static void test_killed(void **state)
{
    CLEANUP(smi_output_done) struct smi_output output = SMI_OUTPUT_INIT;
    struct err err = {0};
    fake_smi_script(*state, "echo half; kill -SEGV $$");
    assert_true(run(*state, &output, &err) < 0);
    assert_non_null(strstr(err.message, "killed by signal 11"));
    assert_int_equal(err.native, SIGSEGV);
}

/* Process PID, which is nobody's child here, is dead or about to be. */
static void assert_ends(uint32_t pid)
{
    CLEANUP(close_fdp) int pidfd = pidfd_open((pid_t)pid, 0);
    if (pidfd < 0) {
        assert_int_equal(errno, ESRCH);
        return;
    }
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(poll(&end, 1, 10000), 1);
}

/* What the program leaves behind in its group ends with it. */
static void test_leftovers(void **state)
{
    CLEANUP(smi_output_done) struct smi_output output = SMI_OUTPUT_INIT;
    fake_smi_script(*state, "sleep 1000 >/dev/null 2>&1 &\necho $!");
    assert_int_equal(run(*state, &output, NULL), 0);
    uint32_t pid;
    assert_true(str_u32(str_trim(buf_str(&output.text)), &pid));
    assert_ends(pid);
}

/* The program does not outlive the process that runs it. */
static void test_dies_with_caller(void **state)
{
    const struct fake_smi *fake = *state;
    char path[128];
    assert_int_equal(mkfifo(fake_smi_path(fake, "pid", path), 0600), 0);
    fake_smi_script(fake, "echo $$ > pid\nexec sleep 1000");
    pid_t caller = fork();
    assert_true(caller >= 0);
    if (caller == 0) {
        struct smi_output output = SMI_OUTPUT_INIT;
        _exit(run(fake, &output, NULL) ? 1 : 0);
    }
    char text[32];
    struct str line = fake_smi_read(fake, "pid", text, sizeof text);
    uint32_t pid;
    assert_true(str_u32(str_trim(line), &pid));
    assert_int_equal(kill(caller, SIGKILL), 0);
    assert_int_equal(waitpid(caller, NULL, 0), caller);
    assert_ends(pid);
}

static void test_cannot_start(void **state)
{
    CLEANUP(smi_output_done) struct smi_output output = SMI_OUTPUT_INIT;
    struct err err = {0};
    assert_true(run(*state, &output, &err) < 0); /* there is no such file yet */
    assert_non_null(strstr(err.message, "No such file"));
    fake_smi_write(*state, "nvidia-smi", "#!/bin/sh\necho hello\n", 0644);
    assert_true(run(*state, &output, &err) < 0);
    assert_non_null(strstr(err.message, "Permission denied"));
    fake_smi_write(*state, "nvidia-smi", "no program at all", 0755);
    assert_true(run(*state, &output, &err) < 0);
    assert_int_equal(err.native, ENOEXEC);
    fake_smi_write(*state, "nvidia-smi", "#!/nonexistent/shell\n", 0755);
    assert_true(run(*state, &output, &err) < 0);
    assert_int_equal(err.native, ENOENT);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* No descriptor is left over, whatever happened. */
static void test_no_leak(void **state)
{
    int before = dup(STDERR_FILENO);
    close(before);
    fake_smi_script(*state, "yes");
    CLEANUP(smi_output_done) struct smi_output output = SMI_OUTPUT_INIT;
    assert_true(run(*state, &output, NULL) < 0);
    int after = dup(STDERR_FILENO);
    close(after);
    assert_int_equal(after, before);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_success),      CASE(test_surroundings),   CASE(test_closed_streams),
        CASE(test_both_streams), CASE(test_largest_output), CASE(test_endless_output),
        CASE(test_killed),       CASE(test_leftovers),      CASE(test_dies_with_caller),
        CASE(test_cannot_start), CASE(test_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
