/* The bytes of node.state. */
#include "sim/node/node_state_build.h"

#include "base/cleanup.h"
#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct node_clock frozen = {
    .epoch_us = UINT64_C(1768225600000000), .uptime_seconds = 1000000, .is_frozen = true};

static const struct node_state *build(struct arena *arena,
                                      const struct scenario *scenario)
{
    struct str state;
    struct err err = {0};
    assert_int_equal(node_state_build(arena, scenario, &frozen, &state, &err), 0);
    const struct node_state *header = (const void *)state.p;
    assert_int_equal(header->size_bytes, state.n);
    return header;
}

static void content(void **state)
{
    (void)state;
    struct scenario s = support_parse(
        "driver: {generation: \"535.54\", latency_us: 7, unprivileged: true,\n"
        "         empty_slot_code: INVALID_ARGUMENT}\n"
        "gpus: [{count: 2}, {mig: [3g.20gb, 1g.5gb]}]\n"
        "processes:\n"
        "  - {command: a, pid: 7, gpu: \"0,1\", memory: 1KiB, sm: 50}\n"
        "  - {command: b, pid: 8, gpu: 2, mig: 1, starts: 5, garbage: 3}\n"
        "faults: [{call: nvmlInit*, code: UNKNOWN, after: 2, times: 3}]\n");
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    const struct node_state *header = build(arena, &s);
    assert_true(header->magic == NODE_STATE_MAGIC);
    assert_string_equal(header->driver_version, "535.54.03");
    assert_int_equal(header->cuda_version, 12020);
    assert_int_equal(header->frozen, 1);
    assert_int_equal(header->epoch_us, frozen.epoch_us);
    assert_int_equal(header->latency_us, 7);
    assert_int_equal(header->unprivileged, 1);
    assert_int_equal(header->empty_slot_code, 2);
    assert_int_equal(header->process_v3_stride, 32);
    assert_int_equal(header->gpu_count, 3);
    assert_int_equal(header->mig_count, 2);
    assert_int_equal(header->process_count, 3);

    const char *bytes = (const char *)header;
    const struct sim_process *entries = (const void *)(bytes + header->process_offset);
    assert_int_equal(entries[0].pid, 7);
    assert_int_equal(entries[0].gpu, 0);
    assert_int_equal(entries[0].gi, SIM_ID_NONE);
    assert_int_equal(entries[0].alive, 1);
    assert_int_equal(entries[0].memory_bytes, 1024);
    assert_int_equal(entries[1].pid, 7);
    assert_int_equal(entries[1].gpu, 1);
    assert_int_equal(entries[2].gpu, 2);
    assert_int_equal(entries[2].gi, 7);
    assert_int_equal(entries[2].ci, 0);
    assert_int_equal(entries[2].alive, 0); /* starts later */
    assert_int_equal(entries[2].garbage_samples, 3);

    const struct sim_mig_device *migs = (const void *)(bytes + header->mig_offset);
    assert_int_equal(migs[0].gpu, 2);
    assert_string_equal(migs[1].profile, "1g.5gb");
    const struct sim_fault *fault = (const void *)(bytes + header->fault_offset);
    assert_string_equal(fault->call, "nvmlInit*");
    assert_int_equal(fault->gpu, SIM_ID_NONE);
    assert_int_equal(fault->code, 999);
    assert_int_equal(fault->after, 2);
    assert_int_equal(fault->times, 3);
}

static void arrays_do_not_overlap(void **state)
{
    (void)state;
    struct scenario s;
    struct err err = {0};
    CLEANUP(arena_freep) struct arena *arena = arena_new(SCENARIO_ARENA_BYTES);
    assert_int_equal(scenario_load(arena, "dense", &s, &err), 0);
    const struct node_state *header = build(arena, &s);
    const uint64_t ends[] = {
        header->gpu_offset + header->gpu_count * sizeof(struct sim_gpu),
        header->mig_offset + header->mig_count * sizeof(struct sim_mig_device),
        header->process_offset + header->process_count * sizeof(struct sim_process),
        header->fault_offset + header->fault_count * sizeof(struct sim_fault),
    };
    const uint64_t begins[] = {header->gpu_offset, header->mig_offset,
                               header->process_offset, header->fault_offset};
    assert_true(begins[0] >= sizeof(*header));
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(begins[i] % 8, 0);
        assert_true(ends[i] <= (i < 3 ? begins[i + 1] : header->size_bytes));
    }
    assert_int_equal(header->process_count, 500);
    assert_int_equal(header->mig_count, 56);
}

static void nothing_at_all(void **state)
{
    (void)state;
    struct scenario s = support_parse("description: x\n");
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    const struct node_state *header = build(arena, &s);
    assert_int_equal(header->gpu_count + header->mig_count + header->process_count, 0);
    CLEANUP(arena_freep) struct arena *tiny = arena_new(16);
    struct str bytes;
    struct err err = {0};
    assert_true(node_state_build(tiny, &s, &frozen, &bytes, &err) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content),
        cmocka_unit_test(arrays_do_not_overlap),
        cmocka_unit_test(nothing_at_all),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    support_free();
    return failed;
}
