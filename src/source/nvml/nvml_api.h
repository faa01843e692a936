/*
 * The driver library as a table of typed functions, passed as a parameter: a test fills
 * it with functions of its own, and two libraries can be open at once.
 *
 * One list names every symbol. A required one exists in every driver since 450; an
 * optional one may be NULL, and a call to it then answers NVML_ERROR_FUNCTION_NOT_FOUND.
 */
#pragma once

#include "base/err.h"
#include "source/nvml/nvml_abi.h"

#define NVML_SYMBOLS(REQUIRED, OPTIONAL)                                                 \
    REQUIRED(nvmlInit_v2)                                                                \
    REQUIRED(nvmlShutdown)                                                               \
    REQUIRED(nvmlDeviceGetCount_v2)                                                      \
    REQUIRED(nvmlDeviceGetHandleByIndex_v2)                                              \
    OPTIONAL(nvmlInitWithFlags)                                                          \
    OPTIONAL(nvmlSystemGetDriverVersion)                                                 \
    OPTIONAL(nvmlDeviceGetUUID)                                                          \
    OPTIONAL(nvmlDeviceGetName)                                                          \
    OPTIONAL(nvmlDeviceGetPciInfo_v3)                                                    \
    OPTIONAL(nvmlDeviceGetMinorNumber)                                                   \
    OPTIONAL(nvmlDeviceGetMemoryInfo)                                                    \
    OPTIONAL(nvmlDeviceGetMemoryInfo_v2)                                                 \
    OPTIONAL(nvmlDeviceGetUtilizationRates)                                              \
    OPTIONAL(nvmlDeviceGetPowerUsage)                                                    \
    OPTIONAL(nvmlDeviceGetTemperature)                                                   \
    OPTIONAL(nvmlDeviceGetMigMode)                                                       \
    OPTIONAL(nvmlDeviceGetMaxMigDeviceCount)                                             \
    OPTIONAL(nvmlDeviceGetMigDeviceHandleByIndex)                                        \
    OPTIONAL(nvmlDeviceGetGpuInstanceId)                                                 \
    OPTIONAL(nvmlDeviceGetComputeInstanceId)                                             \
    OPTIONAL(nvmlDeviceGetAttributes_v2)                                                 \
    OPTIONAL(nvmlDeviceGetComputeRunningProcesses)                                       \
    OPTIONAL(nvmlDeviceGetComputeRunningProcesses_v2)                                    \
    OPTIONAL(nvmlDeviceGetGraphicsRunningProcesses)                                      \
    OPTIONAL(nvmlDeviceGetGraphicsRunningProcesses_v2)                                   \
    OPTIONAL(nvmlDeviceGetMPSComputeRunningProcesses)                                    \
    OPTIONAL(nvmlDeviceGetMPSComputeRunningProcesses_v2)                                 \
    OPTIONAL(nvmlDeviceGetProcessUtilization)                                            \
    OPTIONAL(nvmlGpmQueryDeviceSupport)                                                  \
    OPTIONAL(nvmlGpmSampleAlloc)                                                         \
    OPTIONAL(nvmlGpmSampleFree)                                                          \
    OPTIONAL(nvmlGpmSampleGet)                                                           \
    OPTIONAL(nvmlGpmMigSampleGet)                                                        \
    OPTIONAL(nvmlGpmMetricsGet)

struct nvml_api {
    void *library; /* of dlopen; NULL when there is nothing to close */
#define NVML_FIELD(symbol) __typeof__(&(symbol)) symbol;
    NVML_SYMBOLS(NVML_FIELD, NVML_FIELD)
#undef NVML_FIELD
};

/**
 * nvml_api_load() - find the driver library and fill @api from it
 * @path:        path or name to load; NULL tries the loader's own search for the soname,
 *               then the places where distributions and the GPU operator put it
 * @driver_root: host root under which these places are searched; NULL is "/"
 * @api:         written only on success; give it to nvml_api_unload()
 *
 * Return: 0; NVML_API_NOT_LOADED when no library could be loaded (@err names what was
 * tried, the loader's reason and the remedy); negative when one was loaded but lacks a
 * required symbol.
 */
int nvml_api_load(const char *path, const char *driver_root, struct nvml_api *api,
                  struct err *err) __attribute__((warn_unused_result));
#define NVML_API_NOT_LOADED 1

void nvml_api_unload(struct nvml_api *api);
