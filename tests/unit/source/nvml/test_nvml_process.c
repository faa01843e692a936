/* Process lists: layouts, growth, distrust, attribution under MIG, order and bounds. */
#include "fake_nvml.h"

static void lists_of_all_kinds_are_merged(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(2);
    fake_add_process(1, 40, 100, PROCESS_COMPUTE);
    fake_add_process(0, 30, 10, PROCESS_COMPUTE | PROCESS_GRAPHICS);
    fake_add_process(0, 20, UINT64_MAX, PROCESS_COMPUTE);
    fake_add_process(0, 20, 77, PROCESS_MPS);
    fake_add_process(0, 20, 70, PROCESS_GRAPHICS);
    fake_add_process(0, 50, 5, PROCESS_GRAPHICS);
    bench_init(&bench);
    bench.config.with_graphics = true;
    const struct driver_facts *facts = bench_facts(&bench);
    static const struct {
        unsigned device, pid, kinds;
        unsigned long long memory;
    } rows[] = {{0, 20, 7, 77}, {0, 30, 5, 10}, {0, 50, 4, 5}, {1, 40, 1, 100}};
    assert_int_equal(facts->process_count, ARRAY_LENGTH(rows));
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_int_equal(facts->processes[i].device, rows[i].device);
        assert_int_equal(facts->processes[i].pid, rows[i].pid);
        assert_int_equal(facts->processes[i].kinds, rows[i].kinds);
        assert_int_equal(facts->processes[i].memory_used_bytes.v, rows[i].memory);
    }
    assert_int_equal(bench.errors.count, 0);
    bench_done(&bench);
}

static void graphics_is_an_option(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    fake_add_process(0, 50, 5, PROCESS_GRAPHICS);
    bench_init(&bench);
    assert_int_equal(bench_facts(&bench)->process_count, 0);
    assert_int_equal(fake_calls("nvmlDeviceGetGraphicsRunningProcesses_v2"), 0);
    bench_done(&bench);
}

static void remove_v2(struct nvml_api *api)
{
    api->nvmlDeviceGetComputeRunningProcesses_v2 = NULL;
    api->nvmlDeviceGetMPSComputeRunningProcesses_v2 = NULL;
    api->nvmlDeviceGetGraphicsRunningProcesses_v2 = NULL;
}

static void the_old_layout_is_read(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    for (unsigned i = 0; i < 70; i++)
        fake_add_process(0, 1000 + i, i, PROCESS_COMPUTE);
    bench_init(&bench);
    remove_v2(&bench.api);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_int_equal(facts->process_count, 70);
    assert_int_equal(facts->processes[69].pid, 1069);
    assert_int_equal(facts->processes[69].memory_used_bytes.v, 69);
    assert_int_equal(bench.errors.count, 0);
    bench_done(&bench);
}

static void a_library_without_lists_says_unsupported(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    bench_init(&bench);
    remove_v2(&bench.api);
    bench.api.nvmlDeviceGetComputeRunningProcesses = NULL;
    bench.api.nvmlDeviceGetMPSComputeRunningProcesses = NULL;
    assert_int_equal(bench_facts(&bench)->devices[0].process_list, VALUE_UNSUPPORTED);
    assert_int_equal(bench.errors.count, 0);
    bench_done(&bench);
}

static void memory_not_available_is_no_number(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    fake_add_process(0, 20, UINT64_MAX, PROCESS_COMPUTE);
    fake_add_process(0, 21, 0, PROCESS_COMPUTE);
    bench_init(&bench);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_int_equal(facts->processes[0].memory_used_bytes.state, VALUE_UNSUPPORTED);
    assert_int_equal(facts->processes[1].memory_used_bytes.state, VALUE_OK);
    bench_done(&bench);
}

static void a_long_list_is_asked_again(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    for (unsigned i = 0; i < 1500; i++)
        fake_add_process(0, 1 + i, 1, PROCESS_COMPUTE);
    fake.process_count = 950;
    fake.grow_by = 100; /* while it is being asked for */
    bench_init(&bench);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_int_equal(facts->process_count, 1050);
    assert_int_equal(facts->devices[0].process_list, VALUE_OK);
    unsigned calls = fake_calls("nvmlDeviceGetComputeRunningProcesses_v2");
    assert_int_equal(calls, 2);
    (void)bench_facts(&bench); /* the buffer stays large */
    assert_int_equal(fake_calls("nvmlDeviceGetComputeRunningProcesses_v2"), calls + 1);
    bench_done(&bench);
}

static nvmlReturn_t list_never_fits(nvmlDevice_t device, unsigned int *count,
                                    nvmlProcessInfo_v2_t *infos)
{
    (void)device;
    (void)infos;
    fake_counter("never")->n++;
    *count = fake.claimed_count;
    return NVML_ERROR_INSUFFICIENT_SIZE;
}

static void growing_ends(void **state)
{
    (void)state;
    static const unsigned claims[] = {0, 1, 1000000, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(claims); i++) {
        struct bench bench;
        fake_reset(1);
        fake.claimed_count = claims[i];
        bench_init(&bench);
        bench.api.nvmlDeviceGetComputeRunningProcesses_v2 = list_never_fits;
        bench.api.nvmlDeviceGetMPSComputeRunningProcesses_v2 = NULL;
        bench.api.nvmlDeviceGetMPSComputeRunningProcesses = NULL;
        assert_int_equal(bench_facts(&bench)->devices[0].process_list, VALUE_ERROR);
        assert_int_equal(fake_calls("never"), 5);
        assert_int_equal(bench_errors(&bench, "insufficient_size"), 1);
        bench_done(&bench);
    }
}

static void a_list_that_contradicts_itself_is_not_believed(void **state)
{
    (void)state;
    static const struct {
        bool is_old;
        unsigned stride, claimed, processes;
    } rows[] = {
        {false, 32, 0, 2},         {false, 16, 0, 1}, {false, 16, 0, 2},
        {false, 16, 0, 5},         {false, 0, 3, 2},  {false, 0, 65, 2},
        {false, 0, UINT32_MAX, 2}, {true, 24, 0, 1},  {true, 32, 0, 3},
        {true, 0, 4, 3},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        fake_reset(1);
        for (unsigned j = 0; j < rows[i].processes; j++)
            fake_add_process(0, 10 + j, 1 << 20, PROCESS_COMPUTE);
        fake.written_stride = rows[i].stride;
        fake.claimed_count = rows[i].claimed;
        bench_init(&bench);
        bench.api.nvmlDeviceGetMPSComputeRunningProcesses_v2 = NULL;
        bench.api.nvmlDeviceGetMPSComputeRunningProcesses = NULL;
        if (rows[i].is_old)
            remove_v2(&bench.api);
        const struct driver_facts *facts = bench_facts(&bench);
        assert_int_equal(facts->devices[0].process_list, VALUE_ERROR);
        assert_int_equal(facts->process_count, 0);
        assert_int_equal(bench_errors(&bench, "implausible_list"), 1);
        bench_done(&bench);
    }
}

static void implausible_entries_are_left_out(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    fake_add_process(0, 0, 1, PROCESS_COMPUTE);
    fake_add_process(0, 4194304, 1, PROCESS_COMPUTE);
    fake_add_process(0, 4194305, 1, PROCESS_COMPUTE);
    fake_add_process(0, UINT32_MAX, 1, PROCESS_COMPUTE);
    fake_add_process(0, 77, 5, PROCESS_COMPUTE);
    fake_add_process(0, 77, 9, PROCESS_COMPUTE);
    bench_init(&bench);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_int_equal(facts->process_count, 2);
    assert_int_equal(facts->processes[0].pid, 77);
    assert_int_equal(facts->processes[0].memory_used_bytes.v, 9);
    assert_int_equal(facts->processes[1].pid, 4194304);
    assert_int_equal(bench_errors(&bench, "implausible"), 4);
    bench_done(&bench);
}

static void a_failed_list_has_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *call;
        int code;
        enum value_state state;
        unsigned processes, errors;
    } rows[] = {
        {"nvmlDeviceGetComputeRunningProcesses_v2", 3, VALUE_UNSUPPORTED, 1, 0},
        {"nvmlDeviceGetComputeRunningProcesses_v2", 4, VALUE_DENIED, 1, 1},
        {"nvmlDeviceGetComputeRunningProcesses_v2", 999, VALUE_ERROR, 1, 1},
        {"nvmlDeviceGetComputeRunningProcesses_v2", 15, VALUE_ERROR, 0, 1},
        {"nvmlDeviceGetMPSComputeRunningProcesses_v2", 3, VALUE_OK, 1, 0},
        {"nvmlDeviceGetMPSComputeRunningProcesses_v2", 4, VALUE_DENIED, 1, 1},
        {"nvmlDeviceGetMPSComputeRunningProcesses_v2", 999, VALUE_ERROR, 1, 1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        fake_reset(1);
        fake_add_process(0, 10, 1, PROCESS_COMPUTE);
        fake_add_process(0, 11, 1, PROCESS_MPS);
        fake_add_fault(rows[i].call, -1, rows[i].code);
        bench_init(&bench);
        const struct driver_facts *facts = bench_facts(&bench);
        assert_int_equal(facts->devices[0].process_list, rows[i].state);
        assert_int_equal(facts->process_count, rows[i].processes);
        assert_int_equal(bench.errors.count, rows[i].errors);
        bench_done(&bench);
    }
}

/* GPU 0: GI 1 with two compute instances, GI 3 with one; GPU 1 plain. */
static void set_mig_node(struct bench *bench)
{
    fake_reset(2);
    (void)fake_add_mig(0, 0, 1, 0);
    (void)fake_add_mig(0, 1, 1, 1);
    (void)fake_add_mig(0, 4, 3, 0);
    fake_add_mig_process(0, 3, 0, 33, 1);
    fake_add_mig_process(0, 1, 1, 12, 1);
    fake_add_mig_process(0, 1, 0, 11, 1);
    fake_add_mig_process(0, 1, 0, 10, 1);
    fake_add_process(1, 20, 1, PROCESS_COMPUTE);
    bench_init(bench);
}

static void expect_mig_processes(const struct driver_facts *facts)
{
    static const unsigned expected[][2] = {{1, 10}, {1, 11}, {2, 12}, {3, 33}, {4, 20}};
    assert_int_equal(facts->process_count, ARRAY_LENGTH(expected));
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        assert_int_equal(facts->processes[i].device, expected[i][0]);
        assert_int_equal(facts->processes[i].pid, expected[i][1]);
    }
}

static void the_parents_list_is_distributed(void **state)
{
    (void)state;
    struct bench bench;
    set_mig_node(&bench);
    expect_mig_processes(bench_facts(&bench));
    assert_int_equal(fake_calls("nvmlDeviceGetComputeRunningProcesses_v2"), 2);
    assert_int_equal(bench.errors.count, 0);
    bench_done(&bench);
}

static void each_mig_device_is_asked_where_the_parent_is_denied(void **state)
{
    (void)state;
    struct bench bench;
    set_mig_node(&bench);
    fake.is_parent_denied = true;
    const struct driver_facts *facts = bench_facts(&bench);
    expect_mig_processes(facts);
    assert_int_equal(facts->devices[0].memory_total_bytes.state, VALUE_DENIED);
    assert_int_equal(facts->devices[1].process_list, VALUE_OK);
    assert_int_equal(bench.errors.count, 0); /* usual without root */
    bench_done(&bench);
}

static void a_siblings_process_is_not_taken_for_ones_own(void **state)
{
    (void)state;
    struct bench bench;
    set_mig_node(&bench);
    fake.is_parent_denied = true;
    fake.lists_siblings = true;
    expect_mig_processes(bench_facts(&bench));
    assert_int_equal(bench.errors.count, 0); /* each is listed where it belongs */
    bench_done(&bench);
}

static void each_mig_device_is_asked_where_the_list_is_old(void **state)
{
    (void)state;
    struct bench bench;
    set_mig_node(&bench);
    remove_v2(&bench.api);
    expect_mig_processes(bench_facts(&bench));
    assert_int_equal(fake_calls("nvmlDeviceGetComputeRunningProcesses"), 3 + 1);
    bench_done(&bench);
}

static void entries_of_no_device_are_left_out(void **state)
{
    (void)state;
    struct bench bench;
    set_mig_node(&bench);
    fake_add_mig_process(0, 3, MIG_ID_NONE, 34, 1); /* GI 3 has one CI: that one */
    fake_add_mig_process(0, 1, MIG_ID_NONE, 13, 1); /* GI 1 has two: nobody's */
    fake_add_mig_process(0, 9, 0, 90, 1);
    fake_add_mig_process(0, MIG_ID_NONE, MIG_ID_NONE, 91, 1);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_int_equal(facts->process_count, 6);
    assert_int_equal(facts->processes[4].pid, 34);
    assert_int_equal(facts->processes[4].device, 3);
    assert_int_equal(bench_errors(&bench, "unattributed"), 3);
    bench_done(&bench);
}

/* Without root, some drivers leave processes out of the parent's list and say nothing. */
static void a_parents_list_that_hides_processes_is_not_relied_on(void **state)
{
    (void)state;
    static const struct {
        unsigned hides, stray_gi, unattributed;
    } rows[] = {
        {UINT32_MAX, 0, 0}, /* empty */
        {90, MIG_ID_NONE, 1},
        {90, 9, 1},
        {0, 9, 1}, /* a stranger shows */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        set_mig_node(&bench);
        fake.parent_hides = rows[i].hides;
        if (rows[i].unattributed)
            fake_add_mig_process(0, rows[i].stray_gi, 0, 90, 1);
        expect_mig_processes(bench_facts(&bench));
        assert_int_equal(bench.facts.devices[1].process_list, VALUE_OK);
        assert_int_equal(bench_errors(&bench, "unattributed"), rows[i].unattributed);
        assert_int_equal(bench.errors.count, rows[i].unattributed);
        bench_done(&bench);
    }
}

/* The instance that the parent names is not known, that of the MIG handle is. */
static nvmlReturn_t list_of_an_unknown_instance(nvmlDevice_t handle, unsigned int *count,
                                                nvmlProcessInfo_v2_t *infos)
{
    nvmlReturn_t code =
        fake_nvmlDeviceGetComputeRunningProcesses_v2(handle, count, infos);
    bool is_parent =
        !fake_of(handle)->is_mig && fake.gpus[fake_of(handle)->gpu].slot_count;
    for (unsigned i = 0; code == NVML_SUCCESS && is_parent && i < *count; i++)
        infos[i].gpuInstanceId = MIG_ID_NONE;
    return code;
}

static void what_the_mig_devices_list_is_attributed(void **state)
{
    (void)state;
    struct bench bench;
    set_mig_node(&bench);
    bench.api.nvmlDeviceGetComputeRunningProcesses_v2 = list_of_an_unknown_instance;
    expect_mig_processes(bench_facts(&bench));
    assert_int_equal(bench.errors.count, 0);
    bench_done(&bench);
}

/* No MIG handle answers, or not the one: what the parent said is all there is. */
static void a_parents_list_counts_where_the_devices_have_none(void **state)
{
    (void)state;
    static const struct {
        int code;
        unsigned after;
        enum value_state states[3];
    } rows[] = {
        {3, 1, {VALUE_OK, VALUE_OK, VALUE_OK}},
        {4, 1, {VALUE_DENIED, VALUE_DENIED, VALUE_DENIED}},
        {999, 3, {VALUE_OK, VALUE_OK, VALUE_ERROR}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        set_mig_node(&bench);
        fake.gpu_count = 1;
        fake_add_mig_process(0, 9, 0, 90, 1);
        fake_add_fault("nvmlDeviceGetComputeRunningProcesses_v2", 0, rows[i].code);
        fake.faults[0].after = rows[i].after;
        const struct driver_facts *facts = bench_facts(&bench);
        assert_int_equal(facts->process_count, 4);
        assert_int_equal(facts->processes[3].pid, 33);
        for (size_t j = 0; j < 3; j++)
            assert_int_equal(facts->devices[1 + j].process_list, rows[i].states[j]);
        assert_int_equal(bench_errors(&bench, "unattributed"), 1);
        assert_int_equal(bench_errors(&bench, "implausible"), 0);
        bench_done(&bench);
    }
}

static void an_instance_is_no_plain_gpu_where_the_mode_is_not_told(void **state)
{
    (void)state;
    static const struct {
        int code;
        size_t sessions;
    } rows[] = {{999, 1}, {4, 1}, {3, 2}, {13, 2}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        fake_reset(1);
        fake_add_mig_process(0, 3, 0, 34, 1);
        fake_add_process(0, 35, 1, PROCESS_COMPUTE);
        fake_add_fault("nvmlDeviceGetMigMode", -1, rows[i].code);
        bench_init(&bench);
        const struct driver_facts *facts = bench_facts(&bench);
        assert_false(facts->devices[0].has_mig_mode);
        assert_int_equal(facts->process_count, rows[i].sessions);
        assert_int_equal(facts->processes[rows[i].sessions - 1].pid, 35);
        assert_int_equal(bench_errors(&bench, "unattributed"), 2 - rows[i].sessions);
        fake.fault_count = 0; /* told now: not in MIG mode */
        assert_int_equal(bench_facts(&bench)->process_count, 2);
        bench_done(&bench);
    }
}

static void mig_mode_without_devices_hides_no_stranger_on_the_gpu(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    fake.gpus[0].has_mig_mode = true;
    fake_add_mig_process(0, 3, 0, 34, 1);
    fake_add_process(0, 35, 1, PROCESS_COMPUTE);
    bench_init(&bench);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_int_equal(facts->process_count, 1);
    assert_int_equal(facts->processes[0].pid, 35);
    assert_int_equal(bench_errors(&bench, "unattributed"), 1);
    bench_done(&bench);
}

static void sessions_past_the_bound_are_counted(void **state)
{
    (void)state;
    static const size_t bounds[] = {0, 1, 4, 5, 6};
    for (size_t i = 0; i < ARRAY_LENGTH(bounds); i++) {
        struct bench bench;
        set_mig_node(&bench);
        bench.config.max_sessions = bounds[i];
        const struct driver_facts *facts = bench_facts(&bench);
        size_t kept = bounds[i] < 5 ? bounds[i] : 5;
        assert_int_equal(facts->process_count, kept);
        assert_int_equal(facts->processes_omitted, 5 - kept);
        bench_done(&bench);
    }
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static void add_random_process(uint32_t *seed)
{
    static const unsigned gis[] = {1, 3, 5, MIG_ID_NONE};
    bool is_mig = next_random(seed) % 2;
    fake.processes[fake.process_count++] = (struct fake_process){
        .gpu = is_mig ? 0 : 1,
        .gi = is_mig ? gis[next_random(seed) % 4] : MIG_ID_NONE,
        .ci = is_mig ? (next_random(seed) % 4 ? next_random(seed) % 2 : MIG_ID_NONE)
                     : MIG_ID_NONE,
        .kinds = next_random(seed) % 8,
        .pid = next_random(seed) % 8 ? next_random(seed) % 40 : next_random(seed),
        .memory = next_random(seed),
    };
}

/* Whatever the driver lists: in order, no pair twice, plausible, within the bound. */
static void random_lists_keep_the_promises(void **state)
{
    (void)state;
    uint32_t seed = 20260101;
    for (int round = 0; round < 300; round++) {
        struct bench bench;
        set_mig_node(&bench);
        fake.process_count = 0;
        fake.is_parent_denied = round % 3 == 0;
        unsigned count = next_random(&seed) % 200;
        for (unsigned i = 0; i < count; i++)
            add_random_process(&seed);
        bench.config.with_graphics = round % 2;
        bench.config.max_sessions = next_random(&seed) % 100;
        const struct driver_facts *facts = bench_facts(&bench);
        assert_true(facts->process_count <= bench.config.max_sessions);
        for (size_t i = 0; i < facts->process_count; i++) {
            const struct process_facts *process = &facts->processes[i];
            assert_true(process->device >= 1 && process->device < facts->device_count);
            assert_true(process->pid > 0 && process->pid <= 4194304);
            assert_true(process->kinds != 0);
            if (i)
                assert_true(process[-1].device < process->device ||
                            (process[-1].device == process->device &&
                             process[-1].pid < process->pid));
        }
        bench_done(&bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_all_kinds_are_merged),
        cmocka_unit_test(graphics_is_an_option),
        cmocka_unit_test(the_old_layout_is_read),
        cmocka_unit_test(a_library_without_lists_says_unsupported),
        cmocka_unit_test(memory_not_available_is_no_number),
        cmocka_unit_test(a_long_list_is_asked_again),
        cmocka_unit_test(growing_ends),
        cmocka_unit_test(a_list_that_contradicts_itself_is_not_believed),
        cmocka_unit_test(implausible_entries_are_left_out),
        cmocka_unit_test(a_failed_list_has_a_reason),
        cmocka_unit_test(the_parents_list_is_distributed),
        cmocka_unit_test(each_mig_device_is_asked_where_the_parent_is_denied),
        cmocka_unit_test(a_siblings_process_is_not_taken_for_ones_own),
        cmocka_unit_test(each_mig_device_is_asked_where_the_list_is_old),
        cmocka_unit_test(entries_of_no_device_are_left_out),
        cmocka_unit_test(a_parents_list_that_hides_processes_is_not_relied_on),
        cmocka_unit_test(what_the_mig_devices_list_is_attributed),
        cmocka_unit_test(a_parents_list_counts_where_the_devices_have_none),
        cmocka_unit_test(an_instance_is_no_plain_gpu_where_the_mode_is_not_told),
        cmocka_unit_test(mig_mode_without_devices_hides_no_stranger_on_the_gpu),
        cmocka_unit_test(sessions_past_the_bound_are_counted),
        cmocka_unit_test(random_lists_keep_the_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
