/*
 * Exported calls about MIG: the mode, the sparse slots of a GPU, ids and attributes.
 */
#include "sim/driver/call.h"

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *currentMode,
                                  unsigned int *pendingMode)
{
    struct call call;
    TRY(call_begin_gpu(&call, __func__, device));
    REQUIRE(currentMode && pendingMode);
    if (!call.gpu->mig_capable)
        return NVML_ERROR_NOT_SUPPORTED;
    *currentMode =
        call.gpu->mig_enabled ? NVML_DEVICE_MIG_ENABLE : NVML_DEVICE_MIG_DISABLE;
    *pendingMode =
        call.gpu->mig_pending ? NVML_DEVICE_MIG_ENABLE : NVML_DEVICE_MIG_DISABLE;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count)
{
    struct call call;
    TRY(call_begin_gpu(&call, __func__, device));
    REQUIRE(count);
    *count = call.gpu->mig_enabled ? call.gpu->max_mig_devices : 0;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index,
                                                 nvmlDevice_t *migDevice)
{
    struct call call;
    TRY(call_begin_gpu(&call, __func__, device));
    if (!call.gpu->mig_enabled)
        return NVML_ERROR_NOT_SUPPORTED;
    REQUIRE(migDevice && index < call.gpu->max_mig_devices);
    for (uint32_t i = 0; i < call.map->mig_count; i++) {
        const struct sim_mig_device *mig = &call.map->migs[i];
        if (mig->gpu == call.gpu_position && mig->slot == index) {
            *migDevice = handle_of_mig(i);
            return NVML_SUCCESS;
        }
    }
    return (nvmlReturn_t)call.map->state->empty_slot_code;
}

nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned int *isMigDevice)
{
    struct call call;
    TRY(call_begin_device(&call, __func__, device));
    REQUIRE(isMigDevice);
    *isMigDevice = call.mig != NULL;
    return NVML_SUCCESS;
}

/* The frame of calls that want a MIG device's handle and a place for their answer. */
static nvmlReturn_t mig_begin(struct call *call, const char *symbol, nvmlDevice_t device,
                              const void *answer)
{
    TRY(call_begin_device(call, symbol, device));
    REQUIRE(answer);
    if (!call->mig)
        return NVML_ERROR_NOT_SUPPORTED;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t migDevice,
                                                          nvmlDevice_t *device)
{
    struct call call;
    TRY(mig_begin(&call, __func__, migDevice, device));
    *device = handle_of_gpu(call.gpu_position);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t device, unsigned int *id)
{
    struct call call;
    TRY(mig_begin(&call, __func__, device, id));
    *id = call.mig->gi;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t device, unsigned int *id)
{
    struct call call;
    TRY(mig_begin(&call, __func__, device, id));
    *id = call.mig->ci;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device,
                                        nvmlDeviceAttributes_t *attributes)
{
    struct call call;
    TRY(mig_begin(&call, __func__, device, attributes));
    *attributes = (nvmlDeviceAttributes_t){
        .multiprocessorCount = call.mig->multiprocessors,
        .sharedCopyEngineCount = call.mig->gpu_slices,
        .gpuInstanceSliceCount = call.mig->gpu_slices,
        .computeInstanceSliceCount = call.mig->compute_slices,
        .memorySizeMB = call.mig->memory_total_bytes >> 20,
    };
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetAttributes(nvmlDevice_t device,
                                     nvmlDeviceAttributes_v1_t *attributes)
{
    struct call call;
    TRY(mig_begin(&call, __func__, device, attributes));
    *attributes = (nvmlDeviceAttributes_v1_t){
        .multiprocessorCount = call.mig->multiprocessors,
        .sharedCopyEngineCount = call.mig->gpu_slices,
    };
    return NVML_SUCCESS;
}
