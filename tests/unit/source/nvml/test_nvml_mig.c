/* MIG devices: sparse slots, profiles, devices that come and go, who holds which process.
 */
#include "fake_nvml.h"

/* GPU 0 in MIG mode with instances in slots 0, 2 and 5; GPU 1 plain. */
static void set_mig_node(struct bench *bench)
{
    fake_reset(2);
    (void)fake_add_mig(0, 0, 7, 0);
    (void)fake_add_mig(0, 2, 8, 0);
    (void)fake_add_mig(0, 5, 9, 0);
    bench_init(bench);
}

static void sparse_slots_are_enumerated(void **state)
{
    (void)state;
    static const int empty_codes[] = {NVML_ERROR_NOT_FOUND, NVML_ERROR_INVALID_ARGUMENT};
    for (size_t i = 0; i < ARRAY_LENGTH(empty_codes); i++) {
        struct bench bench;
        set_mig_node(&bench);
        fake.gpus[0].empty_slot_code = (nvmlReturn_t)empty_codes[i];
        const struct driver_facts *facts = bench_facts(&bench);
        assert_int_equal(facts->device_count, 5);
        assert_true(facts->devices[0].has_mig_mode);
        assert_true(facts->devices[0].has_mig_devices);
        assert_int_equal(facts->devices[0].utilization_percent.state, VALUE_UNSUPPORTED);
        assert_int_equal(facts->devices[0].power_watts.state, VALUE_OK);
        for (unsigned k = 1; k <= 3; k++) {
            const struct device_facts *mig = &facts->devices[k];
            assert_int_equal(mig->kind, DEVICE_MIG);
            assert_int_equal(mig->index, 0);
            assert_int_equal(mig->gi, 6 + k);
            assert_int_equal(mig->ci, 0);
            assert_string_equal(mig->mig_profile, "1g.5gb");
            assert_string_equal(mig->parent_uuid, "GPU-00000000");
            assert_string_equal(mig->name, "NVIDIA A100-SXM4-40GB");
            assert_string_equal(mig->pci_bus_id, "00000000:01:00.0");
            assert_int_equal(mig->memory_total_bytes.v, 5ULL << 30);
            assert_int_equal(mig->power_watts.state, VALUE_UNSUPPORTED);
            assert_int_equal(mig->temperature_celsius.state, VALUE_UNSUPPORTED);
            assert_int_equal(mig->process_list, VALUE_OK);
        }
        assert_string_equal(facts->devices[3].uuid, "MIG-0-9-0");
        assert_int_equal(facts->devices[4].kind, DEVICE_GPU);
        assert_int_equal(facts->devices[4].index, 1);
        assert_int_equal(bench.errors.count, 0);
        bench_done(&bench);
    }
}

static void mig_mode_without_instances_shows_the_gpu(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    fake.gpus[0].has_mig_mode = true;
    fake.gpus[0].slot_count = 7;
    bench_init(&bench);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_int_equal(facts->device_count, 1);
    assert_true(facts->devices[0].has_mig_mode);
    assert_false(facts->devices[0].has_mig_devices);
    bench_done(&bench);
}

static void ids_are_read_once_per_uuid(void **state)
{
    (void)state;
    struct bench bench;
    set_mig_node(&bench);
    for (int i = 0; i < 3; i++)
        (void)bench_facts(&bench);
    assert_int_equal(fake_calls("nvmlDeviceGetGpuInstanceId"), 3);
    assert_int_equal(fake_calls("nvmlDeviceGetName"), 2 + 3);
    (void)fake_add_mig(0, 2, 11, 0); /* another instance in the slot */
    assert_int_equal(bench_facts(&bench)->devices[2].gi, 11);
    bench_done(&bench);
}

static void a_new_layout_is_picked_up(void **state)
{
    (void)state;
    struct bench bench;
    set_mig_node(&bench);
    assert_int_equal(bench_facts(&bench)->device_count, 5);
    fake.gpus[0].slots[2].is_present = false;
    assert_int_equal(bench_facts(&bench)->device_count, 4);
    fake.gpus[0].has_mig_mode = false;
    const struct driver_facts *facts = bench_facts(&bench);
    assert_int_equal(facts->device_count, 2);
    assert_false(facts->devices[0].has_mig_mode);
    (void)fake_add_mig(0, 1, 10, 0);
    facts = bench_facts(&bench);
    assert_int_equal(facts->device_count, 5); /* slots 0 and 5 are there again */
    assert_int_equal(facts->devices[2].gi, 10);
    bench_done(&bench);
}

static void a_device_that_vanishes_meanwhile_is_dropped(void **state)
{
    (void)state;
    static const struct {
        const char *call;
        int code;
        unsigned errors;
        unsigned devices;
    } rows[] = {
        {"nvmlDeviceGetGpuInstanceId", 6, 0, 4},
        {"nvmlDeviceGetGpuInstanceId", 2, 0, 4},
        {"nvmlDeviceGetComputeInstanceId", 999, 1, 4},
        {"nvmlDeviceGetComputeInstanceId", 3, 0, 4}, /* no id, no device */
        {"nvmlDeviceGetMigDeviceHandleByIndex", 4, 1, 4},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        set_mig_node(&bench);
        fake_add_fault(rows[i].call, 0, rows[i].code);
        fake.faults[0].after = 2;
        if (strstr(rows[i].call, "Handle"))
            fake.faults[0].after = 5; /* slot 5 */
        const struct driver_facts *facts = bench_facts(&bench);
        assert_int_equal(facts->device_count, rows[i].devices);
        assert_null(facts->devices[0].fault);
        if (rows[i].code == 999)
            assert_int_equal(bench_errors(&bench, "unknown"), 1);
        bench_done(&bench);
    }
}

static void a_gpu_lost_while_enumerating_is_lost(void **state)
{
    (void)state;
    struct bench bench;
    set_mig_node(&bench);
    fake_add_fault("nvmlDeviceGetGpuInstanceId", 0, 15);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_int_equal(facts->device_count, 2);
    assert_string_equal(facts->devices[0].fault,
                        "GPU is lost (NVML 15); " DRIVER_GPU_REMEDY);
    assert_null(facts->devices[1].fault);
    bench_done(&bench);
}

static void slots_past_the_bound_are_not_asked(void **state)
{
    (void)state;
    struct bench bench;
    set_mig_node(&bench);
    fake.gpus[0].slot_count = FACTS_MAX_MIG_PER_GPU + 4;
    (void)fake_add_mig(0, FACTS_MAX_MIG_PER_GPU - 1, 12, 0);
    (void)fake_add_mig(0, FACTS_MAX_MIG_PER_GPU, 13, 0);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_int_equal(facts->device_count, 6);
    assert_int_equal(facts->devices[4].gi, 12);
    assert_int_equal(bench_errors(&bench, "too_many_mig_devices"), 4);
    bench_done(&bench);
}

static void profiles_come_from_name_or_attributes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned long long gpu_mib;
        unsigned ci;
        bool is_denied;
        const char *profile;
    } rows[] = {
        {"NVIDIA A100 MIG 1g.5gb", 143771, 0, false, "1g.5gb"},
        {"X MIG Y MIG 1c.3g.71gb+me", 143771, 0, false, "1c.3g.71gb+me"},
        {"NVIDIA H200", 143771, 0, false, "1c.3g.71gb"},
        {"NVIDIA H200", 143771, 1, false, "3g.71gb"},
        {"NVIDIA H200 MIG ", 143771, 1, false, "3g.71gb"},
        {"NVIDIA H200", 0, 1, false, "3g.70gb"}, /* total not told: rounded up */
        {"NVIDIA H200", 143771, 1, true, "3g.70gb"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        fake_reset(1);
        struct fake_device *mig = fake_add_mig(0, 0, 2, rows[i].ci);
        (void)snprintf(mig->name, sizeof mig->name, "%s", rows[i].name);
        fake.gpus[0].device.memory_total = rows[i].gpu_mib << 20;
        fake.is_parent_denied = rows[i].is_denied;
        bench_init(&bench);
        assert_string_equal(bench_facts(&bench)->devices[1].mig_profile, rows[i].profile);
        bench_done(&bench);
    }
}

static void a_profile_that_was_not_told_is_asked_again(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    (void)fake_add_mig(0, 0, 2, 0);
    bench_init(&bench);
    fake_add_fault("nvmlDeviceGetName", -1, 999);
    fake_add_fault("nvmlDeviceGetAttributes_v2", -1, 999);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_null(facts->devices[1].mig_profile);
    assert_string_equal(facts->devices[1].uuid, "MIG-0-2-0");
    fake.fault_count = 0;
    assert_string_equal(bench_facts(&bench)->devices[1].mig_profile, "1g.5gb");
    bench_done(&bench);
}

static void a_mode_that_is_not_told_is_seen_by_its_devices(void **state)
{
    (void)state;
    struct bench bench;
    set_mig_node(&bench);
    fake_add_fault("nvmlDeviceGetMigMode", -1, 999);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_true(facts->devices[0].has_mig_mode);
    assert_int_equal(facts->device_count, 5);
    assert_false(facts->devices[4].has_mig_mode);
    bench_done(&bench);
}

static void an_old_library_has_no_mig(void **state)
{
    (void)state;
    struct bench bench;
    set_mig_node(&bench);
    fake.gpus[0].has_mig_mode = false;
    bench.api.nvmlDeviceGetMigMode = NULL;
    assert_int_equal(bench_facts(&bench)->device_count, 2);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sparse_slots_are_enumerated),
        cmocka_unit_test(mig_mode_without_instances_shows_the_gpu),
        cmocka_unit_test(ids_are_read_once_per_uuid),
        cmocka_unit_test(a_new_layout_is_picked_up),
        cmocka_unit_test(a_device_that_vanishes_meanwhile_is_dropped),
        cmocka_unit_test(a_gpu_lost_while_enumerating_is_lost),
        cmocka_unit_test(slots_past_the_bound_are_not_asked),
        cmocka_unit_test(profiles_come_from_name_or_attributes),
        cmocka_unit_test(a_profile_that_was_not_told_is_asked_again),
        cmocka_unit_test(a_mode_that_is_not_told_is_seen_by_its_devices),
        cmocka_unit_test(an_old_library_has_no_mig),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
