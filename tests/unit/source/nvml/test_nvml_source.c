/* The source as a whole: opening, asking again, any call failing in any way, no memory.
 */
#include "fake_nvml.h"

#include "source/nvml/nvml_device.h"
#include "source/nvml/nvml_process.h"
#include "source/nvml/nvml_utilization.h"

static void opening_falls_back_to_plain_init(void **state)
{
    (void)state;
    static const int codes[] = {13, 2, 3};
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        struct bench bench;
        fake_reset(1);
        bench_init(&bench);
        if (codes[i] == 13)
            bench.api.nvmlInitWithFlags = NULL;
        else
            fake_add_fault("nvmlInitWithFlags", -1, codes[i]);
        assert_int_equal(bench_facts(&bench)->device_count, 1);
        assert_int_equal(fake_calls("nvmlInit_v2"), 1);
        bench_done(&bench);
        assert_int_equal(fake_calls("nvmlShutdown"), 1);
    }
}

static void a_failed_init_says_why(void **state)
{
    (void)state;
    static const struct {
        int code;
        const char *word, *remedy;
    } rows[] = {
        {9, "driver_not_loaded", "modprobe nvidia"},
        {18, "lib_rm_version_mismatch", "reboot"},
        {999, "unknown", "device cgroup"},
        {4, "no_permission", "/dev/nvidiactl"},
        {1234, "other_code", "NVML 1234"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        fake_reset(1);
        fake_add_fault("nvmlInitWithFlags", -1, rows[i].code);
        bench_init(&bench);
        assert_true(bench_open(&bench) < 0);
        assert_null(bench.driver);
        assert_non_null(strstr(bench.err.message, "cannot initialize NVML"));
        assert_non_null(strstr(bench.err.message, rows[i].remedy));
        assert_int_equal(bench_errors(&bench, rows[i].word), 1);
        bench_done(&bench);
        assert_int_equal(fake_calls("nvmlShutdown"), 0);
    }
}

static void an_init_without_gpus_is_tried_again(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    fake_add_fault("nvmlInitWithFlags", -1, 28);
    bench_init(&bench);
    assert_int_equal(bench_facts(&bench)->device_count, 0);
    assert_null(bench.facts.driver_version);
    assert_int_equal(fake_calls("nvmlDeviceGetCount_v2"), 0);
    fake.fault_count = 0;
    assert_int_equal(bench_facts(&bench)->device_count, 1);
    assert_string_equal(bench.facts.driver_version, "550.163.01");
    bench_done(&bench);
}

static void a_count_that_fails_fails_the_collection(void **state)
{
    (void)state;
    static const int codes[] = {1, 3, 4, 9, 18, 999, 1234};
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        struct bench bench;
        fake_reset(1);
        fake_add_fault("nvmlDeviceGetCount_v2", -1, codes[i]);
        bench_init(&bench);
        assert_true(bench_collect(&bench) < 0);
        assert_non_null(strstr(bench.err.message, "how many GPUs"));
        assert_int_equal(bench.err.native, codes[i]);
        bench_done(&bench);
    }
}

/* GPU 0 plain with two processes, GPU 1 with two MIG devices, one process each. */
static void set_node(struct bench *bench)
{
    fake_reset(2);
    fake.gpus[1].has_gpm = true;
    (void)fake_add_mig(1, 1, 7, 0);
    (void)fake_add_mig(1, 2, 8, 0);
    fake_add_process(0, 10, 1, PROCESS_COMPUTE);
    fake_add_process(0, 11, 1, PROCESS_MPS);
    fake_add_mig_process(1, 7, 0, 70, 1);
    fake_add_mig_process(1, 8, 0, 80, 1);
    fake_add_sample(0, 10, 5000, 30);
    bench_init(bench);
}

static int relist(struct bench *bench, enum relist answers[4])
{
    return bench->driver->ops->relist(bench->driver, bench->arena, &bench->facts, answers,
                                      &bench->err);
}

static void expect_answers(const enum relist answers[4], const enum relist expected[4])
{
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(answers[i], expected[i]);
}

static void relisting_tells_who_is_gone(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    assert_int_equal(bench_facts(&bench)->process_count, 4);
    fake.processes[1].kinds = 0;
    fake.processes[2].kinds = 0;
    enum relist answers[] = {RELIST_WANTED, RELIST_WANTED, RELIST_WANTED, RELIST_WANTED};
    assert_int_equal(relist(&bench, answers), 0);
    expect_answers(
        answers, (enum relist[]){RELIST_LISTED, RELIST_GONE, RELIST_GONE, RELIST_LISTED});
    bench_done(&bench);
}

static void relisting_asks_only_where_it_matters(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    fake.is_parent_denied = true;
    (void)bench_facts(&bench);
    unsigned before = fake_calls("nvmlDeviceGetComputeRunningProcesses_v2");
    enum relist none[] = {RELIST_UNKNOWN, RELIST_UNKNOWN, RELIST_UNKNOWN, RELIST_UNKNOWN};
    assert_int_equal(relist(&bench, none), 0);
    assert_int_equal(fake_calls("nvmlDeviceGetComputeRunningProcesses_v2"), before);
    enum relist one[] = {RELIST_UNKNOWN, RELIST_UNKNOWN, RELIST_WANTED, RELIST_UNKNOWN};
    assert_int_equal(relist(&bench, one), 0);
    expect_answers(one, (enum relist[]){RELIST_UNKNOWN, RELIST_UNKNOWN, RELIST_LISTED,
                                        RELIST_UNKNOWN});
    assert_int_equal(fake_calls("nvmlDeviceGetComputeRunningProcesses_v2"),
                     before + 2); /* the parent, then its one MIG device */
    bench_done(&bench);
}

static void a_list_that_cannot_be_had_again_leaves_it_open(void **state)
{
    (void)state;
    static const struct {
        const char *call;
        int code;
        enum relist expected[2]; /* of GPU 0's; pid 11 has ended */
    } rows[] = {
        {"nvmlDeviceGetComputeRunningProcesses_v2", 15, {RELIST_UNKNOWN, RELIST_UNKNOWN}},
        {"nvmlDeviceGetComputeRunningProcesses_v2",
         999,
         {RELIST_UNKNOWN, RELIST_UNKNOWN}},
        {"nvmlDeviceGetComputeRunningProcesses_v2", 4, {RELIST_UNKNOWN, RELIST_UNKNOWN}},
        {"nvmlDeviceGetMPSComputeRunningProcesses_v2",
         999,
         {RELIST_LISTED, RELIST_UNKNOWN}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct bench bench;
        set_node(&bench);
        (void)bench_facts(&bench);
        fake.process_count = 1;
        fake_add_fault(rows[i].call, 0, rows[i].code);
        enum relist answers[] = {RELIST_WANTED, RELIST_WANTED, RELIST_WANTED,
                                 RELIST_WANTED};
        assert_int_equal(relist(&bench, answers), 0);
        expect_answers(answers, (enum relist[]){rows[i].expected[0], rows[i].expected[1],
                                                RELIST_GONE, RELIST_GONE});
        bench_done(&bench);
    }
}

static void no_list_again_at_all_is_a_failure(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    (void)bench_facts(&bench);
    fake_add_fault("*", -1, 999);
    enum relist answers[] = {RELIST_WANTED, RELIST_WANTED, RELIST_UNKNOWN, RELIST_WANTED};
    assert_true(relist(&bench, answers) < 0);
    assert_non_null(strstr(bench.err.message, "processes"));
    expect_answers(answers, (enum relist[]){RELIST_UNKNOWN, RELIST_UNKNOWN,
                                            RELIST_UNKNOWN, RELIST_UNKNOWN});
    bench_done(&bench);
}

/* Asked again only in part, nobody can say that an entry belongs nowhere. */
static void relisting_counts_no_strays(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    fake_add_mig_process(1, 9, 0, 90, 1);
    (void)bench_facts(&bench);
    assert_int_equal(bench_errors(&bench, "unattributed"), 1);
    enum relist answers[] = {RELIST_UNKNOWN, RELIST_UNKNOWN, RELIST_WANTED,
                             RELIST_UNKNOWN};
    assert_int_equal(relist(&bench, answers), 0);
    assert_int_equal(answers[2], RELIST_LISTED);
    assert_int_equal(bench_errors(&bench, "unattributed"), 1);
    bench_done(&bench);
}

/* Each call of a collection fails once in each way: the collection still ends, numbers
 * are either right or missing, nothing leaks. */
static void expect_no_false_number(const struct driver_facts *facts)
{
    for (size_t i = 0; i < facts->process_count; i++) {
        const struct process_facts *process = &facts->processes[i];
        bool is_known = process->pid == 10 || process->pid == 11 || process->pid == 70 ||
                        process->pid == 80;
        assert_true(is_known);
        double sm = process->sm_percent.v;
        if (process->sm_percent.state == VALUE_OK && process->pid == 10)
            assert_true(fabs(sm - 30) < 1e-9 || fabs(sm) < 1e-9);
        if (process->sm_percent.state == VALUE_OK && process->pid >= 70)
            assert_true(fabs(sm - 55.5) < 1e-9);
    }
    for (size_t i = 0; i < facts->device_count; i++) {
        const struct value_u64 *total = &facts->devices[i].memory_total_bytes;
        if (total->state == VALUE_OK)
            assert_true(total->v == 40ULL << 30 || total->v == 5ULL << 30);
    }
}

static void any_call_may_fail_in_any_way(void **state)
{
    (void)state;
    static const int codes[] = {2, 3, 4, 6, 7, 9, 10, 13, 15, 25, 999, 1234};
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        for (unsigned after = 0;; after++) {
            struct bench bench;
            set_node(&bench);
            fake_add_fault("*", -1, codes[i]);
            fake.faults[0].after = after;
            if (bench_open(&bench) == 0) {
                if (bench_collect(&bench) == 0)
                    expect_no_false_number(&bench.facts);
                if (fake.faults[0].seen <= after) { /* got past the last call */
                    bench_done(&bench);
                    break;
                }
            }
            bench_done(&bench);
        }
    }
}

/* One call only, so that all others answer: the rest must be whole. */
static void one_failing_call_costs_only_itself(void **state)
{
    (void)state;
    static const char *const calls[] = {
        "nvmlDeviceGetName",          "nvmlDeviceGetPciInfo_v3",
        "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetUtilizationRates",
        "nvmlDeviceGetPowerUsage",    "nvmlDeviceGetTemperature",
        "nvmlSystemGetDriverVersion", "nvmlDeviceGetProcessUtilization",
        "nvmlGpmQueryDeviceSupport",  "nvmlGpmMigSampleGet",
        "nvmlGpmMetricsGet",          "nvmlDeviceGetMPSComputeRunningProcesses_v2",
        "nvmlGpmSampleAlloc",         "nvmlDeviceGetMinorNumber",
    };
    static const int codes[] = {3, 4, 999};
    for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(codes); j++) {
            struct bench bench;
            set_node(&bench);
            fake.processes[1].kinds = PROCESS_COMPUTE;
            fake_add_fault(calls[i], -1, codes[j]);
            const struct driver_facts *facts = bench_facts(&bench);
            assert_int_equal(facts->device_count, 4);
            assert_int_equal(facts->process_count, 4);
            for (size_t k = 0; k < 4; k++)
                assert_null(facts->devices[k].fault);
            expect_no_false_number(facts);
            bench_done(&bench);
        }
    }
}

static void the_collections_memory_may_run_out(void **state)
{
    (void)state;
    bool was_refused = false;
    for (size_t limit = 0;; limit += 16) {
        struct bench bench;
        set_node(&bench);
        arena_free(bench.arena);
        bench.arena = arena_new(limit);
        bool is_enough = bench_collect(&bench) == 0;
        was_refused |= !is_enough;
        bench_done(&bench);
        if (is_enough)
            break;
    }
    assert_true(was_refused);
}

/* What the source keeps for itself runs out: no list, or no percentages, but never half.
 */
static void the_scratch_may_run_out(void **state)
{
    (void)state;
    static struct nvml_source source;
    static const struct nvml_clock clock = {.monotonic_ns = fake_now_ns,
                                            .wall_us = fake_wall_us};
    bool was_enough = false;
    for (size_t limit = 0; !was_enough; limit += 512) {
        struct bench bench;
        set_node(&bench);
        memset(&source, 0, sizeof source);
        source.memory = arena_new(limit);
        source.link = (struct nvml_link){
            .api = bench.api, .progress = &bench.progress, .errors = &bench.errors};
        source.clock = clock;
        source.max_sessions = 100;
        fake.gpu_count = 1;
        assert_int_equal(nvml_device_scan(&source, NULL), 0);
        nvml_process_collect(&source);
        nvml_utilization_read(&source, &source.gpus[0]);
        assert_true(source.process_count == 0 || source.process_count == 2);
        assert_true(source.process_count + source.processes_omitted == 2 ||
                    source.gpus[0].process_list == VALUE_ERROR);
        for (size_t i = 0; i < source.process_count; i++)
            assert_int_equal(source.processes[i].sm_percent.state,
                             source.processes[0].sm_percent.state);
        was_enough =
            source.process_count && source.processes[0].sm_percent.state == VALUE_OK;
        assert_int_equal(bench_errors(&bench, "out_of_memory") == 0, was_enough);
        arena_free(source.memory);
        bench_done(&bench);
    }
}

static void a_steady_collection_takes_no_memory(void **state)
{
    (void)state;
    struct bench bench;
    set_node(&bench);
    (void)bench_facts(&bench);
    const struct nvml_source *source = (const struct nvml_source *)(void *)bench.driver;
    size_t used = arena_used_bytes(source->memory);
    for (int i = 0; i < 5; i++) {
        fake.now_ns += UINT64_C(15000000000);
        (void)bench_facts(&bench);
    }
    assert_int_equal(arena_used_bytes(source->memory), used);
    bench_done(&bench);
}

static void the_system_clock_is_the_default(void **state)
{
    (void)state;
    struct bench bench;
    fake_reset(1);
    fake_add_process(0, 10, 1, PROCESS_COMPUTE);
    fake_add_sample(0, 10, 5000, 30);
    bench_init(&bench);
    assert_int_equal(
        nvml_source_open(&bench.api, NULL, &bench.config, &bench.driver, &bench.err), 0);
    assert_string_equal(bench.driver->ops->name, "nvml");
    assert_int_equal(bench_facts(&bench)->processes[0].sm_percent.state, VALUE_OK);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_falls_back_to_plain_init),
        cmocka_unit_test(a_failed_init_says_why),
        cmocka_unit_test(an_init_without_gpus_is_tried_again),
        cmocka_unit_test(a_count_that_fails_fails_the_collection),
        cmocka_unit_test(relisting_tells_who_is_gone),
        cmocka_unit_test(relisting_asks_only_where_it_matters),
        cmocka_unit_test(a_list_that_cannot_be_had_again_leaves_it_open),
        cmocka_unit_test(no_list_again_at_all_is_a_failure),
        cmocka_unit_test(relisting_counts_no_strays),
        cmocka_unit_test(any_call_may_fail_in_any_way),
        cmocka_unit_test(one_failing_call_costs_only_itself),
        cmocka_unit_test(the_collections_memory_may_run_out),
        cmocka_unit_test(the_scratch_may_run_out),
        cmocka_unit_test(a_steady_collection_takes_no_memory),
        cmocka_unit_test(the_system_clock_is_the_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
