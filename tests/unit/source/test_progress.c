/* The words for GPUs that are left out, and the edges of the 64 that can be. */
#include "source/progress.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_reasons(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(4096);
    struct call_progress progress = {0};
    atomic_store(&progress.skip_devices, UINT64_C(1) << 63 | 5);
    atomic_store(&progress.crashed_devices, UINT64_C(1) << 63);
    memcpy(progress.skip_calls[2], "nvmlDeviceGetName", 18);
    memcpy(progress.skip_calls[63], "nvmlDeviceGetUUID", 18);
    static const struct {
        uint32_t index;
        bool is_left_out;
        const char *reason;
    } rows[] = {
        {0, true, "left out: a driver call did not return"},
        {1, false, NULL},
        {2, true, "left out: nvmlDeviceGetName did not return"},
        {63, true, "left out: nvmlDeviceGetUUID crashed the driver library"},
        {64, false, NULL},
        {PROGRESS_NO_DEVICE, false, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_int_equal(progress_is_left_out(&progress, rows[i].index),
                         rows[i].is_left_out);
        if (rows[i].reason)
            assert_string_equal(progress_left_out_reason(&progress, rows[i].index, arena),
                                rows[i].reason);
    }
}

static void test_a_call_in_progress_shows(void **state)
{
    (void)state;
    struct call_progress progress = {0};
    progress_begin(&progress, "nvmlInit_v2", PROGRESS_NO_DEVICE);
    assert_int_equal(atomic_load(&progress.sequence) % 2, 1);
    assert_string_equal(progress.call, "nvmlInit_v2");
    assert_int_equal(atomic_load(&progress.device), PROGRESS_NO_DEVICE);
    progress_end(&progress);
    char name[200];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    progress_begin(&progress, name, 1);
    assert_int_equal(strlen(progress.call), PROGRESS_CALL_BYTES - 1);
    progress_end(&progress);
    assert_int_equal(atomic_load(&progress.sequence) % 2, 0);
}

static void test_processes_left_out(void **state)
{
    (void)state;
    struct call_progress progress = {0};
    assert_false(progress_is_process_left_out(&progress, 0)); /* a free place is no pid */
    atomic_store(&progress.skip_pids[PROGRESS_MAX_PROCESSES - 1], 42);
    assert_true(progress_is_process_left_out(&progress, 42));
    assert_false(progress_is_process_left_out(&progress, 43));

    progress_begin_process(&progress, 42);
    assert_int_equal(atomic_load(&progress.pid), 42);
    assert_int_equal(atomic_load(&progress.device), PROGRESS_NO_DEVICE);
    progress_end(&progress);
    progress_begin(&progress, "nvmlShutdown", PROGRESS_NO_DEVICE);
    assert_int_equal(atomic_load(&progress.pid), 0);
    progress_end(&progress);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_processes_left_out),
        cmocka_unit_test(test_a_call_in_progress_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
