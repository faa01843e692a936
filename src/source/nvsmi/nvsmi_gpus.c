/*
 * The GPUs, from `nvidia-smi --query-gpu`: one run for all of them. When one lost GPU
 * makes the command fail for all, or the supervisor wants a GPU left out, each is asked
 * alone.
 */
#include "base/cleanup.h"
#include "base/utf8.h"
#include "source/nvsmi/nvsmi.h"
#include "source/nvsmi/smi_csv.h"
#include "source/nvsmi/smi_failure.h"

#include <errno.h>

enum {
    TEXT_BYTES = 96, /* a UUID, name or bus id is cut to this on a UTF-8 boundary */
    /* Asking GPU after GPU ends after so many failures in a row: an index past the last
     * GPU answers "No devices were found" unless the driver is broken altogether. */
    FAILED_GPUS_IN_A_ROW = 8,
};

/* Copies TEXT, bounded; NULL for one that is missing. Return: false without memory. */
static bool copy_text(struct arena *arena, struct str text, const char **copy)
{
    *copy = text.p ? arena_copy(arena, utf8_cut(text, TEXT_BYTES)) : NULL;
    return *copy || !text.p;
}

/* "--query-gpu=index,uuid,…" without what was refused; NULL without memory. */
static const char *gpu_query(const struct nvsmi *smi, struct arena *arena)
{
    const char *query = "--query-gpu=";
    const char *separator = "";
    for (int column = 0; query && column < SMI_GPU_COLUMNS; column++) {
        if (smi->refused_columns & (1U << column))
            continue;
        query = arena_printf(arena, "%s%s%s", query, separator,
                             smi_gpu_column_name((enum smi_gpu_column)column));
        separator = ",";
    }
    return query;
}

/* Notes that the column called FIELD is not to be asked for again. Return: false when it
 * was not asked for, or nothing works without it. */
static bool refuse_column(struct nvsmi *smi, struct str field)
{
    for (unsigned column = SMI_GPU_UUID + 1; column < SMI_GPU_COLUMNS; column++) {
        const char *name = smi_gpu_column_name((enum smi_gpu_column)column);
        if (str_equal(field, str_from(name)) &&
            !(smi->refused_columns & (1U << column))) {
            smi->refused_columns |= 1U << column;
            return true;
        }
    }
    return false;
}

/* Asks for the GPUs, or for GPU ONLY; again without each field that is refused.
 * Return: as smi_failure_judge(), but never SMI_UNKNOWN_FIELD. */
static int ask_gpus(const struct nvsmi_collection *c, uint32_t only,
                    struct smi_output *output, struct err *err)
{
    const char *id = only == PROGRESS_NO_DEVICE ? "" : arena_printf(c->arena, "%u", only);
    for (;;) {
        const char *query = gpu_query(c->smi, c->arena);
        if (!query || !id)
            return nvsmi_out_of_memory(err);
        const char *const arguments[] = {"nvidia-smi",        query, "--format=csv",
                                         id[0] ? "-i" : NULL, id,    NULL};
        int rc =
            nvsmi_ask(c->smi, "nvidia-smi --query-gpu", only, arguments, output, err);
        if (rc != SMI_UNKNOWN_FIELD)
            return rc;
        struct str field =
            smi_failure_field(buf_str(&output->text), buf_str(&output->complaint));
        if (!refuse_column(c->smi, field))
            return -EOPNOTSUPP;
        smi_output_done(output);
    }
}

/* Return: the next device, or NULL when there are as many as this program handles. */
static struct device_facts *add_device(struct nvsmi_collection *c, uint32_t index)
{
    if (c->facts.device_count == FACTS_MAX_GPUS)
        return NULL;
    struct device_facts *device = &c->facts.devices[c->facts.device_count++];
    *device = (struct device_facts){
        .kind = DEVICE_GPU,
        .index = index,
        .gi = MIG_ID_NONE,
        .ci = MIG_ID_NONE,
        .process_list = VALUE_ERROR,
    };
    return device;
}

/* Return: false when memory is gone. */
static bool fill_fault(struct nvsmi_collection *c, struct device_facts *device,
                       struct str fault)
{
    if (!fault.n)
        return true;
    device->fault =
        arena_printf(c->arena, "%.*s; %s", (int)fault.n, fault.p, DRIVER_GPU_REMEDY);
    return device->fault != NULL;
}

static bool fill_device(struct nvsmi_collection *c, struct device_facts *device,
                        const struct smi_gpu *gpu)
{
    device->has_mig_mode = gpu->has_mig_mode;
    device->memory_total_bytes = gpu->memory_total_bytes;
    device->memory_used_bytes = gpu->memory_used_bytes;
    device->utilization_percent = gpu->utilization_percent;
    device->power_watts = gpu->power_watts;
    device->temperature_celsius = gpu->temperature_celsius;
    if (gpu->has_mig_mode)
        device->process_list = VALUE_UNSUPPORTED;
    return copy_text(c->arena, gpu->uuid, &device->uuid) &&
           copy_text(c->arena, gpu->name, &device->name) &&
           copy_text(c->arena, gpu->pci_bus_id, &device->pci_bus_id) &&
           fill_fault(c, device, gpu->fault) &&
           (c->facts.driver_version ||
            copy_text(c->arena, gpu->driver_version, &c->facts.driver_version));
}

/* Adds the GPUs of one table. */
static int read_gpus(struct nvsmi_collection *c, struct str text, struct err *err)
{
    struct smi_csv csv;
    struct smi_gpu gpu;
    uint64_t surplus = 0;
    int rc = smi_csv_open_gpus(&csv, text, err);
    if (rc < 0)
        return rc;
    while (smi_csv_next_gpu(&csv, &gpu)) {
        struct device_facts *device = add_device(c, gpu.index);
        if (!device)
            surplus++;
        else if (!fill_device(c, device, &gpu))
            return nvsmi_out_of_memory(err);
        else if (device->fault)
            nvsmi_count(c->smi, "gpu_unreadable", 1);
    }
    nvsmi_count(c->smi, "too_many_gpus", surplus);
    nvsmi_count(c->smi, "malformed_row", csv.malformed_rows);
    return 0;
}

/* A device of which only the index is known, and why. */
static int add_faulty(struct nvsmi_collection *c, uint32_t index, const char *fault,
                      struct err *err)
{
    struct device_facts *device = add_device(c, index);
    if (device)
        device->fault = arena_copy(c->arena, str_from(fault));
    nvsmi_count(c->smi, "gpu_unreadable", 1);
    return !device || device->fault ? 0 : nvsmi_out_of_memory(err);
}

static int collect_one_gpu(struct nvsmi_collection *c, uint32_t index, struct err *err)
{
    CLEANUP(smi_output_done) struct smi_output output = SMI_OUTPUT_INIT;
    int rc = ask_gpus(c, index, &output, err);
    return rc == 0 ? read_gpus(c, buf_str(&output.text), err) : rc;
}

/* Asks GPU after GPU, so that one that fails costs only itself.
 * Return: 0, or negative when the driver gave no answer for any. */
static int collect_gpus_alone(struct nvsmi_collection *c, struct err *err)
{
    bool has_answer = false;
    size_t failures_in_a_row = 0;
    size_t count_before_failures = 0;
    for (uint32_t index = 0; index < FACTS_MAX_GPUS; index++) {
        const struct call_progress *progress = c->smi->progress;
        const char *why_not = NULL;
        if (progress_is_left_out(progress, index)) {
            why_not = progress_left_out_reason(progress, index, c->arena);
            if (!why_not)
                return nvsmi_out_of_memory(err);
        }
        int rc = why_not ? 0 : collect_one_gpu(c, index, err);
        if (rc == SMI_NO_DEVICES)
            return 0;
        if (rc != 0)
            why_not = err->message;
        if (why_not && add_faulty(c, index, why_not, NULL) < 0)
            return nvsmi_out_of_memory(err);
        if (!why_not) {
            has_answer = true;
            failures_in_a_row = 0;
            count_before_failures = c->facts.device_count;
        } else if (rc != 0 && ++failures_in_a_row == FAILED_GPUS_IN_A_ROW) {
            c->facts.device_count = count_before_failures; /* do the others exist? */
            break;
        }
    }
    return has_answer ? 0 : err_wrap(err, -ENODEV, "no GPU could be read");
}

int nvsmi_collect_gpus(struct nvsmi_collection *c, struct err *err)
{
    if (atomic_load(&c->smi->progress->skip_devices))
        return collect_gpus_alone(c, err);
    CLEANUP(smi_output_done) struct smi_output output = SMI_OUTPUT_INIT;
    int rc = ask_gpus(c, PROGRESS_NO_DEVICE, &output, err);
    if (rc == 0)
        return read_gpus(c, buf_str(&output.text), err);
    if (rc == SMI_GPU_UNREADABLE)
        return collect_gpus_alone(c, err);
    return rc == SMI_NO_DEVICES ? 0 : rc < 0 ? rc : -EOPNOTSUPP;
}
