/*
 * The processes: a second of pmon for utilisation, then the compute processes, last so
 * that the list is fresh.
 *
 * nvidia-smi's tables name no MIG device, only the physical GPU. Processes of a GPU in
 * MIG mode are therefore left out and counted, never put on a device they do not run on.
 */
#include "base/cleanup.h"
#include "source/nvsmi/nvsmi.h"
#include "source/nvsmi/smi_csv.h"
#include "source/nvsmi/smi_failure.h"
#include "source/nvsmi/smi_pmon.h"

#include <errno.h>
#include <stdlib.h>

static bool is_readable(const struct device_facts *device)
{
    return !device->fault;
}

/* A device whose processes nvidia-smi can tell. */
static bool holds_sessions(const struct device_facts *device)
{
    return is_readable(device) && !device->has_mig_mode;
}

/* The indexes of the devices that are WANTED, "0,2,3", for -i; "" for none; NULL without
 * memory. */
static const char *device_list(const struct driver_facts *facts, struct arena *arena,
                               bool (*wanted)(const struct device_facts *))
{
    const char *list = "";
    for (size_t i = 0; list && i < facts->device_count; i++) {
        if (wanted(&facts->devices[i]))
            list = arena_printf(arena, "%s%s%u", list, list[0] ? "," : "",
                                facts->devices[i].index);
    }
    return list;
}

/* Asks for the compute processes of the readable GPUs. */
static int ask_apps(const struct nvsmi *smi, struct arena *arena,
                    const struct driver_facts *facts, struct smi_output *output,
                    struct err *err)
{
    bool has_faulty = false;
    for (size_t i = 0; i < facts->device_count; i++)
        has_faulty |= !is_readable(&facts->devices[i]);
    const char *ids = has_faulty ? device_list(facts, arena, is_readable) : "";
    if (!ids)
        return nvsmi_out_of_memory(err);
    const char *const arguments[] = {"nvidia-smi",         SMI_APP_QUERY, "--format=csv",
                                     ids[0] ? "-i" : NULL, ids,           NULL};
    int rc = nvsmi_ask(smi, "nvidia-smi --query-compute-apps", PROGRESS_NO_DEVICE,
                       arguments, output, err);
    return rc > 0 ? -EIO : rc;
}

/* A second of utilisation of the GPUs in IDS: older releases watch four unless told. */
static int ask_pmon(const struct nvsmi *smi, const char *ids, struct smi_output *output,
                    struct err *err)
{
    const char *const arguments[] = {
        "nvidia-smi", "pmon", "-c", "1", "-s", smi->with_graphics ? "um" : "u",
        "-i",         ids,    NULL};
    return nvsmi_ask(smi, "nvidia-smi pmon", PROGRESS_NO_DEVICE, arguments, output, err);
}

static const struct device_facts *find_device(const struct driver_facts *facts,
                                              struct str uuid)
{
    for (size_t i = 0; i < facts->device_count; i++) {
        if (facts->devices[i].uuid && str_equal(uuid, str_from(facts->devices[i].uuid)))
            return &facts->devices[i];
    }
    return NULL;
}

static int compare_processes(const void *left, const void *right)
{
    const struct process_facts *a = left;
    const struct process_facts *b = right;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return a->pid < b->pid ? -1 : a->pid > b->pid;
}

static struct process_facts *find_process(const struct driver_facts *facts,
                                          uint32_t device, uint32_t pid)
{
    struct process_facts key = {.device = device, .pid = pid};
    return facts->process_count ? bsearch(&key, facts->processes, facts->process_count,
                                          sizeof key, compare_processes)
                                : NULL;
}

/* Brings the processes into their order, each once. */
static void sort_processes(struct driver_facts *facts)
{
    size_t kept = 0;
    if (facts->process_count)
        qsort(facts->processes, facts->process_count, sizeof *facts->processes,
              compare_processes);
    for (size_t i = 0; i < facts->process_count; i++) {
        struct process_facts *last = kept ? &facts->processes[kept - 1] : NULL;
        if (last && compare_processes(last, &facts->processes[i]) == 0)
            last->kinds |= facts->processes[i].kinds;
        else
            facts->processes[kept++] = facts->processes[i];
    }
    facts->process_count = kept;
}

static struct process_facts *add_process(struct nvsmi_collection *c, uint32_t device,
                                         uint32_t pid, unsigned kinds)
{
    const struct value_double not_measured = {.state = VALUE_ERROR};
    if (c->facts.process_count == c->process_capacity) {
        c->facts.processes_omitted++;
        c->facts.devices[device].processes_omitted++;
        return NULL;
    }
    struct process_facts *process = &c->facts.processes[c->facts.process_count++];
    *process = (struct process_facts){
        .device = device,
        .pid = pid,
        .kinds = kinds,
        .sm_percent = not_measured,
        .memory_bandwidth_percent = not_measured,
        .encoder_percent = not_measured,
        .decoder_percent = not_measured,
    };
    return process;
}

static size_t count_lines(struct str text)
{
    size_t lines = 1;
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    return lines;
}

static int read_apps(struct nvsmi_collection *c, struct str text, struct err *err)
{
    struct smi_csv csv;
    struct smi_app app;
    uint64_t on_mig = 0;
    uint64_t on_unknown = 0;
    int rc = smi_csv_open_apps(&csv, text, err);
    if (rc < 0)
        return rc;
    while (smi_csv_next_app(&csv, &app)) {
        const struct device_facts *device = find_device(&c->facts, app.gpu_uuid);
        if (!device || !holds_sessions(device)) {
            on_mig += device && device->has_mig_mode;
            on_unknown += !device || !device->has_mig_mode;
            continue;
        }
        struct process_facts *process = add_process(
            c, (uint32_t)(device - c->facts.devices), app.pid, PROCESS_COMPUTE);
        if (process)
            process->memory_used_bytes = app.memory_used_bytes;
    }
    nvsmi_count(c->smi, "mig_not_attributable", on_mig);
    nvsmi_count(c->smi, "unknown_device", on_unknown);
    nvsmi_count(c->smi, "malformed_row", csv.malformed_rows);
    return 0;
}

static void use_measurement(const struct nvsmi_collection *c,
                            struct process_facts *process, const struct smi_pmon_row *row)
{
    process->sm_percent = row->sm_percent;
    process->memory_bandwidth_percent = row->memory_bandwidth_percent;
    process->encoder_percent = row->encoder_percent;
    process->decoder_percent = row->decoder_percent;
    process->kinds |= row->kinds & PROCESS_MPS;
    if (c->smi->with_graphics)
        process->kinds |= row->kinds & PROCESS_GRAPHICS;
}

/* Joins pmon's rows with the listed processes, and adds the graphics processes, which
 * only pmon lists, where they are wanted. */
static void read_pmon(struct nvsmi_collection *c, struct str text)
{
    struct smi_pmon pmon = smi_pmon_open(text);
    struct smi_pmon_row row;
    struct driver_facts listed =
        c->facts; /* what is added here stays out of the search */
    while (smi_pmon_next(&pmon, &row)) {
        uint32_t device = 0;
        while (device < listed.device_count && listed.devices[device].index != row.gpu)
            device++;
        if (device == listed.device_count || !holds_sessions(&listed.devices[device]))
            continue;
        struct process_facts *process = find_process(&listed, device, row.pid);
        if (!process && c->smi->with_graphics && row.kinds == PROCESS_GRAPHICS) {
            process = add_process(c, device, row.pid, PROCESS_GRAPHICS);
            if (process)
                process->memory_used_bytes = row.memory_used_bytes;
        }
        if (process)
            use_measurement(c, process, &row);
    }
    nvsmi_count(c->smi, "malformed_row", pmon.malformed_rows);
    sort_processes(&c->facts);
}

/* Sets what is known of the process lists, and why where they could not be had. */
static int note_process_lists(struct nvsmi_collection *c, const char *fault,
                              struct err *err)
{
    for (size_t i = 0; i < c->facts.device_count; i++) {
        struct device_facts *device = &c->facts.devices[i];
        if (!holds_sessions(device))
            continue;
        device->process_list = fault ? VALUE_ERROR : VALUE_OK;
        if (fault && !(device->fault = arena_copy(c->arena, str_from(fault))))
            return nvsmi_out_of_memory(err);
    }
    return 0;
}

static int collect_apps(struct nvsmi_collection *c, struct str pmon_text, struct err *err)
{
    CLEANUP(smi_output_done) struct smi_output output = SMI_OUTPUT_INIT;
    struct err why = {0};
    int rc = ask_apps(c->smi, c->arena, &c->facts, &output, &why);
    struct str text = buf_str(&output.text);
    size_t capacity = count_lines(text) + count_lines(pmon_text);
    c->process_capacity =
        capacity < c->smi->max_sessions ? capacity : c->smi->max_sessions;
    c->facts.processes = ARENA_NEW(c->arena, struct process_facts, c->process_capacity);
    if (!c->facts.processes)
        return nvsmi_out_of_memory(err);
    if (rc == 0)
        rc = read_apps(c, text, &why);
    if (rc < 0)
        nvsmi_count(c->smi, "process_list_failed", 1);
    else
        sort_processes(&c->facts);
    return note_process_lists(c, rc < 0 ? why.message : NULL, err);
}

/* What a GPU that does not offer pmon leaves of the processes' utilisation. */
static void note_no_measurement(struct driver_facts *facts)
{
    const struct value_double unsupported = {.state = VALUE_UNSUPPORTED};
    for (size_t i = 0; i < facts->process_count; i++) {
        struct process_facts *process = &facts->processes[i];
        process->sm_percent = unsupported;
        process->memory_bandwidth_percent = unsupported;
        process->encoder_percent = unsupported;
        process->decoder_percent = unsupported;
    }
}

int nvsmi_collect_processes(struct nvsmi_collection *c, struct err *err)
{
    CLEANUP(smi_output_done) struct smi_output pmon = SMI_OUTPUT_INIT;
    const char *readable = device_list(&c->facts, c->arena, is_readable);
    const char *ids = device_list(&c->facts, c->arena, holds_sessions);
    if (!readable || !ids)
        return nvsmi_out_of_memory(err);
    if (!readable[0])
        return 0;
    bool has_pmon = ids[0];
    int pmon_rc = has_pmon ? ask_pmon(c->smi, ids, &pmon, NULL) : 0;
    int rc = collect_apps(c, has_pmon ? buf_str(&pmon.text) : STR(""), err);
    if (rc < 0)
        return rc;
    if (pmon_rc == 0)
        read_pmon(c, buf_str(&pmon.text));
    else if (pmon_rc == SMI_NOT_SUPPORTED)
        note_no_measurement(&c->facts);
    else
        nvsmi_count(c->smi, "utilization_failed", 1);
    return 0;
}

/* Return: how many rows could not be read. */
static size_t mark_listed(const struct driver_facts *facts, struct smi_csv *csv,
                          enum relist *answers)
{
    struct smi_app app;
    while (smi_csv_next_app(csv, &app)) {
        const struct device_facts *device = find_device(facts, app.gpu_uuid);
        const struct process_facts *process =
            device ? find_process(facts, (uint32_t)(device - facts->devices), app.pid)
                   : NULL;
        if (process && answers[process - facts->processes] == RELIST_WANTED)
            answers[process - facts->processes] = RELIST_LISTED;
    }
    return csv->malformed_rows;
}

int nvsmi_relist(struct driver *driver, struct arena *arena,
                 const struct driver_facts *facts, enum relist *answers, struct err *err)
{
    const struct nvsmi *smi = (const struct nvsmi *)driver;
    CLEANUP(smi_output_done) struct smi_output output = SMI_OUTPUT_INIT;
    if (facts->process_count == 0)
        return 0;
    struct smi_csv csv;
    int rc = ask_apps(smi, arena, facts, &output, err);
    if (rc == 0)
        rc = smi_csv_open_apps(&csv, buf_str(&output.text), err);
    if (rc < 0)
        return rc;
    bool is_readable_in_full = mark_listed(facts, &csv, answers) == 0;
    for (size_t i = 0; i < facts->process_count; i++) {
        /* This table never lists what only draws. */
        bool is_asked = facts->processes[i].kinds != PROCESS_GRAPHICS;
        if (answers[i] == RELIST_WANTED)
            answers[i] = is_asked && is_readable_in_full ? RELIST_GONE : RELIST_UNKNOWN;
    }
    return 0;
}
