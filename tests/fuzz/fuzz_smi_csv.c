/*
 * Any bytes as what nvidia-smi printed: each of its tables, and its failures. The first
 * byte serves as exit status, so that the catalogue is reached too.
 */
#include "source/nvsmi/smi_csv.h"
#include "source/nvsmi/smi_failure.h"
#include "source/nvsmi/smi_pmon.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Views into TEXT only. */
static void check_view(struct str view, struct str text)
{
    if (view.p && (view.p < text.p || view.p + view.n > text.p + text.n))
        abort();
}

static void check_percent(struct value_double value)
{
    if (value.state == VALUE_OK && !(value.v >= 0 && value.v <= 100))
        abort();
}

static void read_gpus(struct str text)
{
    struct smi_csv csv;
    struct smi_gpu gpu;
    if (smi_csv_open_gpus(&csv, text, NULL) < 0)
        return;
    while (smi_csv_next_gpu(&csv, &gpu)) {
        check_view(gpu.uuid, text);
        check_view(gpu.name, text);
        check_view(gpu.fault, text);
        check_percent(gpu.utilization_percent);
    }
}

static void read_apps(struct str text)
{
    struct smi_csv csv;
    struct smi_app app;
    if (smi_csv_open_apps(&csv, text, NULL) < 0)
        return;
    while (smi_csv_next_app(&csv, &app)) {
        check_view(app.gpu_uuid, text);
        if (app.pid == 0)
            abort();
    }
}

static void read_pmon(struct str text)
{
    struct smi_pmon pmon = smi_pmon_open(text);
    struct smi_pmon_row row;
    while (smi_pmon_next(&pmon, &row)) {
        check_percent(row.sm_percent);
        check_percent(row.memory_bandwidth_percent);
        if (row.pid == 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct err err = {0};
    read_gpus(text);
    read_apps(text);
    read_pmon(text);
    int rc = smi_failure_judge(size ? data[0] : 0, text, STR(""), &err);
    if (rc != 0 && err.message[0] == '\0')
        abort();
    check_view(smi_failure_field(text, STR("")), text);
    return 0;
}
