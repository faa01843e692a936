/*
 * The look-alike of nvidia-smi: a small client of the simulated driver library that
 * prints what the real program prints, failures and exit codes included. It exists for
 * the readers of that text; columns and tokens are those of captured real output.
 */
#pragma once

#include "sim/driver/nvml_more.h"

#include <stdbool.h>
#include <stdint.h>

/* Every one of them may be missing: an old driver has fewer. */
#define SMI_SYMBOLS(X)                                                                   \
    X(nvmlInit_v2)                                                                       \
    X(nvmlShutdown)                                                                      \
    X(nvmlErrorString)                                                                   \
    X(nvmlSystemGetDriverVersion)                                                        \
    X(nvmlSystemGetProcessName)                                                          \
    X(nvmlDeviceGetCount_v2)                                                             \
    X(nvmlDeviceGetHandleByIndex_v2)                                                     \
    X(nvmlDeviceGetUUID)                                                                 \
    X(nvmlDeviceGetName)                                                                 \
    X(nvmlDeviceGetPciInfo_v3)                                                           \
    X(nvmlDeviceGetMemoryInfo)                                                           \
    X(nvmlDeviceGetMemoryInfo_v2)                                                        \
    X(nvmlDeviceGetUtilizationRates)                                                     \
    X(nvmlDeviceGetPowerUsage)                                                           \
    X(nvmlDeviceGetTemperature)                                                          \
    X(nvmlDeviceGetMigMode)                                                              \
    X(nvmlDeviceGetMaxMigDeviceCount)                                                    \
    X(nvmlDeviceGetMigDeviceHandleByIndex)                                               \
    X(nvmlDeviceGetComputeRunningProcesses)                                              \
    X(nvmlDeviceGetComputeRunningProcesses_v2)                                           \
    X(nvmlDeviceGetMPSComputeRunningProcesses)                                           \
    X(nvmlDeviceGetMPSComputeRunningProcesses_v2)                                        \
    X(nvmlDeviceGetGraphicsRunningProcesses)                                             \
    X(nvmlDeviceGetGraphicsRunningProcesses_v2)                                          \
    X(nvmlDeviceGetProcessUtilization)

struct smi_nvml {
#define SMI_FIELD(symbol) __typeof__(&symbol) symbol;
    SMI_SYMBOLS(SMI_FIELD)
#undef SMI_FIELD
};

/* FUNCTION_NOT_FOUND where the library lacks SYMBOL. */
#define SMI_CALL(nvml, symbol, ...)                                                      \
    ((nvml)->symbol ? (nvml)->symbol(__VA_ARGS__) : NVML_ERROR_FUNCTION_NOT_FOUND)

enum { SMI_GPUS_MAX = 64, SMI_PROCESSES_MAX = 4096, SMI_TEXT_BYTES = 4608 };

/* Exit codes of the manual that are no nvmlReturn_t. */
enum { SMI_EXIT_USAGE = 2, SMI_EXIT_OTHER = 255 };

struct smi_gpu {
    unsigned index;
    nvmlDevice_t handle;
};

struct smi {
    struct smi_nvml nvml;
    struct smi_gpu gpus[SMI_GPUS_MAX]; /* the selected ones */
    size_t gpu_count;
};

/* What the command line asks for. */
struct smi_request {
    int (*print)(const struct smi *smi, const struct smi_request *request);
    const char *fields; /* comma separated */
    const char *id;     /* of -i: indexes, UUIDs, bus ids with commas; NULL: all */
    bool without_header, without_units;
    bool with_memory; /* pmon -s um */
    uint32_t rounds;  /* pmon -c */
};

/* One process of a GPU, kinds merged. */
struct smi_process {
    unsigned pid;
    unsigned long long memory_bytes;
    bool is_compute, is_mps, is_graphics;
};

/* Each prints and returns the exit code. */
int smi_print_gpus(const struct smi *smi, const struct smi_request *request);
int smi_print_apps(const struct smi *smi, const struct smi_request *request);
int smi_print_list(const struct smi *smi, const struct smi_request *request);
int smi_print_pmon(const struct smi *smi, const struct smi_request *request);

/* The bracketed word that stands for a value, or NULL for NVML_SUCCESS. */
const char *smi_token(nvmlReturn_t code);

/* The name of process PID, or the word that stands for it. */
void smi_process_name(const struct smi *smi, unsigned pid, char text[SMI_TEXT_BYTES]);

/* All processes of a GPU: at most CAPACITY, sorted by the driver's order. */
nvmlReturn_t smi_processes(const struct smi *smi, nvmlDevice_t device,
                           struct smi_process *to, size_t capacity, size_t *count);

/* True when the GPU runs in MIG mode. */
bool smi_is_mig(const struct smi *smi, nvmlDevice_t device);
