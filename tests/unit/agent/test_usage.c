/* What the daemon's processes cost, read of this process and of children. */
#include "agent/usage.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

static void own_process_is_measured(void **state)
{
    (void)state;
    pid_t self = getpid();
    struct process_usage before = usage_read(&self, 1);
    assert_int_equal(before.cpu_seconds.state, VALUE_OK);
    assert_int_equal(before.resident_bytes.state, VALUE_OK);
    assert_int_equal(before.virtual_bytes.state, VALUE_OK);
    assert_true(before.resident_bytes.v > 0);
    assert_true(before.virtual_bytes.v >= before.resident_bytes.v);

    CLEANUP(close_fdp) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct process_usage after = usage_read(&self, 1);
    assert_int_equal(after.open_descriptors.state, VALUE_OK);
    assert_int_equal(after.open_descriptors.v, before.open_descriptors.v + 1);
    assert_true(after.cpu_seconds.v >= before.cpu_seconds.v);

    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(after.max_descriptors.v, limit.rlim_cur);
}

static pid_t start_waiting_child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    return pid;
}

static void processes_are_summed_and_absent_ones_skipped(void **state)
{
    (void)state;
    pid_t child = start_waiting_child();
    assert_true(child > 0);
    const pid_t both[] = {getpid(), 0, child};
    struct process_usage one = usage_read(both, 1);
    struct process_usage sum = usage_read(both, ARRAY_LENGTH(both));
    /* The kernel counts a young process's pages in batches: it may still say 0. */
    assert_int_equal(sum.resident_bytes.state, VALUE_OK);
    assert_true(sum.virtual_bytes.v > one.virtual_bytes.v);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* What is open and what may be are of the same process, or they could not be compared. */
static void the_tightest_limit_is_told(void **state)
{
    (void)state;
    CLEANUP(close_fdp) int inherited = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(inherited >= 0);
    pid_t child = start_waiting_child();
    assert_true(child > 0);
    const struct rlimit tight = {4, 4};
    assert_int_equal(prlimit(child, RLIMIT_NOFILE, &tight, NULL), 0);
    const pid_t orders[][2] = {{getpid(), child}, {child, getpid()}};
    uint64_t open_in_child = usage_read(&child, 1).open_descriptors.v;
    for (size_t i = 0; i < ARRAY_LENGTH(orders); i++) {
        struct process_usage usage = usage_read(orders[i], 2);
        assert_int_equal(usage.max_descriptors.v, 4);
        assert_int_equal(usage.open_descriptors.v, open_in_child);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void a_process_that_is_gone_leaves_no_number(void **state)
{
    (void)state;
    pid_t child = start_waiting_child();
    assert_true(child > 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    const pid_t both[] = {getpid(), child};
    struct process_usage usage = usage_read(both, ARRAY_LENGTH(both));
    assert_int_not_equal(usage.cpu_seconds.state, VALUE_OK);
    assert_int_not_equal(usage.resident_bytes.state, VALUE_OK);
    assert_int_not_equal(usage.virtual_bytes.state, VALUE_OK);
    assert_int_not_equal(usage.open_descriptors.state, VALUE_OK);
    assert_int_not_equal(usage.max_descriptors.state, VALUE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_process_is_measured),
        cmocka_unit_test(processes_are_summed_and_absent_ones_skipped),
        cmocka_unit_test(the_tightest_limit_is_told),
        cmocka_unit_test(a_process_that_is_gone_leaves_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
