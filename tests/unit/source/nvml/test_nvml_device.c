/* GPUs: identity, gauges, and what one sick GPU costs (itself). */
#include "fake_nvml.h"

static void a_healthy_gpu_is_read(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(2);
    bench_init(&bench);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_string_equal(facts->driver_version, "550.163.01");
    assert_int_equal(facts->device_count, 2);
    const struct device_facts *gpu = &facts->devices[1];
    assert_int_equal(gpu->kind, DEVICE_GPU);
    assert_int_equal(gpu->index, 1);
    assert_int_equal(gpu->gi, MIG_ID_NONE);
    assert_int_equal(gpu->ci, MIG_ID_NONE);
    assert_false(gpu->has_mig_mode);
    assert_string_equal(gpu->uuid, "GPU-00000001");
    assert_string_equal(gpu->name, "NVIDIA A100-SXM4-40GB");
    assert_string_equal(gpu->pci_bus_id, "00000000:02:00.0");
    assert_null(gpu->mig_profile);
    assert_null(gpu->parent_uuid);
    assert_null(gpu->fault);
    assert_int_equal(gpu->memory_total_bytes.v, 40ULL << 30);
    assert_int_equal(gpu->memory_used_bytes.v, 1ULL << 30);
    assert_true(fabs(gpu->utilization_percent.v - 87) < 1e-9);
    assert_true(fabs(gpu->power_watts.v - 250.5) < 1e-9);
    assert_true(fabs(gpu->temperature_celsius.v - 61) < 1e-9);
    assert_int_equal(gpu->process_list, VALUE_OK);
    assert_int_equal(bench.errors.count, 0);
    bench_done(&bench);
}

static void no_gpu_is_success(void **state)
{
    (void)state;
    static const int codes[] = {0, 6, 28};
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        struct bench bench;
        fake_reset(0);
        fake_add_fault("nvmlDeviceGetCount_v2", -1, codes[i]);
        bench_init(&bench);
        assert_int_equal(bench_facts(&bench)->device_count, 0);
        assert_int_equal(bench.facts.process_count, 0);
        bench_done(&bench);
    }
}

static void gpus_past_the_bound_are_counted(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(FACTS_MAX_GPUS + 3);
    bench_init(&bench);
    assert_int_equal(bench_facts(&bench)->device_count, FACTS_MAX_GPUS);
    assert_int_equal(bench_errors(&bench, "too_many_gpus"), 3);
    fake.gpu_count = UINT32_MAX;
    assert_int_equal(bench_facts(&bench)->device_count, FACTS_MAX_GPUS);
    bench_done(&bench);
}

static void a_gpu_lost_at_its_handle_costs_itself(void **state)
{
    (void)state;
    static const struct {
        int code;
        const char *fault, *word;
    } rows[] = {
        {15, "GPU is lost (NVML 15); " DRIVER_GPU_REMEDY, "gpu_is_lost"},
        {16, "GPU requires reset (NVML 16); " DRIVER_GPU_REMEDY, "reset_required"},
        {999, "Unknown error (NVML 999); in a container, ", "unknown"},
        {4, "Insufficient permissions (NVML 4); give ", "no_permission"},
        {8, "Insufficient external power (NVML 8); connect ", "insufficient_power"},
        {21, "No data (NVML 21)", "no_data"},
        {1234, "NVML 1234", "other_code"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        fake_reset(3);
        fake_add_process(0, 10, 1, PROCESS_COMPUTE);
        fake_add_process(1, 11, 1, PROCESS_COMPUTE);
        fake_add_process(2, 12, 1, PROCESS_COMPUTE);
        fake_add_fault("nvmlDeviceGetHandleByIndex_v2", 1, rows[i].code);
        bench_init(&bench);
        const struct driver_facts *facts = bench_facts(&bench);
        assert_int_equal(facts->device_count, 3);
        assert_int_equal(facts->devices[1].index, 1);
        assert_true(
            str_starts(str_from(facts->devices[1].fault), str_from(rows[i].fault)));
        assert_null(facts->devices[1].uuid);
        assert_int_equal(facts->devices[1].memory_total_bytes.state, VALUE_ERROR);
        assert_int_equal(facts->devices[1].process_list, VALUE_ERROR);
        assert_null(facts->devices[0].fault);
        assert_null(facts->devices[2].fault);
        assert_int_equal(facts->process_count, 2);
        assert_int_equal(facts->processes[1].pid, 12);
        assert_int_equal(bench_errors(&bench, rows[i].word), 1);
        bench_done(&bench);
    }
}

static nvmlReturn_t handle_null(unsigned int index, nvmlDevice_t *device)
{
    *device = index ? (nvmlDevice_t)(void *)&fake.gpus[index].device : NULL;
    return NVML_SUCCESS;
}

static void a_null_handle_is_not_passed_on(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(2);
    bench_init(&bench);
    bench.api.nvmlDeviceGetHandleByIndex_v2 = handle_null;
    const struct driver_facts *facts = bench_facts(&bench);
    assert_true(
        str_starts(str_from(facts->devices[0].fault), STR("Unknown error (NVML 999); ")));
    assert_null(facts->devices[1].fault);
    bench_done(&bench);
}

static void a_gpu_lost_in_mid_life_keeps_its_name(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(2);
    fake_add_process(1, 11, 1, PROCESS_COMPUTE);
    bench_init(&bench);
    assert_int_equal(bench_facts(&bench)->process_count, 1);
    fake_add_fault("*", 1, 15);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_string_equal(facts->devices[1].fault,
                        "GPU is lost (NVML 15); " DRIVER_GPU_REMEDY);
    assert_string_equal(facts->devices[1].uuid, "GPU-00000001");
    assert_int_equal(facts->process_count, 0);
    assert_int_equal(bench_errors(&bench, "gpu_is_lost"), 1);
    fake.fault_count = 0; /* it came back */
    facts = bench_facts(&bench);
    assert_null(facts->devices[1].fault);
    assert_int_equal(facts->process_count, 1);
    bench_done(&bench);
}

static void a_gpu_lost_between_two_calls_is_left_alone(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(2);
    fake_add_process(0, 10, 1, PROCESS_COMPUTE);
    fake_add_fault("nvmlDeviceGetPowerUsage", 0, 15);
    bench_init(&bench);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_string_equal(facts->devices[0].fault,
                        "GPU is lost (NVML 15); " DRIVER_GPU_REMEDY);
    assert_int_equal(facts->devices[0].memory_total_bytes.state, VALUE_OK);
    assert_int_equal(facts->devices[0].temperature_celsius.state, VALUE_ERROR);
    assert_int_equal(fake_calls("nvmlDeviceGetTemperature"), 1); /* GPU 1's */
    assert_int_equal(bench_errors(&bench, "gpu_is_lost"), 1);
    assert_null(facts->devices[1].fault);
    bench_done(&bench);
}

static void names_are_read_once_per_uuid(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    bench_init(&bench);
    for (int i = 0; i < 3; i++)
        (void)bench_facts(&bench);
    assert_int_equal(fake_calls("nvmlDeviceGetName"), 1);
    assert_int_equal(fake_calls("nvmlDeviceGetPciInfo_v3"), 1);
    (void)snprintf(fake.gpus[0].device.uuid, 96, "GPU-another");
    (void)snprintf(fake.gpus[0].device.name, 96, "Another");
    const struct driver_facts *facts = bench_facts(&bench);
    assert_string_equal(facts->devices[0].uuid, "GPU-another");
    assert_string_equal(facts->devices[0].name, "Another");
    assert_int_equal(fake_calls("nvmlDeviceGetName"), 2);
    bench_done(&bench);
}

static void a_gpu_that_hides_its_uuid_is_still_read(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    fake_add_fault("nvmlDeviceGetUUID", -1, 4);
    bench_init(&bench);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_null(facts->devices[0].uuid);
    assert_null(facts->devices[0].fault);
    assert_int_equal(facts->devices[0].memory_total_bytes.state, VALUE_OK);
    assert_int_equal(bench_errors(&bench, "no_permission"), 1);
    bench_done(&bench);
}

static void memory_falls_back_to_the_old_layout(void **state)
{
    (void)state;
    static const int codes[] = {2, 13, 25, 0};
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        struct bench bench;
        fake_reset(1);
        bench_init(&bench);
        if (codes[i])
            fake_add_fault("nvmlDeviceGetMemoryInfo_v2", -1, codes[i]);
        else
            bench.api.nvmlDeviceGetMemoryInfo_v2 = NULL;
        for (int j = 0; j < 2; j++) {
            const struct driver_facts *facts = bench_facts(&bench);
            assert_int_equal(facts->devices[0].memory_used_bytes.v,
                             (1ULL << 30) + (600ULL << 20));
        }
        assert_int_equal(fake_calls("nvmlDeviceGetMemoryInfo_v2"), codes[i] ? 1 : 0);
        assert_int_equal(bench.errors.count, 0);
        bench_done(&bench);
    }
}

static void memory_may_be_missing(void **state)
{
    (void)state;
    static const struct {
        int code;
        unsigned long long total, used;
        enum value_state total_state, used_state;
    } rows[] = {
        {3, 0, 0, VALUE_UNSUPPORTED, VALUE_UNSUPPORTED},
        {4, 0, 0, VALUE_DENIED, VALUE_DENIED},
        {999, 0, 0, VALUE_ERROR, VALUE_ERROR},
        {0, 0, 0, VALUE_UNSUPPORTED, VALUE_UNSUPPORTED},
        {0, UINT64_MAX, 0, VALUE_UNSUPPORTED, VALUE_UNSUPPORTED},
        {0, 100, 101, VALUE_OK, VALUE_ERROR},
        {0, 100, 100, VALUE_OK, VALUE_OK},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        fake_reset(1);
        fake.gpus[0].device.memory_total = rows[i].total;
        fake.gpus[0].device.memory_used = rows[i].used;
        fake_add_fault("nvmlDeviceGetMemoryInfo_v2", -1, rows[i].code);
        bench_init(&bench);
        const struct device_facts *gpu = &bench_facts(&bench)->devices[0];
        assert_int_equal(gpu->memory_total_bytes.state, rows[i].total_state);
        assert_int_equal(gpu->memory_used_bytes.state, rows[i].used_state);
        bench_done(&bench);
    }
}

static nvmlReturn_t utilization_garbage(nvmlDevice_t device, nvmlUtilization_t *out)
{
    (void)device;
    *out = (nvmlUtilization_t){.gpu = 101};
    return NVML_SUCCESS;
}

static nvmlReturn_t power_odd(nvmlDevice_t device, unsigned int *milliwatts)
{
    (void)device;
    *milliwatts = 229355;
    return NVML_SUCCESS;
}

/* The nearest double to 229.355, not the one beside it that 229355 × 0.001 gives. */
static void milliwatts_become_watts_exactly(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    bench_init(&bench);
    bench.api.nvmlDeviceGetPowerUsage = power_odd;
    const double watts = bench_facts(&bench)->devices[0].power_watts.v;
    const double expected = 229.355;
    assert_memory_equal(&watts, &expected, sizeof watts);
    bench_done(&bench);
}

static nvmlReturn_t power_not_available(nvmlDevice_t device, unsigned int *milliwatts)
{
    (void)device;
    *milliwatts = UINT32_MAX;
    return NVML_SUCCESS;
}

static void gauges_that_cannot_be_are_not_shown(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    bench_init(&bench);
    bench.api.nvmlDeviceGetUtilizationRates = utilization_garbage;
    bench.api.nvmlDeviceGetPowerUsage = power_not_available;
    bench.api.nvmlDeviceGetTemperature = NULL;
    const struct device_facts *gpu = &bench_facts(&bench)->devices[0];
    assert_int_equal(gpu->utilization_percent.state, VALUE_ERROR);
    assert_int_equal(gpu->power_watts.state, VALUE_UNSUPPORTED);
    assert_int_equal(gpu->temperature_celsius.state, VALUE_UNSUPPORTED);
    assert_int_equal(bench_errors(&bench, "implausible"), 1);
    bench_done(&bench);
}

static void a_skipped_gpu_is_not_called(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(3);
    bench_init(&bench);
    atomic_store(&bench.progress.skip_devices, 6);
    atomic_store(&bench.progress.crashed_devices, 4);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_null(facts->devices[0].fault);
    assert_string_equal(facts->devices[1].fault,
                        "left out: a driver call did not return");
    assert_string_equal(facts->devices[2].fault,
                        "left out: a driver call crashed the driver library");
    assert_int_equal(facts->devices[2].process_list, VALUE_ERROR);
    assert_int_equal(fake_calls("nvmlDeviceGetHandleByIndex_v2"), 1);
    assert_int_equal(fake_calls("nvmlDeviceGetUUID"), 1);
    bench_done(&bench);
}

static void all_gpus_failing_is_the_drivers_fault(void **state)
{
    (void)state;
    static const struct {
        int first, second;
        bool is_session;
    } rows[] = {
        {999, 999, true}, {1, 999, true},  {9, 9, true},    {18, 18, true},
        {15, 999, false}, {999, 0, false}, {15, 15, false}, {0, 1, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        fake_reset(2);
        fake_add_fault("nvmlDeviceGetHandleByIndex_v2", 0, rows[i].first);
        fake_add_fault("nvmlDeviceGetHandleByIndex_v2", 1, rows[i].second);
        bench_init(&bench);
        assert_int_equal(bench_collect(&bench) < 0, rows[i].is_session);
        if (rows[i].is_session)
            assert_non_null(strstr(bench.err.message, "no GPU answers"));
        bench_done(&bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_healthy_gpu_is_read),
        cmocka_unit_test(milliwatts_become_watts_exactly),
        cmocka_unit_test(no_gpu_is_success),
        cmocka_unit_test(gpus_past_the_bound_are_counted),
        cmocka_unit_test(a_gpu_lost_at_its_handle_costs_itself),
        cmocka_unit_test(a_null_handle_is_not_passed_on),
        cmocka_unit_test(a_gpu_lost_in_mid_life_keeps_its_name),
        cmocka_unit_test(a_gpu_lost_between_two_calls_is_left_alone),
        cmocka_unit_test(names_are_read_once_per_uuid),
        cmocka_unit_test(a_gpu_that_hides_its_uuid_is_still_read),
        cmocka_unit_test(memory_falls_back_to_the_old_layout),
        cmocka_unit_test(memory_may_be_missing),
        cmocka_unit_test(gauges_that_cannot_be_are_not_shown),
        cmocka_unit_test(a_skipped_gpu_is_not_called),
        cmocka_unit_test(all_gpus_failing_is_the_drivers_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
