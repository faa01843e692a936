/* The one way to call the driver: noted for the observer, counted once, refused when the
 * GPU is gone. */
#include "fake_nvml.h"

static struct call_progress *watched;

static nvmlReturn_t power_watched(nvmlDevice_t device, unsigned int *milliwatts)
{
    (void)device;
    assert_int_equal(atomic_load(&watched->sequence) % 2, 1);
    assert_int_equal(atomic_load(&watched->device), 7);
    assert_string_equal(watched->call, "nvmlDeviceGetPowerUsage");
    *milliwatts = 5;
    return NVML_SUCCESS;
}

static void a_call_is_noted_while_it_runs(void **state)
{
    (void)state;
    struct error_counters errors = {0};
    struct call_progress progress = {0};
    watched = &progress;
    struct nvml_link link = {.api = {.nvmlDeviceGetPowerUsage = power_watched},
                             .progress = &progress,
                             .errors = &errors};
    struct nvml_health gpu = {.index = 7};
    unsigned int milliwatts = 0;
    assert_int_equal(NVML_CALL(&link, &gpu, nvmlDeviceGetPowerUsage, NULL, &milliwatts),
                     NVML_SUCCESS);
    assert_int_equal(milliwatts, 5);
    assert_int_equal(atomic_load(&progress.sequence), 2);
    assert_int_equal(errors.count, 0);
}

static void an_absent_symbol_is_no_error(void **state)
{
    (void)state;
    struct error_counters errors = {0};
    struct call_progress progress = {0};
    struct nvml_link link = {.progress = &progress, .errors = &errors};
    unsigned int milliwatts = 0;
    assert_int_equal(NVML_CALL(&link, NULL, nvmlDeviceGetPowerUsage, NULL, &milliwatts),
                     NVML_ERROR_FUNCTION_NOT_FOUND);
    assert_int_equal(errors.count, 0);
    assert_int_equal(atomic_load(&progress.sequence), 0);
}

static void codes_are_counted_by_meaning(void **state)
{
    (void)state;
    static const struct {
        int code;
        bool is_counted;
        bool ends_gpu;
    } rows[] = {
        {0, false, false}, {3, false, false},  {13, false, false},  {25, false, false},
        {2, true, false},  {4, true, false},   {10, true, false},   {15, true, true},
        {9, true, true},   {999, true, false}, {1234, true, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        fake_reset(1);
        fake_add_fault("nvmlDeviceGetPowerUsage", -1, rows[i].code);
        struct error_counters errors = {0};
        struct call_progress progress = {0};
        struct nvml_link link = {
            .api = fake_api(), .progress = &progress, .errors = &errors};
        struct nvml_health gpu = {0};
        nvmlDevice_t handle = (nvmlDevice_t)(void *)&fake.gpus[0].device;
        unsigned int milliwatts = 0;
        for (int j = 0; j < 2; j++)
            (void)NVML_CALL(&link, &gpu, nvmlDeviceGetPowerUsage, handle, &milliwatts);
        assert_int_equal(errors.count, rows[i].is_counted);
        if (rows[i].is_counted)
            assert_int_equal(errors.entries[0].value, rows[i].ends_gpu ? 1 : 2);
        assert_int_equal(fake_calls("nvmlDeviceGetPowerUsage"), rows[i].ends_gpu ? 1 : 2);
        assert_int_equal(gpu.fault != NVML_SUCCESS, rows[i].ends_gpu);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_noted_while_it_runs),
        cmocka_unit_test(an_absent_symbol_is_no_error),
        cmocka_unit_test(codes_are_counted_by_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
