/*
 * --query-gpu and --query-compute-apps as CSV: a table of fields, a row per GPU or
 * process. Rows are of whole GPUs also under MIG.
 */
#include "sim/smi/smi.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIELDS_MAX = 32 };

/* What a row is about. */
struct row {
    const struct smi *smi;
    const struct smi_gpu *gpu;
    const struct smi_process *process; /* NULL in --query-gpu */
};

/* Prints a value without its unit. Return: what went wrong instead. */
typedef nvmlReturn_t value_fn(const struct row *row, char text[SMI_TEXT_BYTES]);

struct field {
    const char *name, *alias; /* alias may be NULL */
    const char *unit;         /* NULL: none */
    value_fn *value;
};

static nvmlReturn_t index_value(const struct row *row, char text[SMI_TEXT_BYTES])
{
    (void)snprintf(text, SMI_TEXT_BYTES, "%u", row->gpu->index);
    return NVML_SUCCESS;
}

static nvmlReturn_t uuid_value(const struct row *row, char text[SMI_TEXT_BYTES])
{
    return SMI_CALL(&row->smi->nvml, nvmlDeviceGetUUID, row->gpu->handle, text,
                    SMI_TEXT_BYTES);
}

static nvmlReturn_t name_value(const struct row *row, char text[SMI_TEXT_BYTES])
{
    return SMI_CALL(&row->smi->nvml, nvmlDeviceGetName, row->gpu->handle, text,
                    SMI_TEXT_BYTES);
}

static nvmlReturn_t bus_id_value(const struct row *row, char text[SMI_TEXT_BYTES])
{
    nvmlPciInfo_t pci;
    nvmlReturn_t rc =
        SMI_CALL(&row->smi->nvml, nvmlDeviceGetPciInfo_v3, row->gpu->handle, &pci);
    if (rc == NVML_SUCCESS)
        (void)snprintf(text, SMI_TEXT_BYTES, "%s", pci.busId);
    return rc;
}

static nvmlReturn_t mig_mode_value(const struct row *row, char text[SMI_TEXT_BYTES])
{
    unsigned current = 0, pending = 0;
    nvmlReturn_t rc = SMI_CALL(&row->smi->nvml, nvmlDeviceGetMigMode, row->gpu->handle,
                               &current, &pending);
    if (rc == NVML_SUCCESS)
        (void)snprintf(text, SMI_TEXT_BYTES, "%s", current ? "Enabled" : "Disabled");
    return rc;
}

/* Without the driver's reserve where the driver can tell it. */
static nvmlReturn_t memory_get(const struct row *row, nvmlMemory_v2_t *memory)
{
    const struct smi_nvml *nvml = &row->smi->nvml;
    nvmlMemory_t old;
    *memory = (nvmlMemory_v2_t){.version = nvmlMemory_v2};
    if (nvml->nvmlDeviceGetMemoryInfo_v2)
        return nvml->nvmlDeviceGetMemoryInfo_v2(row->gpu->handle, memory);
    nvmlReturn_t rc = SMI_CALL(nvml, nvmlDeviceGetMemoryInfo, row->gpu->handle, &old);
    if (rc == NVML_SUCCESS) {
        memory->total = old.total;
        memory->used = old.used;
    }
    return rc;
}

static void mebibytes_print(char text[SMI_TEXT_BYTES], unsigned long long bytes)
{
    (void)snprintf(text, SMI_TEXT_BYTES, "%llu", bytes >> 20);
}

static nvmlReturn_t memory_total_value(const struct row *row, char text[SMI_TEXT_BYTES])
{
    nvmlMemory_v2_t memory;
    nvmlReturn_t rc = memory_get(row, &memory);
    if (rc == NVML_SUCCESS)
        mebibytes_print(text, memory.total);
    return rc;
}

static nvmlReturn_t memory_used_value(const struct row *row, char text[SMI_TEXT_BYTES])
{
    nvmlMemory_v2_t memory;
    nvmlReturn_t rc = memory_get(row, &memory);
    if (rc == NVML_SUCCESS)
        mebibytes_print(text, memory.used);
    return rc;
}

static nvmlReturn_t utilization_value(const struct row *row, char text[SMI_TEXT_BYTES])
{
    nvmlUtilization_t utilization;
    nvmlReturn_t rc = SMI_CALL(&row->smi->nvml, nvmlDeviceGetUtilizationRates,
                               row->gpu->handle, &utilization);
    if (rc == NVML_SUCCESS)
        (void)snprintf(text, SMI_TEXT_BYTES, "%u", utilization.gpu);
    return rc;
}

static nvmlReturn_t power_value(const struct row *row, char text[SMI_TEXT_BYTES])
{
    unsigned milliwatts = 0;
    nvmlReturn_t rc =
        SMI_CALL(&row->smi->nvml, nvmlDeviceGetPowerUsage, row->gpu->handle, &milliwatts);
    if (rc == NVML_SUCCESS)
        (void)snprintf(text, SMI_TEXT_BYTES, "%u.%02u", milliwatts / 1000,
                       milliwatts % 1000 / 10);
    return rc;
}

static nvmlReturn_t temperature_value(const struct row *row, char text[SMI_TEXT_BYTES])
{
    unsigned celsius = 0;
    nvmlReturn_t rc = SMI_CALL(&row->smi->nvml, nvmlDeviceGetTemperature,
                               row->gpu->handle, NVML_TEMPERATURE_GPU, &celsius);
    if (rc == NVML_SUCCESS)
        (void)snprintf(text, SMI_TEXT_BYTES, "%u", celsius);
    return rc;
}

static nvmlReturn_t driver_value(const struct row *row, char text[SMI_TEXT_BYTES])
{
    return SMI_CALL(&row->smi->nvml, nvmlSystemGetDriverVersion, text, SMI_TEXT_BYTES);
}

static nvmlReturn_t pid_value(const struct row *row, char text[SMI_TEXT_BYTES])
{
    (void)snprintf(text, SMI_TEXT_BYTES, "%u", row->process->pid);
    return NVML_SUCCESS;
}

static nvmlReturn_t process_name_value(const struct row *row, char text[SMI_TEXT_BYTES])
{
    smi_process_name(row->smi, row->process->pid, text);
    return NVML_SUCCESS;
}

static nvmlReturn_t process_memory_value(const struct row *row, char text[SMI_TEXT_BYTES])
{
    if (row->process->memory_bytes == NVML_VALUE_NOT_AVAILABLE_U64)
        return NVML_ERROR_NOT_SUPPORTED;
    mebibytes_print(text, row->process->memory_bytes);
    return NVML_SUCCESS;
}

static const struct field gpu_fields[] = {
    {"index", NULL, NULL, index_value},
    {"uuid", "gpu_uuid", NULL, uuid_value},
    {"pci.bus_id", "gpu_bus_id", NULL, bus_id_value},
    {"name", "gpu_name", NULL, name_value},
    {"mig.mode.current", NULL, NULL, mig_mode_value},
    {"memory.total", NULL, "MiB", memory_total_value},
    {"memory.used", NULL, "MiB", memory_used_value},
    {"utilization.gpu", NULL, "%", utilization_value},
    {"power.draw", NULL, "W", power_value},
    {"temperature.gpu", NULL, NULL, temperature_value},
    {"driver_version", NULL, NULL, driver_value},
};

static const struct field app_fields[] = {
    {"gpu_uuid", NULL, NULL, uuid_value},
    {"gpu_bus_id", NULL, NULL, bus_id_value},
    {"gpu_name", NULL, NULL, name_value},
    {"pid", NULL, NULL, pid_value},
    {"process_name", "name", NULL, process_name_value},
    {"used_gpu_memory", "used_memory", "MiB", process_memory_value},
};

/* The fields asked for, in that order. */
struct selection {
    const struct field *fields[FIELDS_MAX];
    size_t count;
};

static const struct field *field_find(const struct field *fields, size_t count,
                                      struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(name, str_from(fields[i].name)) ||
            (fields[i].alias && str_equal(name, str_from(fields[i].alias))))
            return &fields[i];
    }
    return NULL;
}

static bool selection_read(struct selection *selection, const struct field *fields,
                           size_t count, const char *names)
{
    struct str rest = str_from(names), name;
    while (str_split(&rest, ',', &name)) {
        name = str_trim(name);
        const struct field *field = field_find(fields, count, name);
        if (!field || selection->count == FIELDS_MAX) {
            printf("Field \"%.*s\" is not a valid field to query.\n\n", (int)name.n,
                   name.p);
            return false;
        }
        selection->fields[selection->count++] = field;
    }
    return true;
}

/* Names, with units also under "nounits". */
static void header_print(const struct selection *selection)
{
    for (size_t i = 0; i < selection->count; i++) {
        const struct field *field = selection->fields[i];
        printf("%s%s", i ? ", " : "", field->name);
        if (field->unit)
            printf(" [%s]", field->unit);
    }
    putchar('\n');
}

static void row_print(const struct selection *selection, const struct row *row,
                      bool without_units)
{
    char text[SMI_TEXT_BYTES];
    for (size_t i = 0; i < selection->count; i++) {
        const struct field *field = selection->fields[i];
        const char *token = smi_token(field->value(row, text));
        bool has_unit = field->unit && !token && !without_units;
        printf("%s%s%s%s", i ? ", " : "", token ? token : text, has_unit ? " " : "",
               has_unit ? field->unit : "");
    }
    putchar('\n');
}

int smi_print_gpus(const struct smi *smi, const struct smi_request *request)
{
    struct selection selection = {0};
    if (!selection_read(&selection, gpu_fields, ARRAY_LENGTH(gpu_fields),
                        request->fields))
        return SMI_EXIT_USAGE;
    if (!request->without_header)
        header_print(&selection);
    for (size_t i = 0; i < smi->gpu_count; i++) {
        struct row row = {smi, &smi->gpus[i], NULL};
        row_print(&selection, &row, request->without_units);
    }
    return 0;
}

static void apps_of_gpu_print(const struct selection *selection, const struct smi *smi,
                              const struct smi_gpu *gpu, bool without_units)
{
    struct smi_process *processes = calloc(SMI_PROCESSES_MAX, sizeof(*processes));
    size_t count = 0;
    if (processes)
        (void)smi_processes(smi, gpu->handle, processes, SMI_PROCESSES_MAX, &count);
    for (size_t i = 0; i < count; i++) {
        struct row row = {smi, gpu, &processes[i]};
        if (processes[i].is_compute || processes[i].is_mps)
            row_print(selection, &row, without_units);
    }
    free(processes);
}

int smi_print_apps(const struct smi *smi, const struct smi_request *request)
{
    struct selection selection = {0};
    if (!selection_read(&selection, app_fields, ARRAY_LENGTH(app_fields),
                        request->fields))
        return SMI_EXIT_USAGE;
    if (!request->without_header)
        header_print(&selection);
    for (size_t i = 0; i < smi->gpu_count; i++)
        apps_of_gpu_print(&selection, smi, &smi->gpus[i], request->without_units);
    return 0;
}
