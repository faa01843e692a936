/* What several outputs need: words for missing values, process lists, process names. */
#include "sim/smi/smi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *smi_token(nvmlReturn_t code)
{
    switch ((int)code) {
    case NVML_SUCCESS: return NULL;
    case NVML_ERROR_NOT_SUPPORTED:
    case NVML_ERROR_FUNCTION_NOT_FOUND: return "[N/A]";
    case NVML_ERROR_NO_PERMISSION: return "[Insufficient Permissions]";
    case NVML_ERROR_NOT_FOUND: return "[Not Found]";
    case NVML_ERROR_GPU_IS_LOST: return "[GPU is lost]";
    case NVML_ERROR_RESET_REQUIRED: return "[GPU requires reset]";
    case NVML_ERROR_DEPRECATED: return "[Requested functionality has been deprecated]";
    default: return "[Unknown Error]";
    }
}

void smi_process_name(const struct smi *smi, unsigned pid, char text[SMI_TEXT_BYTES])
{
    nvmlReturn_t code =
        SMI_CALL(&smi->nvml, nvmlSystemGetProcessName, pid, text, SMI_TEXT_BYTES);
    if (code != NVML_SUCCESS)
        (void)snprintf(text, SMI_TEXT_BYTES, "%s", smi_token(code));
    for (char *p = text; *p; p++) { /* a name must not start a row of its own */
        if ((unsigned char)*p < ' ')
            *p = '?';
    }
}

typedef __typeof__(&nvmlDeviceGetComputeRunningProcesses_v2) list_fn;
typedef __typeof__(&nvmlDeviceGetComputeRunningProcesses) list_v1_fn;

/* By _v2 or, on drivers without it, by the old call with its shorter entries. */
static nvmlReturn_t list_get(list_fn list, list_v1_fn list_v1, nvmlDevice_t device,
                             nvmlProcessInfo_v2_t *infos, unsigned *count)
{
    if (list)
        return list(device, count, infos);
    if (!list_v1)
        return NVML_ERROR_FUNCTION_NOT_FOUND;
    nvmlProcessInfo_v1_t *old = calloc(*count, sizeof(*old));
    if (!old)
        return NVML_ERROR_MEMORY;
    nvmlReturn_t rc = list_v1(device, count, old);
    for (unsigned i = 0; rc == NVML_SUCCESS && i < *count; i++)
        infos[i] = (nvmlProcessInfo_v2_t){.pid = old[i].pid,
                                          .usedGpuMemory = old[i].usedGpuMemory};
    free(old);
    return rc;
}

/* The entry of PID, made if there is room; NULL if not. */
static struct smi_process *process_entry(struct smi_process *to, size_t capacity,
                                         size_t *count, const nvmlProcessInfo_v2_t *info)
{
    for (size_t i = 0; i < *count; i++) {
        if (to[i].pid == info->pid)
            return &to[i];
    }
    if (*count == capacity)
        return NULL;
    to[*count] =
        (struct smi_process){.pid = info->pid, .memory_bytes = info->usedGpuMemory};
    return &to[(*count)++];
}

struct kind {
    list_fn list;
    list_v1_fn list_v1;
    size_t flag; /* offset of the kind's flag in struct smi_process */
};

static nvmlReturn_t kind_merge(const struct kind *kind, nvmlDevice_t device,
                               struct smi_process *to, size_t capacity, size_t *count)
{
    nvmlProcessInfo_v2_t *infos = calloc(SMI_PROCESSES_MAX, sizeof(*infos));
    unsigned listed = SMI_PROCESSES_MAX;
    if (!infos)
        return NVML_ERROR_MEMORY;
    nvmlReturn_t rc = list_get(kind->list, kind->list_v1, device, infos, &listed);
    for (unsigned i = 0; rc == NVML_SUCCESS && i < listed; i++) {
        struct smi_process *entry = process_entry(to, capacity, count, &infos[i]);
        if (entry)
            *(bool *)((char *)entry + kind->flag) = true;
    }
    free(infos);
    return rc;
}

nvmlReturn_t smi_processes(const struct smi *smi, nvmlDevice_t device,
                           struct smi_process *to, size_t capacity, size_t *count)
{
    const struct smi_nvml *nvml = &smi->nvml;
    const struct kind compute = {nvml->nvmlDeviceGetComputeRunningProcesses_v2,
                                 nvml->nvmlDeviceGetComputeRunningProcesses,
                                 offsetof(struct smi_process, is_compute)};
    const struct kind others[] = {
        {nvml->nvmlDeviceGetMPSComputeRunningProcesses_v2,
         nvml->nvmlDeviceGetMPSComputeRunningProcesses,
         offsetof(struct smi_process, is_mps)},
        {nvml->nvmlDeviceGetGraphicsRunningProcesses_v2,
         nvml->nvmlDeviceGetGraphicsRunningProcesses,
         offsetof(struct smi_process, is_graphics)},
    };
    *count = 0;
    nvmlReturn_t rc = kind_merge(&compute, device, to, capacity, count);
    for (size_t i = 0; rc == NVML_SUCCESS && i < 2; i++)
        (void)kind_merge(&others[i], device, to, capacity, count);
    return rc;
}

bool smi_is_mig(const struct smi *smi, nvmlDevice_t device)
{
    unsigned current = NVML_DEVICE_MIG_DISABLE, pending = NVML_DEVICE_MIG_DISABLE;
    return SMI_CALL(&smi->nvml, nvmlDeviceGetMigMode, device, &current, &pending) ==
               NVML_SUCCESS &&
           current == NVML_DEVICE_MIG_ENABLE;
}
