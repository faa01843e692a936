/* The GPUs: what becomes of a table, old releases, lost GPUs, GPUs to be left out. */
#include "fake_node.h"

static const struct device_facts *device(const struct fake_node *node, size_t i)
{
    assert_true(i < node->facts.device_count);
    return &node->facts.devices[i];
}

static void test_facts(void **state)
{
    struct fake_node *node = *state;
    assert_int_equal(fake_node_collect(node), 0);
    const struct device_facts *gpu = device(node, 0);
    assert_int_equal(node->facts.device_count, 1);
    assert_string_equal(node->facts.driver_version, "535.1");
    assert_int_equal(gpu->kind, DEVICE_GPU);
    assert_int_equal(gpu->index, 0);
    assert_int_equal(gpu->gi, MIG_ID_NONE);
    assert_int_equal(gpu->ci, MIG_ID_NONE);
    assert_string_equal(gpu->uuid, "GPU-0");
    assert_string_equal(gpu->name, "NVIDIA Test");
    assert_string_equal(gpu->pci_bus_id, "00000000:80:00.0");
    assert_null(gpu->mig_profile);
    assert_null(gpu->fault);
    assert_int_equal(gpu->memory_total_bytes.v, UINT64_C(40960) * 1048576);
    assert_int_equal(gpu->memory_used_bytes.v, UINT64_C(1024) * 1048576);
    assert_int_equal(gpu->utilization_percent.state, VALUE_OK);
    assert_int_equal(gpu->power_watts.state, VALUE_OK);
    assert_int_equal(gpu->temperature_celsius.state, VALUE_OK);
    assert_int_equal(gpu->process_list, VALUE_OK);
    assert_false(gpu->has_mig_mode);
    /* every call was noted, and ended */
    assert_int_equal(atomic_load(&node->progress.sequence), 6);
}

static void test_long_texts(void **state)
{
    struct fake_node *node = *state;
    char text[1024] = "index, uuid, name\n0, GPU-0, ";
    size_t start = strlen(text);
    for (int i = 0; i < 95; i++)
        strncat(text, "x", 2);
    strncat(text, "\xC3\xA9\xC3\xA9\n", 8);
    fake_smi_write(&node->smi, "gpus", text, 0644);
    assert_int_equal(fake_node_collect(node), 0);
    assert_int_equal(strlen(device(node, 0)->name), 95);
    assert_memory_equal(device(node, 0)->name, text + start, 95);
}

static void test_no_gpu(void **state)
{
    struct fake_node *node = *state;
    static const char *const scripts[] = {
        "echo No devices were found; exit 6",
        "echo No devices were found",
        "echo \"$*\" >> calls; echo 'index, uuid'",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(scripts); i++) {
        fake_smi_script(&node->smi, scripts[i]);
        assert_int_equal(fake_node_collect(node), 0);
        assert_int_equal(node->facts.device_count, 0);
        assert_int_equal(node->facts.process_count, 0);
    }
}

/* The failure of the whole comes with its cause, and leaves the facts alone. */
static void test_driver_down(void **state)
{
    struct fake_node *node = *state;
    static const struct {
        const char *script, *words;
    } cases[] = {
        {"echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18",
         "reboot"},
        {"exit 9", "modprobe nvidia"},
        {"echo hello", "no table"},
        {"kill -ILL $$", "signal 4"},
        {"echo no permission >&2; exit 3", "do not offer"},
        {"echo 'Field \"uuid\" is not a valid field to query.'; exit 2", "uuid"},
        {"echo 'Field \"never_asked\" is not a valid field to query.'; exit 2", "never"},
        {"echo 'Unable to determine the device handle for GPU0000:CB:00.0'; exit 15",
         "no GPU could be read"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        fake_smi_script(&node->smi, cases[i].script);
        node->err = (struct err){0};
        assert_true(fake_node_collect(node) < 0);
        assert_non_null(strstr(node->err.message, "nvidia-smi"));
        assert_non_null(strstr(node->err.message, cases[i].words));
        assert_int_equal(node->facts.device_count, 0);
    }
    assert_true(
        node->driver->ops->collect(node->driver, node->arena, &node->facts, NULL) < 0);
}

/* A release that lacks fields is asked again without them, once for ever. */
static void test_unknown_fields(void **state)
{
    struct fake_node *node = *state;
    fake_smi_script(
        &node->smi,
        "for field in mig.mode.current temperature.gpu; do\n"
        "case \"$*\" in *$field*) echo \"$*\" >> calls\n"
        "echo \"Field \\\"$field\\\" is not a valid field to query.\"; exit 2\n"
        "esac; done\n" FAKE_ANSWERS);
    fake_smi_write(&node->smi, "gpus",
                   "index, uuid, memory.total [MiB]\n0, GPU-0, 1 MiB\n", 0644);
    assert_int_equal(fake_node_collect(node), 0);
    assert_int_equal(fake_node_calls(node, "--query-gpu="), 3);
    assert_int_equal(device(node, 0)->temperature_celsius.state, VALUE_UNSUPPORTED);
    assert_int_equal(device(node, 0)->memory_total_bytes.state, VALUE_OK);
    assert_int_equal(fake_node_collect(node), 0);
    assert_int_equal(fake_node_calls(node, "--query-gpu="), 1);
}

/* A GPU that says in its cells that it is lost. */
static void test_lost_in_table(void **state)
{
    struct fake_node *node = *state;
    fake_smi_write(&node->smi, "gpus",
                   "index, uuid, memory.total [MiB]\n0, GPU-0, [GPU is lost]\n"
                   "1, GPU-1, 2 MiB\n",
                   0644);
    fake_smi_write(&node->smi, "apps", FAKE_APP_HEADER "GPU-1, 77, 1 MiB\n", 0644);
    assert_int_equal(fake_node_collect(node), 0);
    assert_string_equal(device(node, 0)->fault, "GPU is lost; " DRIVER_GPU_REMEDY);
    assert_int_equal(device(node, 0)->process_list, VALUE_ERROR);
    assert_null(device(node, 1)->fault);
    assert_int_equal(device(node, 1)->process_list, VALUE_OK);
    assert_int_equal(node->facts.process_count, 1);
    assert_int_equal(node->facts.processes[0].device, 1);
    assert_int_equal(fake_node_calls(node, "--query-compute-apps"), 1);
    assert_int_equal(fake_node_calls(node, "--format=csv -i 1"), 1);
    assert_int_equal(fake_node_errors(node, "gpu_unreadable"), 1);
}

#define LOST                                                                             \
    "echo 'Unable to determine the device handle for GPU0000:CB:00.0: Unknown Error'"
/* Answers for one GPU each of three, of which number 1 is lost. */
#define ONE_OF_THREE                                                                     \
    "echo \"$*\" >> calls\n"                                                             \
    "for last; do :; done\n"                                                             \
    "case \"$*\" in\n"                                                                   \
    "*query-gpu*-i\\ 1) " LOST "; exit 15 ;;\n"                                          \
    "*query-gpu*-i\\ [02]) echo 'index, uuid'; echo $last, GPU-$last ;;\n"               \
    "*query-gpu*-i*) echo No devices were found; exit 6 ;;\n"                            \
    "*query-gpu*) " LOST "; exit 15 ;;\n"                                                \
    "*query-compute-apps*) cat apps ;;\n"                                                \
    "pmon*) cat pmon ;;\n"                                                               \
    "esac\n"

/* A lost GPU that makes the whole command fail costs only itself. */
static void test_lost_for_all(void **state)
{
    struct fake_node *node = *state;
    fake_smi_script(&node->smi, ONE_OF_THREE);
    fake_smi_write(&node->smi, "apps", FAKE_APP_HEADER "GPU-2, 77, 1 MiB\n", 0644);
    assert_int_equal(fake_node_collect(node), 0);
    assert_int_equal(node->facts.device_count, 3);
    assert_string_equal(device(node, 0)->uuid, "GPU-0");
    assert_null(device(node, 1)->uuid);
    assert_int_equal(device(node, 1)->index, 1);
    assert_non_null(strstr(device(node, 1)->fault, "GPU0000:CB:00.0"));
    assert_int_equal(device(node, 1)->process_list, VALUE_ERROR);
    assert_int_equal(device(node, 1)->memory_total_bytes.state, VALUE_UNSET);
    assert_string_equal(device(node, 2)->uuid, "GPU-2");
    assert_int_equal(fake_node_calls(node, "--query-gpu="), 5);
    assert_int_equal(fake_node_calls(node, "csv -i 0,2"), 1);
    assert_int_equal(fake_node_calls(node, "pmon -c 1 -s u -i 0,2"), 1);
    assert_int_equal(node->facts.process_count, 1);
    assert_int_equal(node->facts.processes[0].device, 2);
}

/* A node whose only GPU is lost has that GPU, not none. */
static void test_only_gpu_lost(void **state)
{
    struct fake_node *node = *state;
    fake_smi_script(&node->smi, "echo \"$*\" >> calls\n"
                                "case \"$*\" in\n"
                                "*-i\\ 1) echo No devices were found; exit 6;;\n"
                                "*) " LOST "; exit 15;; esac");
    assert_int_equal(fake_node_collect(node), 0);
    assert_int_equal(node->facts.device_count, 1);
    assert_non_null(device(node, 0)->fault);
    assert_int_equal(fake_node_calls(node, "compute-apps"), 0);
}

/* Failures without end: what may not exist is not reported, what answered is. */
static void test_failing_indexes(void **state)
{
    struct fake_node *node = *state;
    fake_smi_script(&node->smi,
                    "echo \"$*\" >> calls\n"
                    "case \"$*\" in\n"
                    "*query-gpu*-i\\ 1) echo 'index, uuid'; echo 1, GPU-1 ;;\n"
                    "*query-gpu*) " LOST "; exit 15 ;;\n"
                    "*query-compute-apps*) cat apps ;;\n"
                    "esac\n");
    assert_int_equal(fake_node_collect(node), 0);
    assert_int_equal(node->facts.device_count, 2);
    assert_non_null(device(node, 0)->fault);
    assert_null(device(node, 1)->fault);
    assert_int_equal(fake_node_calls(node, "--query-gpu="), 11);
}

/* What the supervisor wants left out is not asked for, by any call. */
static void test_left_out(void **state)
{
    struct fake_node *node = *state;
    fake_smi_script(&node->smi, ONE_OF_THREE);
    atomic_store(&node->progress.skip_devices, 3);
    atomic_store(&node->progress.crashed_devices, 2);
    assert_int_equal(fake_node_collect(node), 0);
    assert_int_equal(node->facts.device_count, 3);
    assert_non_null(strstr(device(node, 0)->fault, "did not return"));
    assert_non_null(strstr(device(node, 1)->fault, "crashed"));
    assert_null(device(node, 2)->fault);
    assert_int_equal(fake_node_calls(node, "--query-gpu="), 2);
    assert_int_equal(fake_node_calls(node, "-i 0"), 0);
    assert_int_equal(fake_node_calls(node, "pmon -c 1 -s u -i 2"), 1);
    assert_int_equal(fake_node_errors(node, "gpu_unreadable"), 2);
}

/* Everything left out, and a driver that no longer answers at all. */
static void test_left_out_and_down(void **state)
{
    struct fake_node *node = *state;
    fake_smi_script(&node->smi, "exit 9");
    atomic_store(&node->progress.skip_devices, 1);
    assert_true(fake_node_collect(node) < 0);
    assert_non_null(strstr(node->err.message, "modprobe nvidia"));
}

static void test_too_many_gpus(void **state)
{
    struct fake_node *node = *state;
    fake_smi_script(&node->smi, "echo index, uuid; seq 0 69 | sed 's/.*/&, GPU-&/'");
    assert_int_equal(fake_node_collect(node), 0);
    assert_int_equal(node->facts.device_count, FACTS_MAX_GPUS);
    assert_int_equal(fake_node_errors(node, "too_many_gpus"), 6);
}

#define CASE(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, fake_node_setup, fake_node_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_facts),        CASE(test_long_texts),        CASE(test_no_gpu),
        CASE(test_driver_down),  CASE(test_unknown_fields),    CASE(test_lost_in_table),
        CASE(test_lost_for_all), CASE(test_only_gpu_lost),     CASE(test_failing_indexes),
        CASE(test_left_out),     CASE(test_left_out_and_down), CASE(test_too_many_gpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
