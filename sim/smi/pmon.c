/*
 * pmon: processes with their utilisation, as columns. Which columns there are depends on
 * the driver's generation: 550 added jpg and ofa, 535 ccpm.
 *
 * The first round comes at once; the real program waits an interval first.
 */
#include "sim/smi/smi.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORDS_MAX = 4096, COMMAND_CHARACTERS = 15 };

struct layout {
    bool has_jpg_ofa, has_fb, has_ccpm;
};

struct records {
    nvmlProcessUtilizationSample_t *entries;
    unsigned count;
};

static unsigned driver_major(const struct smi *smi)
{
    char text[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE] = "";
    struct str rest, major;
    uint32_t number = 0;
    (void)SMI_CALL(&smi->nvml, nvmlSystemGetDriverVersion, text, sizeof(text));
    rest = str_from(text);
    if (str_split(&rest, '.', &major))
        (void)str_u32(major, &number);
    return number;
}

static struct layout layout_of(const struct smi *smi, const struct smi_request *request)
{
    unsigned major = driver_major(smi);
    return (struct layout){
        .has_jpg_ofa = major >= 550,
        .has_fb = request->with_memory,
        .has_ccpm = request->with_memory && major >= 535,
    };
}

static void header_line_print(const struct layout *layout, const char *start,
                              const char *const words[8], const char *end)
{
    fputs(start, stdout);
    for (int i = 0; i < 4; i++)
        printf(" %6s", words[i]);
    if (layout->has_jpg_ofa)
        printf(" %6s %6s", words[4], words[5]);
    if (layout->has_fb)
        printf(" %6s", words[6]);
    if (layout->has_ccpm)
        printf(" %6s", words[7]);
    printf("    %s\n", end);
}

static void header_print(const struct layout *layout)
{
    static const char *const names[] = {"sm",  "mem", "enc", "dec",
                                        "jpg", "ofa", "fb",  "ccpm"};
    static const char *const units[] = {"%", "%", "%", "%", "%", "%", "MB", "MB"};
    header_line_print(layout, "# gpu         pid   type", names, "command ");
    header_line_print(layout, "# Idx           #    C/G", units, "name ");
}

/* The newest record of PID with possible values, or NULL. */
static const nvmlProcessUtilizationSample_t *record_find(const struct records *records,
                                                         unsigned pid)
{
    const nvmlProcessUtilizationSample_t *newest = NULL;
    for (unsigned i = 0; i < records->count; i++) {
        const nvmlProcessUtilizationSample_t *record = &records->entries[i];
        if (record->pid == pid && record->smUtil <= 100 && record->memUtil <= 100 &&
            (!newest || record->timeStamp > newest->timeStamp))
            newest = record;
    }
    return newest;
}

static void number_print(bool is_known, unsigned long long value)
{
    if (is_known)
        printf(" %6llu", value);
    else
        printf(" %6s", "-");
}

static const char *type_of(const struct smi_process *process)
{
    if (process->is_mps)
        return "M+C";
    if (process->is_graphics)
        return process->is_compute ? "C+G" : "G";
    return "C";
}

static void command_print(const struct smi *smi, unsigned pid)
{
    char text[SMI_TEXT_BYTES];
    smi_process_name(smi, pid, text);
    const char *slash = strrchr(text, '/');
    printf("    %-*.*s\n", COMMAND_CHARACTERS, COMMAND_CHARACTERS,
           slash ? slash + 1 : text);
}

static void process_print(const struct smi *smi, const struct layout *layout,
                          unsigned gpu, const struct smi_process *process,
                          const nvmlProcessUtilizationSample_t *record)
{
    static const nvmlProcessUtilizationSample_t none;
    const nvmlProcessUtilizationSample_t *values = record ? record : &none;
    printf("%5u %11u %6s", gpu, process->pid, type_of(process));
    number_print(values->smUtil, values->smUtil);
    number_print(values->memUtil, values->memUtil);
    number_print(values->encUtil, values->encUtil);
    number_print(values->decUtil, values->decUtil);
    if (layout->has_jpg_ofa)
        printf(" %6s %6s", "-", "-");
    if (layout->has_fb)
        number_print(process->memory_bytes != NVML_VALUE_NOT_AVAILABLE_U64,
                     process->memory_bytes >> 20);
    if (layout->has_ccpm)
        number_print(true, 0);
    command_print(smi, process->pid);
}

static void empty_print(const struct layout *layout, unsigned gpu)
{
    int columns = 4 + 2 * layout->has_jpg_ofa + layout->has_fb + layout->has_ccpm;
    printf("%5u %11s %6s", gpu, "-", "-");
    for (int i = 0; i < columns; i++)
        printf(" %6s", "-");
    printf("    %-*s\n", COMMAND_CHARACTERS, "-");
}

struct round {
    struct smi_process *processes;
    struct records records;
};

static void gpu_print(const struct smi *smi, const struct layout *layout,
                      const struct smi_gpu *gpu, struct round *round)
{
    size_t count = 0;
    round->records.count = RECORDS_MAX;
    (void)smi_processes(smi, gpu->handle, round->processes, SMI_PROCESSES_MAX, &count);
    if (SMI_CALL(&smi->nvml, nvmlDeviceGetProcessUtilization, gpu->handle,
                 round->records.entries, &round->records.count, 0) != NVML_SUCCESS)
        round->records.count = 0;
    for (size_t i = 0; i < count; i++)
        process_print(smi, layout, gpu->index, &round->processes[i],
                      record_find(&round->records, round->processes[i].pid));
    if (count == 0)
        empty_print(layout, gpu->index);
}

int smi_print_pmon(const struct smi *smi, const struct smi_request *request)
{
    struct layout layout = layout_of(smi, request);
    struct round round = {
        .processes = calloc(SMI_PROCESSES_MAX, sizeof(*round.processes)),
        .records.entries = calloc(RECORDS_MAX, sizeof(*round.records.entries)),
    };
    header_print(&layout);
    for (uint32_t turn = 0; turn < request->rounds; turn++) {
        if (turn > 0)
            (void)sleep(1);
        for (size_t i = 0; i < smi->gpu_count && round.processes && round.records.entries;
             i++)
            gpu_print(smi, &layout, &smi->gpus[i], &round);
        (void)fflush(stdout);
    }
    free(round.processes);
    free(round.records.entries);
    return 0;
}
