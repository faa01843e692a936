/* nvidia-smi's tables: every shape of line that its releases print, and broken ones. */
#include "base/cleanup.h"
#include "source/nvsmi/smi_csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define MIB UINT64_C(1048576)
#define HEADER                                                                           \
    "index, uuid, pci.bus_id, mig.mode.current, name, memory.total [MiB], "              \
    "memory.used [MiB], utilization.gpu [%], power.draw [W], temperature.gpu, "          \
    "driver_version\n"

static void assert_str(struct str s, const char *expected)
{
    if (!expected) {
        assert_null(s.p);
        return;
    }
    assert_non_null(s.p);
    assert_int_equal(s.n, strlen(expected));
    assert_memory_equal(s.p, expected, s.n);
}

static void open_gpus(struct smi_csv *csv, const char *text)
{
    struct err err = {0};
    assert_int_equal(smi_csv_open_gpus(csv, str_from(text), &err), 0);
}

static void test_token_state(void **state)
{
    (void)state;
    static const struct {
        const char *token;
        enum value_state expected;
    } cases[] = {
        {"[Insufficient Permissions]", VALUE_DENIED},
        {"[N/A]", VALUE_UNSUPPORTED},
        {"N/A", VALUE_UNSUPPORTED},
        {"[Not Supported]", VALUE_UNSUPPORTED},
        {"[Requested functionality has been deprecated]", VALUE_UNSUPPORTED},
        {"[Unknown Error]", VALUE_ERROR},
        {"[GPU is lost]", VALUE_ERROR},
        {"[GPU requires reset]", VALUE_ERROR},
        {"[Not Found]", VALUE_ERROR},
        {"[]", VALUE_ERROR},
        {"", VALUE_ERROR},
        {"[", VALUE_OK},
        {"0", VALUE_OK},
        {"NVIDIA H200", VALUE_OK},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_int_equal(smi_token_state(str_from(cases[i].token)), cases[i].expected);
}

static void test_gpu_row(void **state)
{
    (void)state;
    struct smi_csv csv;
    struct smi_gpu gpu;
    open_gpus(&csv,
              HEADER "3, GPU-6b1c3fd0-0000-0000-0000-000000000003, 00000000:83:00.0, "
                     "Disabled, NVIDIA A100-SXM4-40GB, 40960 MiB, 1024 MiB, 41 %, "
                     "71.35 W, 35, 535.183.01\r\n");
    assert_true(smi_csv_next_gpu(&csv, &gpu));
    assert_int_equal(gpu.index, 3);
    assert_str(gpu.uuid, "GPU-6b1c3fd0-0000-0000-0000-000000000003");
    assert_str(gpu.pci_bus_id, "00000000:83:00.0");
    assert_str(gpu.name, "NVIDIA A100-SXM4-40GB");
    assert_str(gpu.driver_version, "535.183.01");
    assert_str(gpu.fault, NULL);
    assert_false(gpu.has_mig_mode);
    assert_int_equal(gpu.memory_total_bytes.state, VALUE_OK);
    assert_int_equal(gpu.memory_total_bytes.v, 40960 * MIB);
    assert_int_equal(gpu.memory_used_bytes.v, 1024 * MIB);
    assert_true(gpu.utilization_percent.v > 40.9 && gpu.utilization_percent.v < 41.1);
    assert_true(gpu.power_watts.v > 71.34 && gpu.power_watts.v < 71.36);
    assert_true(gpu.temperature_celsius.v > 34.9 && gpu.temperature_celsius.v < 35.1);
    assert_false(smi_csv_next_gpu(&csv, &gpu));
    assert_int_equal(csv.malformed_rows, 0);
}

/* The three values of mig.mode.current: in MIG mode, capable of it, not capable. */
static void test_gpu_mig_mode(void **state)
{
    (void)state;
    struct smi_csv csv;
    struct smi_gpu gpu;
    open_gpus(&csv,
              "index, uuid, pci.bus_id, mig.mode.current, name, memory.total [MiB]\n"
              "0, GPU-0, 00000000:83:00.0, Enabled, NVIDIA H200, 143771 MiB\n"
              "1, GPU-1, 00000000:84:00.0, Disabled, NVIDIA A100-SXM4-40GB, 40960 MiB\n"
              "2, GPU-2, 00000000:85:00.0, [N/A], NVIDIA GeForce RTX 3090, 24576 MiB");
    assert_true(smi_csv_next_gpu(&csv, &gpu));
    assert_true(gpu.has_mig_mode);
    assert_int_equal(gpu.memory_total_bytes.v, 143771 * MIB);
    /* columns that were not printed */
    assert_int_equal(gpu.power_watts.state, VALUE_UNSUPPORTED);
    assert_str(gpu.driver_version, NULL);
    assert_true(smi_csv_next_gpu(&csv, &gpu));
    assert_false(gpu.has_mig_mode);
    assert_true(smi_csv_next_gpu(&csv, &gpu));
    assert_false(gpu.has_mig_mode);
    assert_str(gpu.name, "NVIDIA GeForce RTX 3090");
    assert_false(smi_csv_next_gpu(&csv, &gpu));
}

static void test_gpu_missing_values(void **state)
{
    (void)state;
    struct smi_csv csv;
    struct smi_gpu gpu;
    open_gpus(&csv,
              HEADER "0, GPU-0, 00000000:83:00.0, Enabled, NVIDIA H200, "
                     "[Insufficient Permissions], [Insufficient Permissions], [N/A], "
                     "[Not Supported], [Unknown Error], 590.48.01\n");
    assert_true(smi_csv_next_gpu(&csv, &gpu));
    assert_int_equal(gpu.memory_total_bytes.state, VALUE_DENIED);
    assert_int_equal(gpu.memory_used_bytes.state, VALUE_DENIED);
    assert_int_equal(gpu.utilization_percent.state, VALUE_UNSUPPORTED);
    assert_int_equal(gpu.power_watts.state, VALUE_UNSUPPORTED);
    assert_int_equal(gpu.temperature_celsius.state, VALUE_ERROR);
    assert_str(gpu.fault, NULL);
}

static void test_gpu_fault(void **state)
{
    (void)state;
    struct smi_csv csv;
    struct smi_gpu gpu;
    open_gpus(
        &csv, HEADER
        "0, [GPU is lost], 00000000:83:00.0, [GPU is lost], [GPU is lost], "
        "[GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], 1\n"
        "1, GPU-1, 00000000:84:00.0, [N/A], T, 1 MiB, [GPU requires reset], "
        "[GPU requires reset], 1 W, 1, 1\n");
    assert_true(smi_csv_next_gpu(&csv, &gpu));
    assert_str(gpu.fault, "GPU is lost");
    assert_str(gpu.uuid, NULL);
    assert_int_equal(gpu.memory_total_bytes.state, VALUE_ERROR);
    assert_true(smi_csv_next_gpu(&csv, &gpu));
    assert_str(gpu.fault, "GPU requires reset");
}

/* A value that is no value is an error, never a number. */
static void test_gpu_implausible_values(void **state)
{
    (void)state;
    static const char *const memories[] = {
        "40960",      "40960 MB",           "40960  MiB", "-1 MiB",
        "40 960 MiB", "99999999999999 MiB", "1e3 MiB",    "18446744073709551616 MiB",
        "MiB",        "12.5 MiB",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(memories); i++) {
        char text[256];
        (void)snprintf(text, sizeof text,
                       "index, uuid, memory.total [MiB]\n0, GPU-0, %s\n", memories[i]);
        struct smi_csv csv;
        struct smi_gpu gpu;
        open_gpus(&csv, text);
        assert_true(smi_csv_next_gpu(&csv, &gpu));
        assert_int_equal(gpu.memory_total_bytes.state, VALUE_ERROR);
    }
    struct smi_csv csv;
    struct smi_gpu gpu;
    open_gpus(&csv, "index, uuid, utilization.gpu [%], power.draw [W], temperature.gpu\n"
                    "0, GPU-0, 101 %, -1 W, 35 C\n"
                    "1, GPU-1, 100 %, 0.00 W, 0\n"
                    "2, GPU-2, 5 W, 3 %, 1001\n");
    assert_true(smi_csv_next_gpu(&csv, &gpu));
    assert_int_equal(gpu.utilization_percent.state, VALUE_ERROR);
    assert_int_equal(gpu.power_watts.state, VALUE_ERROR);
    assert_int_equal(gpu.temperature_celsius.state, VALUE_ERROR);
    assert_true(smi_csv_next_gpu(&csv, &gpu));
    assert_int_equal(gpu.utilization_percent.state, VALUE_OK);
    assert_int_equal(gpu.power_watts.state, VALUE_OK);
    assert_int_equal(gpu.temperature_celsius.state, VALUE_OK);
    assert_true(smi_csv_next_gpu(&csv, &gpu));
    assert_int_equal(gpu.utilization_percent.state, VALUE_ERROR);
    assert_int_equal(gpu.power_watts.state, VALUE_ERROR);
    assert_int_equal(gpu.temperature_celsius.state, VALUE_ERROR);
}

/* Headers without units, lines around the table, and rows that make no sense. */
static void test_gpu_table_shapes(void **state)
{
    (void)state;
    struct smi_csv csv;
    struct smi_gpu gpu;
    open_gpus(&csv, "some notice of the day\n\n"
                    "uuid, memory.total, index\n"
                    "GPU-a, 10 MiB, 0\n"
                    "\n"
                    "GPU-b, 10 MiB\n"
                    "GPU-c, 10 MiB, 1, 2\n"
                    "GPU-d, 10 MiB, -1\n"
                    "GPU-e, 10 MiB, 4294967296\n"
                    "GPU-f, 10 MiB, 4294967295\n"
                    "WARNING: infoROM is corrupted at gpu 0000:01:00.0\n");
    assert_true(smi_csv_next_gpu(&csv, &gpu));
    assert_str(gpu.uuid, "GPU-a");
    assert_int_equal(gpu.memory_total_bytes.v, 10 * MIB);
    assert_true(smi_csv_next_gpu(&csv, &gpu));
    assert_str(gpu.uuid, "GPU-f");
    assert_false(smi_csv_next_gpu(&csv, &gpu));
    assert_false(smi_csv_next_gpu(&csv, &gpu));
    assert_int_equal(csv.malformed_rows, 4);
}

static void test_no_table(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "\n\n", "No devices were found\n", "index\n", "uuid, name\n", ",,,,,,,,,\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct smi_csv csv;
        struct err err = {0};
        assert_true(smi_csv_open_gpus(&csv, str_from(texts[i]), &err) < 0);
        assert_int_equal(err.domain, ERR_PARSE);
        assert_true(smi_csv_open_apps(&csv, str_from(texts[i]), NULL) < 0);
    }
}

/* As many columns as are handled, and one more. */
static void test_cell_bound(void **state)
{
    (void)state;
    for (int extra = 0; extra <= 1; extra++) {
        char text[512] = "index, uuid";
        for (int i = 2; i < SMI_CSV_CELLS_MAX + extra; i++)
            (void)snprintf(text + strlen(text), sizeof text - strlen(text), ", c%d", i);
        struct smi_csv csv;
        int rc = smi_csv_open_gpus(&csv, str_from(text), NULL);
        assert_int_equal(rc == 0, extra == 0);
    }
}

static void test_apps(void **state)
{
    (void)state;
    struct smi_csv csv;
    struct smi_app app;
    const char *text = "gpu_uuid, pid, used_gpu_memory [MiB]\n"
                       "GPU-1, 12249, 2194 MiB\n"
                       "GPU-1, 12250, [N/A]\n"
                       "GPU-2, [Not Found], 10 MiB\n"
                       "[Unknown Error], 12251, 10 MiB\n"
                       "GPU-2, 0, 10 MiB\n"
                       "GPU-2, 12252, [Insufficient Permissions]\n";
    assert_int_equal(smi_csv_open_apps(&csv, str_from(text), NULL), 0);
    assert_true(smi_csv_next_app(&csv, &app));
    assert_str(app.gpu_uuid, "GPU-1");
    assert_int_equal(app.pid, 12249);
    assert_int_equal(app.memory_used_bytes.state, VALUE_OK);
    assert_int_equal(app.memory_used_bytes.v, 2194 * MIB);
    assert_true(smi_csv_next_app(&csv, &app));
    assert_int_equal(app.memory_used_bytes.state, VALUE_UNSUPPORTED);
    assert_true(smi_csv_next_app(&csv, &app));
    assert_int_equal(app.pid, 12252);
    assert_int_equal(app.memory_used_bytes.state, VALUE_DENIED);
    assert_false(smi_csv_next_app(&csv, &app));
    assert_int_equal(csv.malformed_rows, 3);
}

/* The columns of a table that someone else asked for, and a node without a process. */
static void test_apps_other_columns(void **state)
{
    (void)state;
    struct smi_csv csv;
    struct smi_app app;
    const char *wide = "gpu_uuid, gpu_bus_id, pid, process_name, used_gpu_memory [MiB]\n"
                       "GPU-1, 00000000:83:00.0, 12249, /opt/app/bin/worker, 2194 MiB\n"
                       "GPU-1, 00000000:83:00.0, 12250, [Not Found], 2194 MiB\n";
    assert_int_equal(smi_csv_open_apps(&csv, str_from(wide), NULL), 0);
    assert_true(smi_csv_next_app(&csv, &app));
    assert_int_equal(app.pid, 12249);
    assert_int_equal(app.memory_used_bytes.v, 2194 * MIB);
    assert_true(smi_csv_next_app(&csv, &app));
    assert_int_equal(app.pid, 12250);
    assert_false(smi_csv_next_app(&csv, &app));
    const char *empty = "gpu_uuid, pid, used_gpu_memory [MiB]\n";
    assert_int_equal(smi_csv_open_apps(&csv, str_from(empty), NULL), 0);
    assert_false(smi_csv_next_app(&csv, &app));
    assert_int_equal(csv.malformed_rows, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_state),
        cmocka_unit_test(test_gpu_row),
        cmocka_unit_test(test_gpu_mig_mode),
        cmocka_unit_test(test_gpu_missing_values),
        cmocka_unit_test(test_gpu_fault),
        cmocka_unit_test(test_gpu_implausible_values),
        cmocka_unit_test(test_gpu_table_shapes),
        cmocka_unit_test(test_no_table),
        cmocka_unit_test(test_cell_bound),
        cmocka_unit_test(test_apps),
        cmocka_unit_test(test_apps_other_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
