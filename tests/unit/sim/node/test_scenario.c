/* Scenario files: what a good one gives, what each mistake is answered with. */
#include "sim/node/scenario.h"

#include "base/cleanup.h"
#include "sim/node/builtin.h"
#include "support.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define GPU "gpus: [{name: NVIDIA A100-SXM4-40GB}]\n"
#define POD "pods: [{namespace: ml, name: train, containers: [main, side]}]\n"

static void mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *part; /* of the message */
    } cases[] = {
        {"", "empty"},
        {"- a\n", "Expecting MAPPING"},
        {"description: x\ngpsu: []\n", "Unexpected key: gpsu"},
        {"description: x\ngpus:\n  - cuont: 3\n", "line: 3"},
        {"gpus:\n  - count: many\n", "in mapping field 'count' (line: 2"},
        {"gpus: [{count: 65}]\n", "gpus[0].count: more than 64"},
        {"description: &a x\ngpus: [{name: *a}]\n", "alias"},
        {"description: x\ndescription: y\n", "already seen"},
        {"description: \"x\n", "libyaml"},
        {"description: \"\xff\"\n", "UTF-8"},
        {"driver: {generation: \"430\"}\n", "generation \"430\" is none of 450"},
        {"driver: {cuda: twelve}\n", "cuda"},
        {"driver: {empty_slot_code: NOPE}\n", "empty_slot_code"},
        {"driver: {latency_us: 10000001}\n", "latency_us"},
        {"node: {cgroup_version: 3}\n", "cgroup_version"},
        {"node: {uptime: long}\n", "uptime"},
        {"node: {kubelet_root: var}\n", "kubelet_root"},
        {"node: {agent: private}\n", "needs agent_pod"},
        {"node: {agent_pod: a/b}\n", "none of the pods"},
        {"node: {runtime: rkt}\n", "Invalid ENUM value: rkt"},
        {"users: [{name: \"a:b\", uid: 1}]\n", "users[0].name"},
        {"gpus: [{memory: 40GB}]\n", "gpus[0].memory: \"40GB\" is no size"},
        {"gpus: [{power: high}]\n", "gpus[0].power"},
        {"gpus: [{lost: GONE}]\n", "gpus[0].lost"},
        {"gpus: [{lost_after: 3s}]\n", "gpus[0].lost_after"},
        {"gpus: [{mig: [5gb]}]\n", "gpus[0].mig"},
        {"gpus: [{mig: [1g.5gb], mig_mode: disabled}]\n", "remove mig_mode"},
        {"gpus: [{mig: [1g.5gb slot 1, 1g.5gb slot 1]}]\n", "slot taken"},
        {"gpus: [{mig_slots: 99}]\n", "mig_slots"},
        {"gpus: [{mig: [1g.5gb slot 16]}]\n", "the slot is no number below 16"},
        {"gpus: [{mig: [1g.5gb slot 15, 1g.5gb]}]\n", "slot taken or over 15"},
        {"gpus: [{count: 2, uuid: GPU-1}]\n", "fixed uuid"},
        {"pods: [{namespace: a}]\n", "pods[0].name: every pod needs one"},
        {"pods: [{namespace: A, name: b}]\n", "pods[0].name"},
        {"pods: [{namespace: a, name: ../b}]\n", "pods[0].name"},
        {"pods: [{namespace: a, name: b, uid: \"x/y\"}]\n", "pods[0].uid"},
        {"pods: [{namespace: a, name: b, containers: [\"x/y\"]}]\n",
         "pods[0].containers"},
        {"pods: [{namespace: a, name: b, replicate: 2}]\n", "there twice"},
        {"pods: [{namespace: a, name: \"b{n}\", replicate: 5001}]\n", "more than 5000"},
        {"processes: [{pid: 5}]\n", "processes[0].command: every process needs one"},
        {"processes: [{command: a, command_hex: \"61\"}]\n", "not both"},
        {"processes: [{command_hex: \"00\"}]\n", "command_hex"},
        {"processes: [{command: a, command_length: 4097}]\n", "command_length"},
        {"processes: [{command: a, gpu: 0}]\n", "processes[0].gpu"},
        {GPU "processes: [{command: a, gpu: 1}]\n", "none of the 1 there are"},
        {GPU "processes: [{command: a, gpu: 0, mig: 0}]\n", "processes[0].mig"},
        {"processes: [{command: a, mig: 0}]\n", "needs `gpu`"},
        {"processes: [{command: a, pid: 1}]\n", "processes[0].pid"},
        {"processes: [{command: a, pid: 9, replicate: 2}]\n", "9 is taken"},
        {"processes: [{command: a, user: ghost}]\n", "no user \"ghost\""},
        {POD "processes: [{command: a, pod: ml/other}]\n", "no pod \"ml/other\""},
        {POD "processes: [{command: a, pod: train}]\n", "no pod \"train\""},
        {POD "processes: [{command: a, pod: ml/train, container: x}]\n", "has no \"x\""},
        {"processes: [{command: a, container: x}]\n", "needs `pod`"},
        {"processes: [{command: a, cgroup: relative}]\n", "processes[0].cgroup"},
        {"processes: [{command: a, sm: much}]\n", "processes[0].sm"},
        {"processes: [{command: a, memory: much}]\n", "processes[0].memory"},
        {"processes: [{command: a, started: then}]\n", "processes[0].started"},
        {"processes: [{command: a, starts: 5, ends: 5}]\n", "processes[0].ends"},
        {"processes: [{command: a, starts: -5}]\n", "processes[0].ends"},
        {"processes: [{command: a, repeat: 5}]\n", "processes[0].repeat"},
        {"processes: [{command: a, ends: 9, repeat: 5}]\n", "processes[0].repeat"},
        {"processes: [{command: a, kind: magic}]\n", "Invalid ENUM value: magic"},
        {"processes: [{command: a, garbage: 1001}]\n", "processes[0].garbage"},
        {"processes: [{command: a, replicate: 20001}]\n", "more than 20000"},
        {"host_processes: 100001\n", "host_processes: more than 100000"},
        {"faults: [{code: UNKNOWN}]\n", "Missing required mapping field: call"},
        {"faults: [{call: printf, code: UNKNOWN}]\n", "faults[0].call"},
        {"faults: [{call: nvmlInit_v2}]\n", "faults[0].code"},
        {"faults: [{call: nvmlInit_v2, action: stall, code: UNKNOWN}]\n",
         "faults[0].code"},
        {"faults: [{call: nvmlInit_v2, code: OUCH}]\n", "\"OUCH\" is no driver code"},
        {"faults: [{call: nvmlInit_v2, code: UNKNOWN, gpu: 0}]\n", "faults[0].gpu"},
        {"processes: [{command: a, user: \"\\e[31m\"}]\n", "no user \"?[31m\""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(SCENARIO_ARENA_BYTES);
        struct scenario scenario = {0};
        struct err err = {0};
        assert_true(scenario_parse(arena, str_from(cases[i].text), "a.yaml", &scenario,
                                   &err) < 0);
        if (!strstr(err.message, cases[i].part) || !strstr(err.message, "a.yaml"))
            fail_msg("for %s\nthe message is: %s\nwithout: %s", cases[i].text,
                     err.message, cases[i].part);
        assert_null(scenario.label);
    }
}

static void defaults(void **state)
{
    (void)state;
    struct scenario s = support_parse("description: nothing else\n");
    assert_string_equal(s.description, "nothing else");
    assert_true(s.driver.is_present);
    assert_string_equal(s.driver.version, "550.163.01");
    assert_int_equal(s.driver.cuda_version, 12040);
    assert_int_equal(s.driver.empty_slot_code, 6);
    assert_int_equal(s.driver.sample_window_ms, 10000);
    assert_int_equal(s.cgroup_version, 2);
    assert_int_equal(s.gpu_count + s.pod_count + s.process_count + s.fault_count, 0);
}

static void replicas(void **state)
{
    (void)state;
    struct scenario s =
        support_parse("gpus: [{count: 2, name: NVIDIA H200, mig: [1g.18gb, 1g.18gb]}]\n"
                      "pods: [{namespace: \"t-{n%2}\", name: \"p-{n}\", replicate: 4}]\n"
                      "processes:\n"
                      "  - {command: \"run-{n}\", pod: \"t-{n%2}/p-{n}\", gpu: "
                      "\"{n%2}\", mig: \"{n/2}\",\n"
                      "     started: \"{n*10}\", sm: \"{n+1}\", replicate: 4}\n"
                      "  - {command: last, pid: 10017}\n");
    assert_int_equal(s.gpu_count, 2);
    assert_int_equal(s.mig_count, 4);
    assert_int_equal(s.process_count, 5);
    assert_int_equal(s.entry_count, 4);
    assert_int_equal(s.processes[0].pid, 10017); /* explicit ones come first */
    const struct scenario_process *third = &s.processes[3];
    assert_string_equal(third->command, "run-2");
    assert_string_equal(third->pod->name, "p-2");
    assert_string_equal(third->container, "main");
    assert_int_equal(third->targets[0].gpu, 0);
    assert_int_equal(s.migs[third->targets[0].mig].gpu, 0);
    assert_int_equal(s.migs[third->targets[0].mig].gi, 8);
    assert_float_equal(third->started_seconds, 20, 1e-9);
    assert_float_equal(third->sim.sm.base_percent, 3, 1e-9);
    assert_int_equal(s.processes[2].pid, 10034); /* 10017 is taken */
    assert_int_equal(third->first_entry, 2);
}

static void places(void **state)
{
    (void)state;
    struct scenario s =
        support_parse("users: [{name: jiwoo, uid: 1001}]\n"
                      "gpus: [{count: 3}]\n"
                      "processes:\n"
                      "  - {command: a, user: jiwoo, gpu: \"0,2\", memory: none, kind: "
                      "compute+graphics}\n"
                      "  - {command: b, user: \"77\", in_proc: false, samples: false, "
                      "command_length: 5}\n"
                      "  - {command_hex: \"61 FF\", gpu: all, kind: mps}\n");
    assert_int_equal(s.processes[0].uid, 1001);
    assert_int_equal(s.processes[0].target_count, 2);
    assert_int_equal(s.processes[0].targets[1].gpu, 2);
    assert_int_equal(s.processes[0].targets[1].mig, SIM_ID_NONE);
    assert_true(s.processes[0].sim.memory_bytes == UINT64_MAX);
    assert_int_equal(s.processes[0].sim.kinds, SIM_COMPUTE | SIM_GRAPHICS);
    assert_int_equal(s.processes[1].uid, 77);
    assert_string_equal(s.processes[1].command, "bbbbb");
    assert_false(s.processes[1].in_proc);
    assert_int_equal(s.processes[1].sim.has_samples, 0);
    assert_string_equal(s.processes[2].command, "a\xff");
    assert_int_equal(s.processes[2].target_count, 3);
    assert_int_equal(s.processes[2].sim.kinds, SIM_MPS);
}

static void generations(void **state)
{
    (void)state;
    struct scenario old = support_parse(
        "driver: {generation: \"450\", absent_symbols: [nvmlDeviceGetName]}\n"
        "gpus: [{name: NVIDIA H200, mig: [1g.18gb]}]\n");
    bool has_own = false;
    bool has_v2 = false;
    for (size_t i = 0; i < old.driver.absent_count; i++) {
        has_own = has_own || !strcmp(old.driver.absent_symbols[i], "nvmlDeviceGetName");
        has_v2 = has_v2 || !strcmp(old.driver.absent_symbols[i],
                                   "nvmlDeviceGetComputeRunningProcesses_v2");
    }
    assert_true(has_own && has_v2);
    assert_int_equal(old.gpus[0].sim.gpm_supported, 0);
    char uuid[96];
    (void)snprintf(uuid, sizeof(uuid), "MIG-%.60s/7/0", old.gpus[0].sim.uuid);
    assert_string_equal(old.migs[0].uuid, uuid);
    struct scenario wide = support_parse("driver: {generation: \"535.54\"}\n");
    assert_int_equal(wide.driver.process_v3_stride, 32);
}

static void mig_states(void **state)
{
    (void)state;
    struct scenario s = support_parse("gpus:\n"
                                      "  - {mig_mode: enabled}\n"
                                      "  - {mig_mode: enabling}\n"
                                      "  - {mig: [2g.10gb slot 1, 1g.5gb slot 8]}\n"
                                      "  - {name: Tesla T4}\n");
    assert_int_equal(s.gpus[0].sim.mig_enabled && s.gpus[0].sim.mig_pending, 1);
    assert_int_equal(s.gpus[0].sim.max_mig_devices, 7);
    assert_int_equal(s.gpus[1].sim.mig_enabled, 0);
    assert_int_equal(s.gpus[1].sim.mig_pending, 1);
    assert_int_equal(s.migs[0].slot, 1);
    assert_int_equal(s.migs[1].slot, 8);
    assert_int_equal(s.gpus[2].sim.max_mig_devices, 9);
    assert_int_equal(s.gpus[3].sim.mig_capable, 0);
    assert_int_equal(s.gpus[3].sim.max_mig_devices, 0);
}

static void life(void **state)
{
    (void)state;
    struct scenario_process process = {.started_seconds = 100,
                                       .starts_seconds = 20,
                                       .ends_seconds = 50,
                                       .repeat_seconds = 60};
    static const struct {
        double seconds;
        bool lives;
        double born;
    } cases[] = {
        {0, false, 0},  {19.9, false, 0}, {20, true, 20}, {49, true, 20},
        {50, false, 0}, {79, false, 0},   {80, true, 80}, {110, false, 0},
    };
    double born;
    assert_true(scenario_process_changes(&process));
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(scenario_process_lives(&process, cases[i].seconds, &born),
                         cases[i].lives);
        if (cases[i].lives)
            assert_float_equal(born, cases[i].born, 1e-9);
    }
    process = (struct scenario_process){.started_seconds = 100, .ends_seconds = HUGE_VAL};
    assert_false(scenario_process_changes(&process));
    assert_true(scenario_process_lives(&process, 1e6, &born));
    assert_float_equal(born, -100, 1e-9);
}

static void ids_are_stable(void **state)
{
    (void)state;
    char first[65];
    char second[65];
    scenario_uuid(first, "gpu 0");
    scenario_uuid(second, "gpu 0");
    assert_string_equal(first, second);
    assert_int_equal(strlen(first), 36);
    assert_int_equal(first[14], '4');
    scenario_uuid(second, "gpu 1");
    assert_string_not_equal(first, second);
    scenario_hex(first, 64, "a");
    assert_true(str_is_hex(str_from(first), 64));
}

static void builtins(void **state)
{
    (void)state;
    assert_string_equal(builtin_scenarios[0].name, "default");
    for (size_t i = 0; i < builtin_scenario_count; i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(SCENARIO_ARENA_BYTES);
        struct scenario scenario;
        struct err err = {0};
        if (scenario_load(arena, builtin_scenarios[i].name, &scenario, &err) != 0)
            fail_msg("%s", err.message);
        assert_true(strlen(scenario.description) > 10);
        assert_true(strlen(scenario.description) < 90);
    }
}

static void unknown_names(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(SCENARIO_ARENA_BYTES);
    struct scenario scenario;
    struct err err = {0};
    assert_true(scenario_load(arena, "nope", &scenario, &err) < 0);
    assert_non_null(strstr(err.message, "--list"));
    assert_true(scenario_load(arena, "./absent.yaml", &scenario, &err) < 0);
    assert_non_null(strstr(err.message, "./absent.yaml"));
}

static void too_large(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(SCENARIO_ARENA_BYTES);
    struct scenario scenario;
    struct err err = {0};
    char *text = malloc(SCENARIO_FILE_BYTES_MAX + 1);
    assert_non_null(text);
    memset(text, '#', SCENARIO_FILE_BYTES_MAX + 1);
    memcpy(text, "description: x\n", 15);
    struct str whole = {text, SCENARIO_FILE_BYTES_MAX};
    assert_int_equal(scenario_parse(arena, whole, "big", &scenario, &err), 0);
    whole.n++;
    assert_true(scenario_parse(arena, whole, "big", &scenario, &err) < 0);
    assert_non_null(strstr(err.message, "1024 KiB"));
    free(text);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct err err = {0};
    for (size_t limit = 1 << 10; limit < 1 << 20; limit *= 4) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(limit);
        struct scenario scenario;
        assert_true(scenario_load(arena, "dense", &scenario, &err) < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes),    cmocka_unit_test(defaults),
        cmocka_unit_test(replicas),    cmocka_unit_test(places),
        cmocka_unit_test(generations), cmocka_unit_test(mig_states),
        cmocka_unit_test(life),        cmocka_unit_test(ids_are_stable),
        cmocka_unit_test(builtins),    cmocka_unit_test(unknown_names),
        cmocka_unit_test(too_large),   cmocka_unit_test(memory_is_bounded),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    support_free();
    return failed;
}
