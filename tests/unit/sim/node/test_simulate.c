/* The command as a whole, with a stand-in for the driver library. */
#include "sim/node/simulate.h"

#include "base/cleanup.h"
#include "sim/node/directory.h"
#include "support.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool exists(int fd, const char *path)
{
    struct stat stat;
    return fstatat(fd, path, &stat, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Runs with output into a pipe; *OUTPUT is what came. */
static int run(const char *directory, struct simulate_options options, char output[8192],
               struct err *err)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    options.directory = directory;
    options.library = HIDDEN_SYMBOLS_LIBRARY;
    options.smi = "/bin/true";
    options.output_fd = ends[1];
    int rc = simulate_run(&options, err);
    close(ends[1]);
    ssize_t length = read(ends[0], output, 8191);
    output[length > 0 ? length : 0] = '\0';
    close(ends[0]);
    return rc;
}

static void flags_and_files(void **state)
{
    (void)state;
    char path[64];
    char output[8192];
    char expected[1024];
    struct err err = {0};
    int fd = support_make_directory(path);
    struct simulate_options options = {.scenario = "old_driver", .freeze = true};
    assert_int_equal(run(path, options, output, &err), 0);
    (void)snprintf(
        expected, sizeof(expected),
        "--nvml.library=%s/libnvidia-ml.so.1 --nvidia-smi.path=%s/bin/nvidia-smi "
        "--path.procfs=%s/proc --path.rootfs=%s/rootfs\n",
        path, path, path, path);
    assert_string_equal(output, expected);
    assert_true(exists(fd, "bin/nvidia-smi"));
    assert_true(exists(fd, "node.state"));
    /* The stand-in library has the symbol; this generation of the driver has not. */
    CLEANUP(close_fdp) int library = openat(fd, "libnvidia-ml.so.1", O_RDONLY);
    static char bytes[1 << 20];
    ssize_t size = read(library, bytes, sizeof(bytes));
    struct str text = {bytes, size > 0 ? (size_t)size : 0};
    assert_true(str_find_text(text, STR("\0-vmlDeviceGetMemoryInfo_v2")) > 0);
    support_remove_directory(fd, path);
}

/* Again into the same directory: what the new scenario has not goes. */
static void replaces_former_node(void **state)
{
    (void)state;
    char path[64];
    char output[8192];
    struct err err = {0};
    int fd = support_make_directory(path);
    assert_int_equal(
        run(path, (struct simulate_options){.scenario = "plain"}, output, &err), 0);
    assert_true(exists(fd, "proc/4711"));
    assert_int_equal(
        run(path, (struct simulate_options){.scenario = "no_driver"}, output, &err), 0);
    assert_false(exists(fd, "proc/4711"));
    assert_false(exists(fd, "libnvidia-ml.so.1"));
    assert_false(exists(fd, "bin"));
    assert_true(exists(fd, "node.state"));
    /* A scenario that is refused leaves the node alone. */
    assert_true(run(path, (struct simulate_options){.scenario = "nope"}, output, &err) <
                0);
    assert_string_equal(output, "");
    assert_true(exists(fd, "proc/uptime"));
    support_remove_directory(fd, path);
}

static void frozen_is_reproducible(void **state)
{
    (void)state;
    char path[64];
    char output[8192];
    char first[65536];
    struct err err = {0};
    int fd = support_make_directory(path);
    struct simulate_options options = {.freeze = true};
    static const char *const files[] = {"proc/stat", "proc/uptime", "proc/10000/stat",
                                        "proc/10000/cgroup", "proc/10000/mountinfo"};
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        assert_int_equal(run(path, options, output, &err), 0);
        (void)snprintf(first, sizeof(first), "%s", support_read(fd, files[i]));
        assert_int_equal(run(path, options, output, &err), 0);
        assert_string_equal(support_read(fd, files[i]), first);
    }
    assert_non_null(strstr(support_read(fd, "proc/stat"), "btime 1767225600\n"));
    assert_true(
        str_starts(str_from(support_read(fd, "proc/uptime")), STR("1000000.00 ")));
    support_remove_directory(fd, path);
}

static void directories_refused(void **state)
{
    (void)state;
    char path[64];
    char inside[128];
    char output[8192];
    struct err err = {0};
    int fd = support_make_directory(path);
    struct simulate_options options = {0};
    assert_true(run("/tmp/two words", options, output, &err) < 0);
    assert_int_equal(err.domain, ERR_USAGE);
    (void)snprintf(inside, sizeof(inside), "%s/absent/too-deep", path);
    assert_true(run(inside, options, output, &err) < 0);
    assert_non_null(strstr(err.message, "too-deep"));
    assert_int_equal(directory_write(fd, "thesis.txt", STR("years of work"), 0644), 0);
    assert_true(run(path, options, output, &err) < 0);
    assert_non_null(strstr(err.message, "not empty"));
    assert_string_equal(support_read(fd, "thesis.txt"), "years of work");
    (void)snprintf(inside, sizeof(inside), "%s/thesis.txt", path);
    assert_true(run(inside, options, output, &err) < 0);
    /* Not a former node either: the magic is not enough when it is cut. */
    assert_int_equal(directory_write(fd, "node.state", STR("GPUSIM0"), 0644), 0);
    assert_true(run(path, options, output, &err) < 0);
    support_remove_directory(fd, path);
}

static void leftovers_of_a_killed_run(void **state)
{
    (void)state;
    char path[64];
    char output[8192];
    struct err err = {0};
    int fd = support_make_directory(path);
    CLEANUP(close_fdp) int half = directory_make(fd, ".gpu-sessions-new");
    assert_int_equal(directory_write(half, "proc", STR(""), 0644), 0);
    assert_int_equal(run(path, (struct simulate_options){0}, output, &err), 0);
    assert_false(exists(fd, ".gpu-sessions-new"));
    support_remove_directory(fd, path);
}

static void one_at_a_time(void **state)
{
    (void)state;
    char path[64];
    char output[8192];
    struct err err = {0};
    int fd = support_make_directory(path);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_true(run(path, (struct simulate_options){0}, output, &err) < 0);
    assert_non_null(strstr(err.message, "held"));
    support_remove_directory(fd, path);
}

static void listing(void **state)
{
    (void)state;
    char output[8192];
    struct err err = {0};
    assert_int_equal(run(NULL, (struct simulate_options){.list = true}, output, &err), 0);
    assert_true(str_starts(str_from(output), STR("default  ")));
    static const char *const names[] = {
        "\nplain ", "\nmig ",        "\ndense ",  "\nold_driver ", "\ngpu_lost ",
        "\nhang ",  "\nno_driver ",  "\nno_gpu ", "\npid_reused ", "\nhostile_names ",
        "\ncrash ", "\nno_hostpid ", "\nplain8 ", "\nhopper_mig ", "\nversion_mismatch "};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_non_null(strstr(output, names[i]));
}

static void missing_library(void **state)
{
    (void)state;
    char path[64];
    struct err err = {0};
    int fd = support_make_directory(path);
    struct simulate_options options = {.directory = path,
                                       .library = "/nonexistent/x.so",
                                       .smi = "/bin/true",
                                       .output_fd = 1};
    assert_true(simulate_run(&options, &err) < 0);
    assert_non_null(strstr(err.message, "/nonexistent/x.so"));
    assert_false(exists(fd, "proc"));
    assert_false(exists(fd, ".gpu-sessions-new"));
    support_remove_directory(fd, path);
}

/* The flags come first, then the node is held until the signal: exit 0. */
static void hold_until_signal(void **state)
{
    (void)state;
    char path[64];
    int ends[2];
    int fd = support_make_directory(path);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct err err = {0};
        struct simulate_options options = {.directory = path,
                                           .library = HIDDEN_SYMBOLS_LIBRARY,
                                           .smi = "/bin/true",
                                           .hold = true,
                                           .output_fd = ends[1]};
        _exit(simulate_run(&options, &err) == 0 ? 0 : 1);
    }
    close(ends[1]);
    char byte;
    assert_int_equal(read(ends[0], &byte, 1), 1);
    int status;
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(ends[0]);
    support_remove_directory(fd, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_and_files),
        cmocka_unit_test(replaces_former_node),
        cmocka_unit_test(frozen_is_reproducible),
        cmocka_unit_test(directories_refused),
        cmocka_unit_test(leftovers_of_a_killed_run),
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(listing),
        cmocka_unit_test(missing_library),
        cmocka_unit_test(hold_until_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
