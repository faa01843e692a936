/*
 * What other NVML clients call and gpu-sessions does not: further functions, and the old
 * unsuffixed symbols with the layouts that they had when they were new.
 *
 * Names and layouts are those of NVIDIA's library, as in nvml_abi.h.
 */
#pragma once

#include "source/nvml/nvml_abi.h"

#define NVML_INIT_FLAG_NO_ATTACH 2
#define NVML_INIT_FLAG_FORCE_INIT 4
#define NVML_FEATURE_ENABLED 1
#define NVML_COMPUTEMODE_DEFAULT 0
#define NVML_CLOCK_COUNT 4 /* graphics, SM, memory, video */

/* Of nvmlDeviceGetPciInfo, from before the subsystem id was added. */
typedef struct {
    char busId[NVML_DEVICE_PCI_BUS_ID_BUFFER_V2_SIZE];
    unsigned int domain;
    unsigned int bus;
    unsigned int device;
    unsigned int pciDeviceId;
} nvmlPciInfo_v1_t;

typedef struct {
    char busId[NVML_DEVICE_PCI_BUS_ID_BUFFER_V2_SIZE];
    unsigned int domain;
    unsigned int bus;
    unsigned int device;
    unsigned int pciDeviceId;
    unsigned int pciSubSystemId;
    unsigned int reserved[4]; /* not written */
} nvmlPciInfo_v2_t;

/* Of nvmlDeviceGetAttributes. */
typedef struct {
    unsigned int multiprocessorCount;
    unsigned int sharedCopyEngineCount;
    unsigned int sharedDecoderCount;
    unsigned int sharedEncoderCount;
    unsigned int sharedJpegCount;
    unsigned int sharedOfaCount;
} nvmlDeviceAttributes_v1_t;

static_assert(sizeof(nvmlPciInfo_v1_t) == 32, "nvmlPciInfo_v1_t");
static_assert(sizeof(nvmlPciInfo_v2_t) == 52, "nvmlPciInfo_v2_t");
static_assert(sizeof(nvmlDeviceAttributes_v1_t) == 24, "nvmlDeviceAttributes_v1_t");

NVML_ABI_EXPORT nvmlReturn_t nvmlInit(void);
NVML_ABI_EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version);
NVML_ABI_EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version);
NVML_ABI_EXPORT nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name,
                                                      unsigned int length);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetCount(unsigned int *deviceCount);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index,
                                                        nvmlDevice_t *device);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *pciBusId,
                                                           nvmlDevice_t *device);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *pciBusId,
                                                              nvmlDevice_t *device);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid,
                                                       nvmlDevice_t *device);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device,
                                                  nvmlPciInfo_v1_t *pci);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device,
                                                     nvmlPciInfo_v2_t *pci);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, int *mode);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, int *mode);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetPerformanceState(nvmlDevice_t device,
                                                           int *state);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetFanSpeed(nvmlDevice_t device,
                                                   unsigned int *percent);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, int type,
                                                    unsigned int *megahertz);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, int type,
                                                       unsigned int *megahertz);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetPowerManagementLimit(nvmlDevice_t device,
                                                               unsigned int *milliwatts);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device,
                                                             unsigned int *milliwatts);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetEncoderUtilization(nvmlDevice_t device,
                                                             unsigned int *percent,
                                                             unsigned int *periodUs);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetDecoderUtilization(nvmlDevice_t device,
                                                             unsigned int *percent,
                                                             unsigned int *periodUs);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device,
                                                         unsigned int *isMigDevice);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(
    nvmlDevice_t migDevice, nvmlDevice_t *device);
NVML_ABI_EXPORT nvmlReturn_t
nvmlDeviceGetAttributes(nvmlDevice_t device, nvmlDeviceAttributes_v1_t *attributes);

/* Entries of 24 or 32 bytes, by node_state.process_v3_stride: hence untyped. */
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(
    nvmlDevice_t device, unsigned int *infoCount, void *infos);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(
    nvmlDevice_t device, unsigned int *infoCount, void *infos);
NVML_ABI_EXPORT nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(
    nvmlDevice_t device, unsigned int *infoCount, void *infos);
