/* Process utilisation: the driver's window, garbage among its records, what failure
 * means. */
#include "fake_nvml.h"

#define WALL_US UINT64_C(1700000000000000)

static void set_node(struct bench *bench)
{
    fake_reset(1);
    fake_add_process(0, 10, 1, PROCESS_COMPUTE);
    fake_add_process(0, 20, 1, PROCESS_COMPUTE);
    bench_init(bench);
}

static void expect_sm(const struct driver_facts *facts, size_t i, double percent)
{
    assert_int_equal(facts->processes[i].sm_percent.state, VALUE_OK);
    assert_true(fabs(facts->processes[i].sm_percent.v - percent) < 1e-9);
}

static void expect_unknown(const struct driver_facts *facts, size_t i)
{
    const struct process_facts *process = &facts->processes[i];
    assert_int_equal(process->sm_percent.state, VALUE_ERROR);
    assert_int_equal(process->memory_bandwidth_percent.state, VALUE_ERROR);
    assert_int_equal(process->encoder_percent.state, VALUE_ERROR);
    assert_int_equal(process->decoder_percent.state, VALUE_ERROR);
    assert_true(fabs(process->sm_percent.v) < 1e-9);
}

static void a_process_has_its_newest_record(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    fake_add_sample(0, 10, WALL_US - 50, 30);
    fake_add_sample(0, 10, WALL_US - 10, 40);
    fake_add_sample(0, 10, WALL_US - 90, 50);
    const struct driver_facts *facts = bench_facts(&bench);
    expect_sm(facts, 0, 40);
    assert_true(fabs(facts->processes[0].memory_bandwidth_percent.v - 3) < 1e-9);
    assert_true(fabs(facts->processes[0].encoder_percent.v - 2) < 1e-9);
    assert_true(fabs(facts->processes[0].decoder_percent.v - 1) < 1e-9);
    expect_sm(facts, 1, 0); /* listed, no record: did nothing */
    assert_int_equal(facts->processes[1].decoder_percent.state, VALUE_OK);
    bench_done(&bench);
}

/* A collection a quarter of a minute after the last. */
static const struct driver_facts *later_facts(struct bench *bench)
{
    fake.now_ns += UINT64_C(15000000000);
    return bench_facts(bench);
}

/* The driver samples less often than this asks: the window must reach back far enough to
 * hold a sample of a busy process. */
static void collections_in_quick_succession_overlap(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    fake_add_sample(0, 10, 5000, 30);
    for (int i = 0; i < 10; i++) { /* 0 to 900 ms after the first */
        (void)bench_facts(&bench);
        assert_int_equal(fake.last_seen, 0);
        expect_sm(&bench.facts, 0, 30);
        fake.now_ns += UINT64_C(100000000);
    }
    fake_add_sample(0, 10, 900000, 40);
    (void)bench_facts(&bench); /* one second */
    assert_int_equal(fake.last_seen, 5000);
    expect_sm(&bench.facts, 0, 40);
    fake.now_ns += UINT64_C(999999999);
    (void)bench_facts(&bench);
    assert_int_equal(fake.last_seen, 5000);
    expect_sm(&bench.facts, 0, 40);
    fake.now_ns += 1;
    (void)bench_facts(&bench);
    assert_int_equal(fake.last_seen, 900000);
    expect_sm(&bench.facts, 0, 0);
    bench_done(&bench);
}

static void the_window_starts_at_the_newest_record(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    fake_add_sample(0, 10, 5000, 30); /* a clock that counts from boot */
    fake_add_sample(0, 20, 7000, 31);
    (void)bench_facts(&bench);
    assert_int_equal(fake.last_seen, 0);
    (void)later_facts(&bench); /* the same records again are old now */
    assert_int_equal(fake.last_seen, 7000);
    expect_sm(&bench.facts, 0, 0);
    fake_add_sample(0, 10, 7001, 32);
    (void)later_facts(&bench);
    expect_sm(&bench.facts, 0, 32);
    expect_sm(&bench.facts, 1, 0);
    bench_done(&bench);
}

static void another_gpu_starts_a_new_window(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    fake_add_sample(0, 10, 5000, 30);
    (void)bench_facts(&bench);
    (void)snprintf(fake.gpus[0].device.uuid, 96, "GPU-other");
    (void)later_facts(&bench);
    assert_int_equal(fake.last_seen, 0);
    expect_sm(&bench.facts, 0, 30);
    bench_done(&bench);
}

static void add_sample(nvmlProcessUtilizationSample_t sample)
{
    fake.gpus[0].samples[fake.gpus[0].sample_count++] = sample;
}

static void garbage_is_dropped_and_does_not_move_the_window(void **state)
{
    (void)state;
    static const struct {
        nvmlProcessUtilizationSample_t sample;
        bool is_of_process; /* pid 10 did something, nobody knows what */
    } rows[] = {
        {{.pid = 10, .timeStamp = 6000, .smUtil = 101}, true},
        {{.pid = 10, .timeStamp = 6000, .memUtil = 101}, true},
        {{.pid = 10, .timeStamp = 6000, .encUtil = UINT32_MAX}, true},
        {{.pid = 10, .timeStamp = 6000, .decUtil = 2000}, true},
        {{.pid = 10, .timeStamp = WALL_US + 3600000000ULL, .smUtil = 10}, true},
        {{.pid = 10, .timeStamp = UINT64_MAX, .smUtil = 10}, true},
        {{.pid = 99, .timeStamp = 6000, .smUtil = 10}, false},
        {{.pid = 0, .timeStamp = 6000, .smUtil = 10}, false},
        {{.pid = 10, .timeStamp = 0, .smUtil = 10}, false},
        {{.pid = 10, .timeStamp = 0, .smUtil = 101}, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        set_node(&bench);
        fake_add_sample(0, 20, 5000, 100);
        add_sample(rows[i].sample);
        add_sample(rows[i].sample);
        (void)bench_facts(&bench);
        if (rows[i].is_of_process)
            expect_unknown(&bench.facts, 0);
        else
            expect_sm(&bench.facts, 0, 0);
        expect_sm(&bench.facts, 1, 100);
        assert_int_equal(bench_errors(&bench, "implausible"), rows[i].is_of_process);
        (void)later_facts(&bench);
        assert_int_equal(fake.last_seen, 5000);
        bench_done(&bench);
    }
}

static void a_valid_record_wins_over_garbage(void **state)
{
    (void)state;
    static const nvmlProcessUtilizationSample_t garbage[] = {
        {.pid = 10, .timeStamp = 6000, .smUtil = 101},
        {.pid = 10, .timeStamp = UINT64_MAX, .smUtil = 10},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(garbage); i++) {
        for (int is_first = 0; is_first < 2; is_first++) {
            struct bench bench;
            set_node(&bench);
            if (is_first)
                add_sample(garbage[i]);
            fake_add_sample(0, 10, 5000, 30);
            if (!is_first)
                add_sample(garbage[i]);
            expect_sm(bench_facts(&bench), 0, 30);
            assert_int_equal(bench.errors.count, 0);
            bench_done(&bench);
        }
    }
}

/* Where all records are ahead of the wall's clock, it is the one that is wrong: but only
 * so far, and records of one set are of one time. */
static void a_drivers_clock_may_stay_ahead_of_the_walls(void **state)
{
    (void)state;
    static const struct {
        unsigned long long ahead_us, other_us; /* of pids 10 and 20 */
        bool is_known, is_other_known;
    } rows[] = {
        {60000000, 60000000, true, true},
        {60000001, 60000001, true, true},
        {3600000000, 3605000000, true, true},
        {3600000000, 3660000001, true, false},
        {60000001, 60000000, false, true}, /* the wall's clock is not wrong */
        {3600000000, 60000000, false, true},
        {31622400000000, 31622460000000, true, true}, /* a year */
        {63244800000000, 63244800000000, false, false},
        {UINT64_MAX - WALL_US, UINT64_MAX - WALL_US, false, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        set_node(&bench);
        for (int round = 0; round < 3; round++) {
            fake.gpus[0].sample_count = 0;
            fake_add_sample(0, 10, WALL_US + rows[i].ahead_us, 30);
            fake_add_sample(0, 20, WALL_US + rows[i].other_us, 40);
            (void)bench_facts(&bench);
            if (rows[i].is_known)
                expect_sm(&bench.facts, 0, 30);
            else
                expect_unknown(&bench.facts, 0);
            if (rows[i].is_other_known)
                expect_sm(&bench.facts, 1, 40);
            else
                expect_unknown(&bench.facts, 1);
        }
        bench_done(&bench);
    }
}

static void a_wall_clock_set_back_does_not_stop_the_window(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    fake_add_sample(0, 10, WALL_US - 1, 30);
    (void)bench_facts(&bench);
    fake.wall_us -= UINT64_C(3600000000);
    fake.gpus[0].samples[0].timeStamp = fake.wall_us - 1;
    (void)later_facts(&bench);
    assert_int_equal(fake.last_seen, 0);
    expect_sm(&bench.facts, 0, 30);
    bench_done(&bench);
}

static void failures_are_told_apart_from_idleness(void **state)
{
    (void)state;
    static const struct {
        int code;
        enum value_state state;
    } rows[] = {
        {6, VALUE_OK},      {3, VALUE_UNSUPPORTED},  {4, VALUE_DENIED},
        {999, VALUE_ERROR}, {13, VALUE_UNSUPPORTED}, {15, VALUE_ERROR},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        for (unsigned after = 0; after < 2; after++) { /* the sizing call, the real one */
            struct bench bench;
            set_node(&bench);
            fake_add_sample(0, 10, 5000, 30);
            fake_add_fault("nvmlDeviceGetProcessUtilization", -1, rows[i].code);
            fake.faults[0].after = after;
            const struct driver_facts *facts = bench_facts(&bench);
            assert_int_equal(facts->processes[0].sm_percent.state, rows[i].state);
            assert_int_equal(facts->processes[1].encoder_percent.state, rows[i].state);
            assert_true(facts->processes[0].sm_percent.v < 1);
            bool is_error = rows[i].state == VALUE_ERROR || rows[i].state == VALUE_DENIED;
            assert_int_equal(bench.errors.count, is_error);
            bench_done(&bench);
        }
    }
}

static void the_buffer_is_sized_once_and_guarded(void **state)
{
    (void)state;
    static const struct {
        unsigned claimed, calls;
    } rows[] = {{100, 2}, {0, 2}, {UINT32_MAX, 2}, {60, 2}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        set_node(&bench);
        for (unsigned j = 0; j < 50; j++)
            fake_add_sample(0, 10, 5000 + j, 30);
        fake.sizing_count = rows[i].claimed;
        expect_sm(bench_facts(&bench), 0, 30);
        assert_int_equal(fake_calls("nvmlDeviceGetProcessUtilization"), rows[i].calls);
        (void)bench_facts(&bench);
        assert_int_equal(fake_calls("nvmlDeviceGetProcessUtilization"),
                         rows[i].calls + 1);
        bench_done(&bench);
    }
}

static void a_buffer_that_never_suffices_is_an_error(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    for (unsigned j = 0; j < 50; j++)
        fake_add_sample(0, 10, 5000 + j, 30);
    fake.sizing_count = 10;
    const struct driver_facts *facts = bench_facts(&bench);
    assert_int_equal(facts->processes[0].sm_percent.state, VALUE_ERROR);
    assert_int_equal(bench_errors(&bench, "insufficient_size"), 1);
    assert_int_equal(fake_calls("nvmlDeviceGetProcessUtilization"), 10);
    bench_done(&bench);
}

static nvmlReturn_t samples_overstated(nvmlDevice_t device,
                                       nvmlProcessUtilizationSample_t *out,
                                       unsigned int *count, unsigned long long last_seen)
{
    (void)device;
    (void)last_seen;
    *count = out ? 1000000 : 10;
    return out ? NVML_SUCCESS : NVML_ERROR_INSUFFICIENT_SIZE;
}

static void a_count_past_the_buffer_is_not_believed(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    bench.api.nvmlDeviceGetProcessUtilization = samples_overstated;
    const struct driver_facts *facts = bench_facts(&bench);
    assert_int_equal(facts->processes[0].sm_percent.state, VALUE_ERROR);
    assert_int_equal(bench_errors(&bench, "implausible_list"), 1);
    bench_done(&bench);
}

static void mig_mode_and_old_drivers_have_none(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    bench.api.nvmlDeviceGetProcessUtilization = NULL;
    assert_int_equal(bench_facts(&bench)->processes[0].sm_percent.state,
                     VALUE_UNSUPPORTED);
    bench_done(&bench);
    fake_reset(1);
    (void)fake_add_mig(0, 0, 7, 0);
    fake_add_mig_process(0, 7, 0, 10, 1);
    bench_init(&bench);
    assert_int_equal(bench_facts(&bench)->processes[0].decoder_percent.state,
                     VALUE_UNSUPPORTED);
    assert_int_equal(bench.errors.count, 0);
    bench_done(&bench);
}

static void a_gpu_without_processes_is_not_asked(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    bench_init(&bench);
    (void)bench_facts(&bench);
    assert_int_equal(fake_calls("nvmlDeviceGetProcessUtilization"), 0);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_has_its_newest_record),
        cmocka_unit_test(the_window_starts_at_the_newest_record),
        cmocka_unit_test(collections_in_quick_succession_overlap),
        cmocka_unit_test(another_gpu_starts_a_new_window),
        cmocka_unit_test(garbage_is_dropped_and_does_not_move_the_window),
        cmocka_unit_test(a_valid_record_wins_over_garbage),
        cmocka_unit_test(a_drivers_clock_may_stay_ahead_of_the_walls),
        cmocka_unit_test(a_wall_clock_set_back_does_not_stop_the_window),
        cmocka_unit_test(failures_are_told_apart_from_idleness),
        cmocka_unit_test(the_buffer_is_sized_once_and_guarded),
        cmocka_unit_test(a_buffer_that_never_suffices_is_an_error),
        cmocka_unit_test(a_count_past_the_buffer_is_not_believed),
        cmocka_unit_test(mig_mode_and_old_drivers_have_none),
        cmocka_unit_test(a_gpu_without_processes_is_not_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
