/* Whose the readings are: devices, sessions that are alone, and for how long. */
#include "source/dcgm/dcgm_fill.h"

#include "base/cleanup.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { HZ = 100, GPU = 0, ONE, TWO_LEFT, TWO_RIGHT, PLAIN, DEVICES };

/* A GPU with instance 7 (one compute instance, process 70) and 8 (two, process 80); a GPU
 * without MIG, process 90. */
struct bench {
    struct device_facts devices[DEVICES];
    struct process_facts processes[3];
    struct process_identity identities[3];
    struct driver_facts facts;
    struct dcgm_collection collection;
    struct dcgm_watch watch;
    struct dcgm_page page;
};

static struct bench bench;

static struct device_facts mig(const char *uuid, uint32_t gi, uint32_t ci, uint32_t pid)
{
    return (struct device_facts){.kind = DEVICE_MIG,
                                 .uuid = uuid,
                                 .parent_uuid = "GPU-a",
                                 .gi = gi,
                                 .ci = ci,
                                 .utilization_percent.state = VALUE_UNSUPPORTED,
                                 .sole_pid = pid};
}

static void add_reading(const char *uuid, uint32_t gi, double engine, double sm,
                        double util)
{
    struct dcgm_reading *reading = &bench.page.readings[bench.page.count++];
    *reading = (struct dcgm_reading){.gi = gi};
    memcpy(reading->uuid, uuid, strlen(uuid));
    reading->percent[DCGM_ENGINE_ACTIVE] = value_double_ok(engine);
    reading->percent[DCGM_DRAM_ACTIVE] = value_double_ok(5);
    if (sm >= 0)
        reading->percent[DCGM_SM_ACTIVE] = value_double_ok(sm);
    if (util >= 0)
        reading->percent[DCGM_GPU_UTIL] = value_double_ok(util);
}

static void set_bench(void)
{
    bench = (struct bench){0};
    bench.devices[GPU] = (struct device_facts){
        .uuid = "GPU-a", .gi = MIG_ID_NONE, .ci = MIG_ID_NONE, .has_mig_mode = true};
    bench.devices[ONE] = mig("MIG-1", 7, 0, 70);
    bench.devices[TWO_LEFT] = mig("MIG-2", 8, 0, 80);
    bench.devices[TWO_RIGHT] = mig("MIG-3", 8, 1, 0);
    bench.devices[PLAIN] = (struct device_facts){
        .uuid = "GPU-b", .index = 1, .gi = MIG_ID_NONE, .ci = MIG_ID_NONE};
    static const struct process_facts processes[] = {
        {.device = ONE, .pid = 70, .sm_percent.state = VALUE_UNSUPPORTED},
        {.device = TWO_LEFT, .pid = 80, .sm_percent.state = VALUE_UNSUPPORTED},
        {.device = PLAIN, .pid = 90, .sm_percent.state = VALUE_DENIED},
    };
    memcpy(bench.processes, processes, sizeof processes);
    for (size_t i = 0; i < 3; i++)
        bench.identities[i] =
            (struct process_identity){.state = IDENTITY_KNOWN, .start_ticks = 1000};
    bench.facts = (struct driver_facts){.devices = bench.devices,
                                        .device_count = DEVICES,
                                        .processes = bench.processes,
                                        .process_count = 3};
    bench.collection = (struct dcgm_collection){
        .facts = &bench.facts,
        .identities = bench.identities,
        .clock = {.is_known = true, .ticks_per_second = HZ, .now_ticks = 1000 + 60 * HZ},
        .now_ns = 1,
    };
    add_reading("GPU-a", MIG_ID_NONE, 30, -1, 99);
    add_reading("GPU-a", 7, 40, 25, -1);
    add_reading("GPU-a", 8, 50, 45, -1);
    add_reading("GPU-b", MIG_ID_NONE, 60, -1, 61);
}

static size_t fill(void)
{
    dcgm_watch_update(&bench.watch, &bench.collection);
    return dcgm_fill(&bench.page, &bench.watch, &bench.collection);
}

static bool has(struct value_double value, double wanted)
{
    return value.state == VALUE_OK && fabs(value.v - wanted) < 1e-9;
}

static void test_whose(void **state)
{
    (void)state;
    set_bench();
    assert_int_equal(fill(), DEVICES);
    assert_true(has(bench.devices[GPU].utilization_percent, 30));
    assert_true(has(bench.devices[ONE].utilization_percent, 40));
    assert_int_equal(bench.devices[ONE].utilization_source, UTILIZATION_DCGM);
    assert_int_equal(bench.devices[TWO_LEFT].utilization_percent.state,
                     VALUE_UNSUPPORTED);
    assert_int_equal(bench.devices[TWO_RIGHT].utilization_percent.state,
                     VALUE_UNSUPPORTED);
    assert_true(has(bench.devices[PLAIN].utilization_percent, 60));
    assert_true(has(bench.processes[0].sm_percent, 25));
    assert_true(has(bench.processes[0].memory_bandwidth_percent, 5));
    assert_int_equal(bench.processes[0].utilization_source, UTILIZATION_DCGM);
    assert_int_equal(bench.processes[1].sm_percent.state, VALUE_UNSUPPORTED);
    assert_int_equal(bench.processes[2].sm_percent.state, VALUE_DENIED);
}

static void test_fields(void **state)
{
    (void)state;
    static const struct value_double none;
    set_bench();
    bench.page.readings[0].percent[DCGM_ENGINE_ACTIVE] = none; /* GPU_UTIL under MIG */
    bench.page.readings[1].percent[DCGM_SM_ACTIVE] = none;
    bench.page.readings[3].percent[DCGM_ENGINE_ACTIVE] = none;
    (void)fill();
    assert_int_equal(bench.devices[GPU].utilization_percent.state, VALUE_UNSET);
    assert_true(has(bench.processes[0].sm_percent, 40));
    assert_true(has(bench.devices[PLAIN].utilization_percent, 61));
}

static void test_driver_stays(void **state)
{
    (void)state;
    set_bench();
    bench.devices[ONE].utilization_percent = value_double_ok(1);
    bench.devices[ONE].utilization_source = UTILIZATION_GPM;
    bench.processes[0].sm_percent = value_double_ok(0);
    (void)fill();
    assert_true(has(bench.devices[ONE].utilization_percent, 1));
    assert_int_equal(bench.devices[ONE].utilization_source, UTILIZATION_GPM);
    assert_true(has(bench.processes[0].sm_percent, 0));
    assert_int_equal(bench.processes[0].utilization_source, UTILIZATION_DRIVER);
    assert_int_equal(bench.processes[0].memory_bandwidth_percent.state, VALUE_UNSET);
}

static void test_fault(void **state)
{
    (void)state;
    set_bench();
    bench.devices[PLAIN].fault = "GPU is lost";
    (void)fill();
    assert_int_equal(bench.devices[PLAIN].utilization_percent.state, VALUE_UNSET);
}

static void test_foreign(void **state)
{
    (void)state;
    set_bench();
    bench.page.count = 0;
    add_reading("GPU-c", 7, 1, 1, 1);
    assert_int_equal(fill(), 0);
}

/* What must hold of the process itself. */
static void test_process(void **state)
{
    (void)state;
    static const struct {
        enum identity_state identity;
        uint64_t age_ticks;
        bool is_clock_known, has_identities, is_given;
    } rows[] = {
        {IDENTITY_KNOWN, 60 * HZ, true, true, true},
        {IDENTITY_KNOWN, 60 * HZ - 1, true, true, false},
        {IDENTITY_KNOWN, 60 * HZ, false, true, false},
        {IDENTITY_KNOWN, 60 * HZ, true, false, false},
        {IDENTITY_INVISIBLE, 60 * HZ, true, true, false},
        {IDENTITY_REUSED, 60 * HZ, true, true, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        set_bench();
        bench.identities[0].state = rows[i].identity;
        bench.identities[0].start_ticks =
            bench.collection.clock.now_ticks - rows[i].age_ticks;
        bench.collection.clock.is_known = rows[i].is_clock_known;
        if (!rows[i].has_identities)
            bench.collection.identities = NULL;
        (void)fill();
        assert_int_equal(bench.processes[0].sm_percent.state == VALUE_OK,
                         rows[i].is_given);
    }
    set_bench(); /* a start after now: no clock to trust */
    bench.identities[0].start_ticks = bench.collection.clock.now_ticks + 1;
    (void)fill();
    assert_int_equal(bench.processes[0].sm_percent.state, VALUE_UNSUPPORTED);
}

/* One collection at NOW_NS in which PID is alone on instance 7. Return: whether it has
 * the reading. */
static bool given_at(uint64_t now_ns, uint32_t pid)
{
    bench.collection.now_ns = now_ns;
    bench.devices[ONE].sole_pid = pid;
    bench.processes[0].pid = pid;
    bench.processes[0].sm_percent.state = VALUE_UNSUPPORTED;
    (void)fill();
    return bench.processes[0].sm_percent.state == VALUE_OK;
}

/* A neighbour who has just gone is still in the reading. */
static void test_watch(void **state)
{
    (void)state;
    set_bench();
    assert_true(given_at(1, 70));
    assert_false(given_at(2, 0)); /* somebody else came */
    assert_false(given_at(3, 70));
    assert_false(given_at(2 + DCGM_ALONE_NS, 70));
    assert_true(given_at(3 + DCGM_ALONE_NS, 70));
    assert_false(given_at(4 + DCGM_ALONE_NS, 71)); /* another one instead */
    assert_true(given_at(4 + 2 * DCGM_ALONE_NS, 71));
}

static void test_watch_bound(void **state)
{
    (void)state;
    set_bench();
    for (uint32_t gi = 0; gi < 2 * ARRAY_LENGTH(bench.watch.entries); gi++) {
        bench.devices[ONE].gi = gi + 100;
        (void)fill();
        assert_true(bench.watch.count <= ARRAY_LENGTH(bench.watch.entries));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whose),        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_driver_stays), cmocka_unit_test(test_fault),
        cmocka_unit_test(test_foreign),      cmocka_unit_test(test_process),
        cmocka_unit_test(test_watch),        cmocka_unit_test(test_watch_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
