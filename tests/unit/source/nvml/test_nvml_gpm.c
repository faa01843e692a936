/* GPM: which instances are measured, over which window, and whose the figures are. */
#include "fake_nvml.h"

#define MS UINT64_C(1000000)

/* GI 7: one CI, one process. GI 8: one CI, two processes. GI 9: two CIs, one process.
 * GI 10: one CI, empty. */
static void set_node(struct bench *bench)
{
    fake_reset(1);
    fake.gpus[0].has_gpm = true;
    (void)fake_add_mig(0, 0, 7, 0);
    (void)fake_add_mig(0, 1, 8, 0);
    (void)fake_add_mig(0, 2, 9, 0);
    (void)fake_add_mig(0, 3, 9, 1);
    (void)fake_add_mig(0, 4, 10, 0);
    fake_add_mig_process(0, 7, 0, 70, 1);
    fake_add_mig_process(0, 8, 0, 80, 1);
    fake_add_mig_process(0, 8, 0, 81, 1);
    fake_add_mig_process(0, 9, 0, 90, 1);
    bench_init(bench);
}

static void figures_go_to_whom_they_belong(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    const struct driver_facts *facts = bench_facts(&bench);
    assert_true(fabs(facts->devices[1].utilization_percent.v - 80) < 1e-9);
    assert_true(fabs(facts->devices[2].utilization_percent.v - 80) < 1e-9);
    assert_int_equal(facts->devices[1].utilization_percent.state, VALUE_OK);
    assert_int_equal(facts->devices[2].utilization_percent.state, VALUE_OK);
    assert_int_not_equal(facts->devices[3].utilization_percent.state, VALUE_OK);
    assert_int_not_equal(facts->devices[4].utilization_percent.state, VALUE_OK);
    assert_int_equal(facts->devices[5].utilization_percent.state, VALUE_UNSET);
    assert_int_equal(facts->processes[0].sm_percent.state, VALUE_OK);
    assert_true(fabs(facts->processes[0].sm_percent.v - 55.5) < 1e-9);
    assert_true(fabs(facts->processes[0].memory_bandwidth_percent.v - 20) < 1e-9);
    assert_int_equal(facts->processes[0].encoder_percent.state, VALUE_UNSUPPORTED);
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(facts->processes[i].sm_percent.state, VALUE_UNSUPPORTED);
        assert_int_equal(facts->processes[i].memory_bandwidth_percent.state,
                         VALUE_UNSUPPORTED);
    }
    static const uint32_t sole[] = {0, 70, 0, 0, 0, 0};
    for (size_t i = 0; i < ARRAY_LENGTH(sole); i++)
        assert_int_equal(facts->devices[i].sole_pid, sole[i]);
    assert_int_equal(facts->devices[1].utilization_source, UTILIZATION_GPM);
    assert_int_equal(facts->processes[0].utilization_source, UTILIZATION_GPM);
    assert_int_equal(fake.slept_ns, 100 * MS);
    assert_int_equal(fake.samples_taken, 4);
    assert_int_equal(bench.errors.count, 0);
    bench_done(&bench);
}

static void a_kept_sample_saves_the_wait(void **state)
{
    (void)state;
    static const struct {
        uint64_t pause_ms;
        bool is_kept;
    } rows[] = {
        {15000, true}, {1000, true}, {999, false}, {600000, true}, {600001, false}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        set_node(&bench);
        (void)bench_facts(&bench);
        fake.slept_ns = 0;
        fake.samples_taken = 0;
        fake.now_ns += rows[i].pause_ms * MS;
        const struct driver_facts *facts = bench_facts(&bench);
        assert_int_equal(facts->processes[0].sm_percent.state, VALUE_OK);
        assert_int_equal(fake.slept_ns, rows[i].is_kept ? 0 : 100 * MS);
        assert_int_equal(fake.samples_taken, rows[i].is_kept ? 2 : 4);
        assert_int_equal(fake.samples_alive, 4);
        bench_done(&bench);
    }
}

static void another_process_does_not_inherit_the_window(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    (void)bench_facts(&bench);
    fake.processes[0].pid = 71;
    fake.now_ns += 15000 * MS;
    fake.samples_taken = 0;
    assert_int_equal(bench_facts(&bench)->processes[0].pid, 71);
    assert_int_equal(fake.samples_taken, 3); /* GI 7 anew, GI 8 goes on */
    assert_int_equal(fake.slept_ns, 200 * MS);
    bench_done(&bench);
}

static void a_new_layout_drops_the_samples(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    (void)bench_facts(&bench);
    assert_int_equal(fake.samples_alive, 4);
    fake.gpus[0].slots[4].is_present = false;
    fake.now_ns += 15000 * MS;
    fake.slept_ns = 0;
    (void)bench_facts(&bench);
    assert_int_equal(fake.slept_ns, 100 * MS);
    assert_int_equal(fake.samples_alive, 4);
    fake.gpus[0].has_mig_mode = false;
    (void)bench_facts(&bench);
    assert_int_equal(fake.samples_alive, 0);
    bench_done(&bench);
}

static void samples_are_given_back_with_another_gpu(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    (void)bench_facts(&bench);
    fake.process_count = 0;
    (void)snprintf(fake.gpus[0].device.uuid, 96, "GPU-other");
    (void)bench_facts(&bench);
    assert_int_equal(fake.samples_alive, 0);
    bench_done(&bench);
}

static void not_a_number_is_no_number(void **state)
{
    (void)state;
    static const struct {
        double sm;
        bool is_nan;
        int code;
        enum value_state state;
        double expected;
    } rows[] = {
        {50, true, 0, VALUE_ERROR, 0},     {50, false, 3, VALUE_UNSUPPORTED, 0},
        {50, false, 999, VALUE_ERROR, 0},  {-0.5, false, 0, VALUE_ERROR, 0},
        {101.5, false, 0, VALUE_ERROR, 0}, {100.4, false, 0, VALUE_OK, 100},
        {0, false, 0, VALUE_OK, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        set_node(&bench);
        fake.gpus[0].slots[0].sm = rows[i].sm;
        fake.is_metric_nan = rows[i].is_nan;
        fake.metric_code = (nvmlReturn_t)rows[i].code;
        const struct value_double *sm = &bench_facts(&bench)->processes[0].sm_percent;
        assert_int_equal(sm->state, rows[i].state);
        if (sm->state == VALUE_OK)
            assert_true(fabs(sm->v - rows[i].expected) < 1e-9);
        assert_int_equal(bench.errors.count > 0, rows[i].state == VALUE_ERROR);
        bench_done(&bench);
    }
}

static void failing_calls_leave_a_state(void **state)
{
    (void)state;
    static const struct {
        const char *call;
        int code;
        enum value_state session;
    } rows[] = {
        {"nvmlGpmQueryDeviceSupport", 3, VALUE_UNSUPPORTED},
        {"nvmlGpmQueryDeviceSupport", 25, VALUE_UNSUPPORTED},
        {"nvmlGpmQueryDeviceSupport", 999, VALUE_UNSUPPORTED},
        {"nvmlGpmSampleAlloc", 20, VALUE_ERROR},
        {"nvmlGpmMigSampleGet", 3, VALUE_UNSUPPORTED},
        {"nvmlGpmMigSampleGet", 4, VALUE_DENIED},
        {"nvmlGpmMetricsGet", 25, VALUE_UNSUPPORTED},
        {"nvmlGpmMetricsGet", 999, VALUE_ERROR},
        {"nvmlGpmSampleFree", 2, VALUE_OK},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        for (unsigned after = 0; after < 4; after++) {
            struct bench bench;
            set_node(&bench);
            fake_add_fault(rows[i].call, -1, rows[i].code);
            fake.faults[0].after = after;
            const struct driver_facts *facts = bench_facts(&bench);
            if (after == 0)
                assert_int_equal(facts->processes[0].sm_percent.state, rows[i].session);
            assert_int_equal(facts->process_count, 4);
            assert_null(facts->devices[0].fault);
            bench_done(&bench);
        }
    }
}

static void support_is_asked_once(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    fake.gpus[0].has_gpm = false;
    for (int i = 0; i < 3; i++) {
        const struct driver_facts *facts = bench_facts(&bench);
        assert_int_equal(facts->devices[1].utilization_percent.state, VALUE_UNSUPPORTED);
    }
    assert_int_equal(fake_calls("nvmlGpmQueryDeviceSupport"), 1);
    assert_int_equal(fake.samples_taken, 0);
    assert_int_equal(fake.slept_ns, 0);
    bench_done(&bench);
}

static void an_old_library_samples_the_mig_handle_or_nothing(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    bench.api.nvmlGpmMigSampleGet = NULL;
    assert_int_equal(bench_facts(&bench)->processes[0].sm_percent.state, VALUE_OK);
    bench_done(&bench);
    set_node(&bench);
    bench.api.nvmlGpmQueryDeviceSupport = NULL;
    assert_int_equal(bench_facts(&bench)->processes[0].sm_percent.state,
                     VALUE_UNSUPPORTED);
    assert_int_equal(bench.errors.count, 0);
    bench_done(&bench);
}

static void who_is_not_surely_alone_gets_nothing(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    fake_add_mig_process(0, 7, 0, 0, 1); /* implausible, but somebody */
    assert_int_equal(bench_facts(&bench)->processes[0].sm_percent.state,
                     VALUE_UNSUPPORTED);
    bench_done(&bench);
    set_node(&bench); /* the MPS list might name others */
    fake_add_fault("nvmlDeviceGetMPSComputeRunningProcesses_v2", -1, 999);
    assert_int_equal(bench_facts(&bench)->processes[0].sm_percent.state,
                     VALUE_UNSUPPORTED);
    bench_done(&bench);
    set_node(&bench); /* the bound hides pid 81 */
    bench.config.max_sessions = 2;
    assert_int_equal(bench_facts(&bench)->processes[1].sm_percent.state,
                     VALUE_UNSUPPORTED);
    bench_done(&bench);
}

/* What a stranger did while the window was open is nobody's figure. */
static void a_window_begun_with_company_is_not_used_alone(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    fake_add_mig_process(0, 7, 0, 0, 1); /* implausible, but somebody */
    (void)bench_facts(&bench);
    fake.process_count--;
    fake.now_ns += 15000 * MS;
    fake.samples_taken = 0;
    fake.slept_ns = 0;
    assert_int_equal(bench_facts(&bench)->processes[0].sm_percent.state, VALUE_OK);
    assert_int_equal(fake.samples_taken, 3); /* GI 7 anew, GI 8 goes on */
    assert_int_equal(fake.slept_ns, 100 * MS);
    bench_done(&bench);
    set_node(&bench);
    fake_add_fault("nvmlDeviceGetMPSComputeRunningProcesses_v2", -1, 999);
    (void)bench_facts(&bench);
    fake.fault_count = 0;
    fake.now_ns += 15000 * MS;
    fake.samples_taken = 0;
    assert_int_equal(bench_facts(&bench)->processes[0].sm_percent.state, VALUE_OK);
    assert_int_equal(fake.samples_taken, 3);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_go_to_whom_they_belong),
        cmocka_unit_test(a_kept_sample_saves_the_wait),
        cmocka_unit_test(another_process_does_not_inherit_the_window),
        cmocka_unit_test(a_new_layout_drops_the_samples),
        cmocka_unit_test(samples_are_given_back_with_another_gpu),
        cmocka_unit_test(not_a_number_is_no_number),
        cmocka_unit_test(failing_calls_leave_a_state),
        cmocka_unit_test(support_is_asked_once),
        cmocka_unit_test(an_old_library_samples_the_mig_handle_or_nothing),
        cmocka_unit_test(who_is_not_surely_alone_gets_nothing),
        cmocka_unit_test(a_window_begun_with_company_is_not_used_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
