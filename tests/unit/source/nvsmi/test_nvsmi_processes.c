/* The processes: the join of list and utilisation, MIG, bounds, asking again. */
#include "fake_node.h"

#define THREE_GPUS                                                                       \
    FAKE_GPU_HEADER FAKE_GPU(0, "Disabled") FAKE_GPU(1, "Enabled") FAKE_GPU(2, "Disable" \
                                                                               "d")

static const struct process_facts *process(const struct fake_node *node, size_t i)
{
    assert_true(i < node->facts.process_count);
    return &node->facts.processes[i];
}

static void assert_percent(struct value_double value, unsigned expected)
{
    assert_int_equal(value.state, VALUE_OK);
    assert_int_equal((unsigned)(value.v + 0.5), expected);
}

/* Order, duplicates, and each shape of utilisation. */
static void test_join(void **state)
{
    struct fake_node *node = *state;
    fake_smi_write(&node->smi, "gpus", THREE_GPUS, 0644);
    fake_smi_write(&node->smi, "apps",
                   FAKE_APP_HEADER "GPU-2, 30, 300 MiB\nGPU-0, 20, 200 MiB\n"
                                   "GPU-0, 10, 100 MiB\nGPU-0, 10, 100 MiB\n"
                                   "GPU-2, 10, [N/A]\nGPU-9, 10, 1 MiB\nnonsense\n",
                   0644);
    fake_smi_write(&node->smi, "pmon",
                   FAKE_PMON_HEADER "0 10 C 99 40 - 3 python3\n"
                                    "0 20 M+C - - - - mps client\n"
                                    "0 55 C 5 5 5 5 ended since\n"
                                    "0 66 G 5 5 5 5 Xorg\n"
                                    "2 10 C+G 1 2 3 4 x\n"
                                    "7 10 C 1 2 3 4 x\n"
                                    "broken\n",
                   0644);
    assert_int_equal(fake_node_collect(node), 0);
    assert_int_equal(node->facts.process_count, 4);
    assert_int_equal(process(node, 0)->device, 0);
    assert_int_equal(process(node, 0)->pid, 10);
    assert_int_equal(process(node, 0)->kinds, PROCESS_COMPUTE);
    assert_int_equal(process(node, 0)->memory_used_bytes.v, UINT64_C(100) * 1048576);
    assert_percent(process(node, 0)->sm_percent, 99);
    assert_percent(process(node, 0)->memory_bandwidth_percent, 40);
    assert_percent(process(node, 0)->encoder_percent, 0);
    assert_percent(process(node, 0)->decoder_percent, 3);
    assert_int_equal(process(node, 1)->pid, 20);
    assert_int_equal(process(node, 1)->kinds, PROCESS_COMPUTE | PROCESS_MPS);
    assert_percent(process(node, 1)->sm_percent, 0);
    assert_int_equal(process(node, 2)->device, 2);
    assert_int_equal(process(node, 2)->pid, 10);
    assert_int_equal(process(node, 2)->kinds, PROCESS_COMPUTE);
    assert_int_equal(process(node, 2)->memory_used_bytes.state, VALUE_UNSUPPORTED);
    assert_int_equal(process(node, 3)->pid, 30);
    /* listed, but not there when pmon looked: not measured, and not 0 */
    assert_int_equal(process(node, 3)->sm_percent.state, VALUE_ERROR);
    assert_int_equal(fake_node_errors(node, "unknown_device"), 1);
    assert_int_equal(fake_node_errors(node, "malformed_row"), 2);
    assert_int_equal(node->facts.processes_omitted, 0);
    assert_int_equal(fake_node_calls(node, "pmon -c 1 -s u -i 0,2"), 1);
}

/* Nothing tells on which MIG device a process runs, so it is on none. */
static void test_mig(void **state)
{
    struct fake_node *node = *state;
    fake_smi_write(&node->smi, "gpus", FAKE_GPU_HEADER FAKE_GPU(1, "Enabled"), 0644);
    fake_smi_write(&node->smi, "apps",
                   FAKE_APP_HEADER "GPU-1, 30, 300 MiB\nGPU-1, 31, 300 MiB\n", 0644);
    assert_int_equal(fake_node_collect(node), 0);
    assert_int_equal(node->facts.device_count, 1);
    assert_true(node->facts.devices[0].has_mig_mode);
    assert_false(node->facts.devices[0].has_mig_devices);
    assert_int_equal(node->facts.devices[0].process_list, VALUE_UNSUPPORTED);
    assert_null(node->facts.devices[0].fault);
    assert_int_equal(node->facts.process_count, 0);
    assert_int_equal(fake_node_errors(node, "mig_not_attributable"), 2);
    assert_int_equal(fake_node_calls(node, "pmon"), 0); /* it could say nothing */
}

/* pmon costs only utilisation. */
static void test_pmon_fails(void **state)
{
    struct fake_node *node = *state;
    static const struct {
        const char *script;
        enum value_state expected;
        uint64_t errors;
    } cases[] = {
        {"case $1 in pmon) exit 255;; esac\n" FAKE_ANSWERS, VALUE_ERROR, 1},
        {"case $1 in pmon) kill -SEGV $$;; esac\n" FAKE_ANSWERS, VALUE_ERROR, 2},
        {"case $1 in pmon) exit 3;; esac\n" FAKE_ANSWERS, VALUE_UNSUPPORTED, 2},
        {"case $1 in pmon) echo 'Not supported on the device(s)'; exit 255;; "
         "esac\n" FAKE_ANSWERS,
         VALUE_UNSUPPORTED, 2},
        {"case $1 in pmon) echo; exit 0;; esac\n" FAKE_ANSWERS, VALUE_ERROR, 2},
    };
    fake_smi_write(&node->smi, "apps", FAKE_APP_HEADER "GPU-0, 30, 300 MiB\n", 0644);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        fake_smi_script(&node->smi, cases[i].script);
        assert_int_equal(fake_node_collect(node), 0);
        assert_int_equal(process(node, 0)->sm_percent.state, cases[i].expected);
        assert_int_equal(process(node, 0)->decoder_percent.state, cases[i].expected);
        assert_int_equal(process(node, 0)->memory_used_bytes.state, VALUE_OK);
        assert_int_equal(fake_node_errors(node, "utilization_failed"), cases[i].errors);
    }
}

/* Without the list the GPUs are still there, and say why they have no sessions. */
static void test_list_fails(void **state)
{
    struct fake_node *node = *state;
    static const char *const scripts[] = {
        "case \"$*\" in *apps*) echo 'Insufficient Permissions'; exit 4;; "
        "esac\n" FAKE_ANSWERS,
        "case \"$*\" in *apps*) exit 15;; esac\n" FAKE_ANSWERS,
        "case \"$*\" in *apps*) echo no table;; esac\n" FAKE_ANSWERS,
    };
    for (size_t i = 0; i < ARRAY_LENGTH(scripts); i++) {
        fake_smi_write(&node->smi, "gpus",
                       FAKE_GPU_HEADER FAKE_GPU(0, "[N/A]") FAKE_GPU(1, "Enabled"), 0644);
        fake_smi_write(&node->smi, "apps", "", 0644);
        fake_smi_script(&node->smi, scripts[i]);
        assert_int_equal(fake_node_collect(node), 0);
        assert_int_equal(node->facts.device_count, 2);
        assert_int_equal(node->facts.devices[0].process_list, VALUE_ERROR);
        assert_non_null(node->facts.devices[0].fault);
        assert_int_equal(node->facts.devices[1].process_list, VALUE_UNSUPPORTED);
        assert_null(node->facts.devices[1].fault);
        assert_int_equal(node->facts.process_count, 0);
        assert_int_equal(fake_node_errors(node, "process_list_failed"), i + 1);
    }
}

static void test_bound(void **state)
{
    struct fake_node *node = *state;
    node->config.max_sessions = 2;
    fake_smi_write(&node->smi, "apps",
                   FAKE_APP_HEADER "GPU-0, 3, 1 MiB\nGPU-0, 2, 1 MiB\nGPU-0, 1, 1 MiB\n",
                   0644);
    assert_int_equal(fake_node_collect(node), 0);
    assert_int_equal(node->facts.process_count, 2);
    assert_int_equal(node->facts.processes_omitted, 1);
    assert_int_equal(process(node, 0)->pid, 2);
    assert_int_equal(process(node, 1)->pid, 3);
}

static int relist(struct fake_node *node, enum relist *answers)
{
    return node->driver->ops->relist(node->driver, node->arena, &node->facts, answers,
                                     &node->err);
}

/* Graphics processes stand only in pmon's table, and only there is their memory. */
static void test_graphics(void **state)
{
    struct fake_node *node = *state;
    node->config.with_graphics = true;
    fake_smi_write(&node->smi, "apps", FAKE_APP_HEADER "GPU-0, 30, 300 MiB\n", 0644);
    fake_smi_write(&node->smi, "pmon",
                   "# gpu pid type sm mem enc dec fb command\n"
                   "0 40 G 1 2 3 4 50 Xorg\n"
                   "0 30 C+G 5 6 7 8 999 game\n"
                   "0 31 C 5 6 7 8 999 ended since\n"
                   "0 20 G - - - - - Xwayland\n",
                   0644);
    assert_int_equal(fake_node_collect(node), 0);
    assert_int_equal(fake_node_calls(node, "pmon -c 1 -s um -i 0"), 1);
    assert_int_equal(node->facts.process_count, 3);
    assert_int_equal(process(node, 0)->pid, 20);
    assert_int_equal(process(node, 0)->memory_used_bytes.state, VALUE_UNSUPPORTED);
    assert_int_equal(process(node, 1)->pid, 30);
    assert_int_equal(process(node, 1)->kinds, PROCESS_COMPUTE | PROCESS_GRAPHICS);
    assert_int_equal(process(node, 1)->memory_used_bytes.v, UINT64_C(300) * 1048576);
    assert_int_equal(process(node, 2)->kinds, PROCESS_GRAPHICS);
    assert_int_equal(process(node, 2)->memory_used_bytes.v, UINT64_C(50) * 1048576);
    assert_percent(process(node, 2)->sm_percent, 1);

    /* asked again: one has ended; what only draws cannot be asked for */
    enum relist answers[] = {RELIST_WANTED, RELIST_WANTED, RELIST_WANTED};
    fake_smi_write(&node->smi, "apps", FAKE_APP_HEADER, 0644);
    assert_int_equal(relist(node, answers), 0);
    assert_int_equal(answers[0], RELIST_UNKNOWN);
    assert_int_equal(answers[1], RELIST_GONE);
    assert_int_equal(answers[2], RELIST_UNKNOWN);
}

static void test_relist(void **state)
{
    struct fake_node *node = *state;
    fake_smi_write(&node->smi, "gpus", THREE_GPUS, 0644);
    fake_smi_write(&node->smi, "apps",
                   FAKE_APP_HEADER "GPU-0, 1, 1 MiB\nGPU-0, 2, 1 MiB\nGPU-2, 1, 1 MiB\n"
                                   "GPU-2, 2, 1 MiB\n",
                   0644);
    assert_int_equal(fake_node_collect(node), 0);
    assert_int_equal(node->facts.process_count, 4);
    fake_smi_write(&node->smi, "apps",
                   FAKE_APP_HEADER "GPU-0, 2, 1 MiB\nGPU-2, 1, 1 MiB\nGPU-2, 2, 1 MiB\n"
                                   "GPU-2, 7, 1 MiB\nGPU-1, 7, 1 MiB\nGPU-9, 1, 1 MiB\n",
                   0644);
    enum relist answers[] = {RELIST_WANTED, RELIST_WANTED, RELIST_UNKNOWN, RELIST_WANTED};
    assert_int_equal(relist(node, answers), 0);
    assert_int_equal(answers[0], RELIST_GONE);
    assert_int_equal(answers[1], RELIST_LISTED);
    assert_int_equal(answers[2], RELIST_UNKNOWN); /* no answer was wanted */
    assert_int_equal(answers[3], RELIST_LISTED);

    /* who stood in a row that cannot be read? */
    enum relist again[] = {RELIST_WANTED, RELIST_WANTED, RELIST_UNKNOWN, RELIST_WANTED};
    fake_smi_write(&node->smi, "apps",
                   FAKE_APP_HEADER "GPU-0, 2, 1 MiB\nGPU-2, nonsense, 1 MiB\n", 0644);
    assert_int_equal(relist(node, again), 0);
    assert_int_equal(again[0], RELIST_UNKNOWN);
    assert_int_equal(again[1], RELIST_LISTED);
    assert_int_equal(again[3], RELIST_UNKNOWN);

    fake_smi_script(&node->smi, "exit 9");
    assert_true(relist(node, answers) < 0);
    fake_smi_script(&node->smi, "echo no table");
    assert_true(relist(node, answers) < 0);
}

#define CASE(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, fake_node_setup, fake_node_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_join),       CASE(test_mig),   CASE(test_pmon_fails),
        CASE(test_list_fails), CASE(test_bound), CASE(test_graphics),
        CASE(test_relist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
