/*
 * Exported calls that count devices and hand out handles, and what identifies a device.
 */
#include "sim/driver/call.h"
#include "sim/driver/pci.h"

#include <stdio.h>
#include <string.h>

/* No GPU model in a scenario: the ids of an H100. */
#define PCI_DEVICE_ID 0x233010DEU
#define PCI_SUBSYSTEM_ID 0x16C110DEU

/* The unsuffixed calls know only the GPUs that the caller may talk to. */
static bool gpu_is_accessible(const struct sim_gpu *gpu)
{
    return gpu_lost(gpu) != NVML_ERROR_NO_PERMISSION;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *deviceCount)
{
    struct call call;
    TRY(call_begin(&call, __func__));
    REQUIRE(deviceCount);
    *deviceCount = call.map->gpu_count;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount(unsigned int *deviceCount)
{
    struct call call;
    TRY(call_begin(&call, __func__));
    REQUIRE(deviceCount);
    *deviceCount = 0;
    for (uint32_t i = 0; i < call.map->gpu_count; i++)
        *deviceCount += gpu_is_accessible(&call.map->gpus[i]);
    return NVML_SUCCESS;
}

/* Answers INVALID_ARGUMENT where there is no GPU at POSITION. */
static nvmlReturn_t gpu_handle_get(const char *symbol, uint32_t position,
                                   nvmlDevice_t *device)
{
    struct call call;
    TRY(call_begin_position(&call, symbol, position));
    REQUIRE(device);
    *device = handle_of_gpu(position);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
    return gpu_handle_get(__func__, index, device);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t *device)
{
    const struct node_map *map = driver_map();
    uint32_t position = 0;
    for (; map && position < map->gpu_count; position++) {
        if (gpu_is_accessible(&map->gpus[position]) && index-- == 0)
            break;
    }
    return gpu_handle_get(__func__, position, device);
}

/* Position of the GPU there, or SIM_ID_NONE. */
static uint32_t gpu_find(const struct node_map *map, const struct pci_address *wanted)
{
    struct pci_address found;
    for (uint32_t i = 0; map && i < map->gpu_count; i++) {
        if (pci_parse(map->gpus[i].pci_bus_id, &found) &&
            memcmp(wanted, &found, sizeof(found)) == 0)
            return i;
    }
    return SIM_ID_NONE;
}

static nvmlReturn_t handle_by_bus_id(const char *symbol, const char *pciBusId,
                                     nvmlDevice_t *device)
{
    struct pci_address wanted;
    bool is_valid = pciBusId && pci_parse(pciBusId, &wanted);
    uint32_t position = is_valid ? gpu_find(driver_map(), &wanted) : SIM_ID_NONE;
    nvmlReturn_t rc = gpu_handle_get(symbol, position, device);
    bool is_absent = position == SIM_ID_NONE && rc == NVML_ERROR_INVALID_ARGUMENT;
    return is_valid && is_absent ? NVML_ERROR_NOT_FOUND : rc;
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *pciBusId, nvmlDevice_t *device)
{
    return handle_by_bus_id(__func__, pciBusId, device);
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *pciBusId, nvmlDevice_t *device)
{
    return handle_by_bus_id(__func__, pciBusId, device);
}

/* Attaches every GPU while it searches: fails when one of them is lost. */
nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device)
{
    struct call call;
    TRY(call_begin(&call, __func__));
    REQUIRE(uuid && device);
    nvmlDevice_t found = NULL;
    for (uint32_t i = 0; i < call.map->gpu_count; i++) {
        TRY(gpu_lost(&call.map->gpus[i]));
        if (strcmp(uuid, call.map->gpus[i].uuid) == 0)
            found = handle_of_gpu(i);
    }
    for (uint32_t i = 0; i < call.map->mig_count; i++) {
        if (strcmp(uuid, call.map->migs[i].uuid) == 0)
            found = handle_of_mig(i);
    }
    if (!found)
        return NVML_ERROR_NOT_FOUND;
    *device = found;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length)
{
    struct call call;
    TRY(call_begin_device(&call, __func__, device));
    return text_put(uuid, length, call.mig ? call.mig->uuid : call.gpu->uuid);
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length)
{
    struct call call;
    TRY(call_begin_device(&call, __func__, device));
    if (!call.mig)
        return text_put(name, length, call.gpu->name);
    char text[sizeof(call.gpu->name) + sizeof(" MIG ") + sizeof(call.mig->profile)];
    (void)snprintf(text, sizeof(text), "%s MIG %s", call.gpu->name, call.mig->profile);
    return text_put(name, length, text);
}

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index)
{
    struct call call;
    TRY(call_begin_device(&call, __func__, device));
    REQUIRE(index);
    *index = call.mig ? call.mig->slot : call.gpu_position;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned int *minorNumber)
{
    struct call call;
    TRY(call_begin_gpu(&call, __func__, device));
    REQUIRE(minorNumber);
    *minorNumber = call.gpu->minor;
    return NVML_SUCCESS;
}

/* The frame and the address of the three generations of nvmlDeviceGetPciInfo. */
static nvmlReturn_t pci_begin(const char *symbol, nvmlDevice_t device, const void *pci,
                              struct call *call, struct pci_address *address)
{
    TRY(call_begin_gpu(call, symbol, device));
    REQUIRE(pci);
    return pci_parse(call->gpu->pci_bus_id, address) ? NVML_SUCCESS : NVML_ERROR_UNKNOWN;
}

static void legacy_id_print(char text[NVML_DEVICE_PCI_BUS_ID_BUFFER_V2_SIZE],
                            const struct pci_address *address)
{
    (void)snprintf(text, NVML_DEVICE_PCI_BUS_ID_BUFFER_V2_SIZE, "%04X:%02X:%02X.0",
                   address->domain & 0xFFFF, address->bus & 0xFF, address->device & 0xFF);
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    struct call call;
    struct pci_address address;
    TRY(pci_begin(__func__, device, pci, &call, &address));
    legacy_id_print(pci->busIdLegacy, &address);
    pci->domain = address.domain;
    pci->bus = address.bus;
    pci->device = address.device;
    pci->pciDeviceId = PCI_DEVICE_ID;
    pci->pciSubSystemId = PCI_SUBSYSTEM_ID;
    (void)snprintf(pci->busId, sizeof(pci->busId), "%08X:%02X:%02X.0", address.domain,
                   address.bus, address.device);
    return NVML_SUCCESS;
}

/* The fields that both older layouts have, at the same offsets. */
static nvmlReturn_t pci_old_get(const char *symbol, nvmlDevice_t device,
                                nvmlPciInfo_v1_t *pci)
{
    struct call call;
    struct pci_address address;
    TRY(pci_begin(symbol, device, pci, &call, &address));
    legacy_id_print(pci->busId, &address);
    pci->domain = address.domain;
    pci->bus = address.bus;
    pci->device = address.device;
    pci->pciDeviceId = PCI_DEVICE_ID;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_v1_t *pci)
{
    return pci_old_get(__func__, device, pci);
}

nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_v2_t *pci)
{
    TRY(pci_old_get(__func__, device, (nvmlPciInfo_v1_t *)pci));
    pci->pciSubSystemId = PCI_SUBSYSTEM_ID;
    return NVML_SUCCESS;
}
