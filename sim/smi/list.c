/* -L: GPUs and, below each, its MIG devices in the layout of recent drivers. */
#include "sim/smi/smi.h"

#include <stdio.h>
#include <string.h>

static void mig_print(const struct smi *smi, nvmlDevice_t mig, unsigned slot)
{
    char name[160] = "", uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE] = "";
    (void)SMI_CALL(&smi->nvml, nvmlDeviceGetName, mig, name, sizeof(name));
    (void)SMI_CALL(&smi->nvml, nvmlDeviceGetUUID, mig, uuid, sizeof(uuid));
    const char *profile = strstr(name, " MIG ");
    printf("  MIG %-11s Device %2u: (UUID: %s)\n",
           profile ? profile + strlen(" MIG ") : "", slot, uuid);
}

static void migs_print(const struct smi *smi, nvmlDevice_t gpu)
{
    unsigned slots = 0;
    (void)SMI_CALL(&smi->nvml, nvmlDeviceGetMaxMigDeviceCount, gpu, &slots);
    for (unsigned slot = 0; slot < slots; slot++) {
        nvmlDevice_t mig = NULL;
        if (SMI_CALL(&smi->nvml, nvmlDeviceGetMigDeviceHandleByIndex, gpu, slot, &mig) ==
            NVML_SUCCESS)
            mig_print(smi, mig, slot);
    }
}

int smi_print_list(const struct smi *smi, const struct smi_request *request)
{
    (void)request;
    for (size_t i = 0; i < smi->gpu_count; i++) {
        const struct smi_gpu *gpu = &smi->gpus[i];
        char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE] = "";
        char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE] = "";
        (void)SMI_CALL(&smi->nvml, nvmlDeviceGetName, gpu->handle, name, sizeof(name));
        (void)SMI_CALL(&smi->nvml, nvmlDeviceGetUUID, gpu->handle, uuid, sizeof(uuid));
        printf("GPU %u: %s (UUID: %s)\n", gpu->index, name, uuid);
        if (smi_is_mig(smi, gpu->handle))
            migs_print(smi, gpu->handle);
    }
    return 0;
}
