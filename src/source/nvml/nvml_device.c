/*
 * GPUs are asked by index, each for itself: a lost one must not hide the others. What
 * never changes is kept per index and trusted only while the UUID behind the index is the
 * same; MIG devices are enumerated anew each time.
 */
#include "source/nvml/nvml_device.h"

#include "source/nvml/nvml_gpm.h"
#include "source/nvml/nvml_mig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Another GPU is behind the index: nothing kept holds. */
static void gpu_forget(struct nvml_source *source, struct nvml_gpu *gpu)
{
    nvml_gpm_drop(source, gpu);
    gpu->uuid[0] = '\0';
    gpu->has_names = false;
    gpu->memory_is_v1 = false;
    gpu->has_mig_mode = false;
    gpu->gpm = NVML_SUPPORT_UNKNOWN;
    gpu->newest_sample_us = gpu->window_from_us = 0;
    gpu->sample_capacity = 0;
}

static void gpu_read_names(struct nvml_source *source, struct nvml_gpu *gpu)
{
    struct nvml_link *link = &source->link;
    char name[sizeof gpu->name] = "";
    nvmlPciInfo_t pci = {0};
    unsigned int minor = 0;
    nvmlReturn_t name_code =
        NVML_CALL(link, &gpu->health, nvmlDeviceGetName, gpu->handle, name, sizeof name);
    nvmlReturn_t pci_code =
        NVML_CALL(link, &gpu->health, nvmlDeviceGetPciInfo_v3, gpu->handle, &pci);
    nvmlReturn_t minor_code =
        NVML_CALL(link, &gpu->health, nvmlDeviceGetMinorNumber, gpu->handle, &minor);
    (void)snprintf(gpu->name, sizeof gpu->name, "%.*s", (int)sizeof name - 1,
                   name_code == NVML_SUCCESS ? name : "");
    (void)snprintf(gpu->pci_bus_id, sizeof gpu->pci_bus_id, "%.*s",
                   (int)sizeof pci.busId - 1, pci_code == NVML_SUCCESS ? pci.busId : "");
    gpu->minor_number = (struct value_u64){minor, nvml_result_state(minor_code)};
    gpu->has_names = nvml_result_state(name_code) != VALUE_ERROR &&
                     nvml_result_state(pci_code) != VALUE_ERROR;
}

/* Who is behind the handle. A GPU whose UUID call answers "unknown error" is given up:
 * that is how a lost GPU often looks. One that merely does not tell its UUID is used. */
static void gpu_identify(struct nvml_source *source, struct nvml_gpu *gpu)
{
    char uuid[NVML_UUID_BYTES] = "";
    nvmlReturn_t code = NVML_CALL(&source->link, &gpu->health, nvmlDeviceGetUUID,
                                  gpu->handle, uuid, sizeof uuid);
    if (nvml_result_state(code) == VALUE_ERROR) {
        gpu->health.fault = code;
        return;
    }
    if (code != NVML_SUCCESS)
        uuid[0] = '\0';
    uuid[sizeof uuid - 1] = '\0';
    if (uuid[0] == '\0' || strcmp(uuid, gpu->uuid) != 0) {
        gpu_forget(source, gpu);
        memcpy(gpu->uuid, uuid, sizeof uuid);
    }
    if (!gpu->has_names)
        gpu_read_names(source, gpu);
}

/* A GPU that does not tell its mode is in MIG mode when it has MIG devices. */
static void gpu_read_mig(struct nvml_source *source, struct nvml_gpu *gpu)
{
    unsigned int current = NVML_DEVICE_MIG_DISABLE;
    unsigned int pending = NVML_DEVICE_MIG_DISABLE;
    nvmlReturn_t code = NVML_CALL(&source->link, &gpu->health, nvmlDeviceGetMigMode,
                                  gpu->handle, &current, &pending);
    enum value_state state = nvml_result_state(code);
    bool is_on = code == NVML_SUCCESS && current == NVML_DEVICE_MIG_ENABLE;
    bool has_failed = state == VALUE_ERROR || state == VALUE_DENIED;
    if (is_on || has_failed)
        nvml_mig_scan(source, gpu);
    else if (gpu->migs)
        nvml_gpm_drop(source, gpu);
    gpu->has_mig_mode = is_on || gpu->mig_count > 0;
    gpu->mig_is_unknown = has_failed && !gpu->has_mig_mode;
}

static void gpu_scan(struct nvml_source *source, struct nvml_gpu *gpu, uint32_t index)
{
    gpu->health = (struct nvml_health){.index = index};
    gpu->handle = NULL;
    gpu->mig_count = 0;
    gpu->is_skipped = progress_is_left_out(source->link.progress, index);
    if (gpu->is_skipped)
        return;
    nvmlDevice_t handle = NULL;
    nvmlReturn_t code = NVML_TRY(&source->link, &gpu->health,
                                 nvmlDeviceGetHandleByIndex_v2, index, &handle);
    if (code == NVML_SUCCESS && !handle)
        code = NVML_ERROR_UNKNOWN;
    if (code != NVML_SUCCESS) {
        nvml_call_end_gpu(&source->link, &gpu->health, code);
        return;
    }
    gpu->handle = handle;
    gpu_identify(source, gpu);
    if (gpu->health.fault == NVML_SUCCESS)
        gpu_read_mig(source, gpu);
}

int nvml_device_scan(struct nvml_source *source, struct err *err)
{
    unsigned int count = 0;
    nvmlReturn_t code = NVML_TRY(&source->link, NULL, nvmlDeviceGetCount_v2, &count);
    if (code == NVML_ERROR_NOT_FOUND || code == NVML_ERROR_GPU_NOT_FOUND)
        count = 0;
    else if (code != NVML_SUCCESS)
        return nvml_result_error(err, nvml_call_count(&source->link, code),
                                 "the driver does not tell how many GPUs there are");
    if (count > FACTS_MAX_GPUS) {
        nvml_error_add(&source->link, "too_many_gpus", count - FACTS_MAX_GPUS);
        count = FACTS_MAX_GPUS;
    }
    source->gpu_count = count;
    for (uint32_t i = 0; i < count; i++)
        gpu_scan(source, &source->gpus[i], i);
    return 0;
}

/* A copy of TEXT in ARENA, or NULL when it is empty. Clears *IS_OK when memory is gone.
 */
static const char *copy_text(struct arena *arena, const char *text, bool *is_ok)
{
    if (text[0] == '\0')
        return NULL;
    const char *copy = arena_copy(arena, str_from(text));
    if (!copy)
        *is_ok = false;
    return copy;
}

static void mig_describe(const struct nvml_mig *mig, const struct device_facts *parent,
                         struct arena *arena, struct device_facts *device, bool *is_ok)
{
    device->kind = DEVICE_MIG;
    device->index = parent->index;
    device->gi = mig->gi;
    device->ci = mig->ci;
    device->uuid = copy_text(arena, mig->uuid, is_ok);
    device->name = parent->name;
    device->pci_bus_id = parent->pci_bus_id;
    device->mig_profile = copy_text(arena, mig->profile, is_ok);
    device->parent_uuid = parent->uuid;
}

int nvml_device_describe(const struct nvml_source *source, struct arena *arena,
                         struct device_facts *devices, struct err *err)
{
    bool is_ok = true;
    for (size_t i = 0; i < source->gpu_count; i++) {
        const struct nvml_gpu *gpu = &source->gpus[i];
        struct device_facts *device = &devices[gpu->position];
        device->kind = DEVICE_GPU;
        device->has_mig_mode = gpu->has_mig_mode;
        device->has_mig_devices = gpu->mig_count > 0;
        device->index = gpu->health.index;
        device->gi = MIG_ID_NONE;
        device->ci = MIG_ID_NONE;
        device->uuid = copy_text(arena, gpu->uuid, &is_ok);
        device->name = copy_text(arena, gpu->name, &is_ok);
        device->pci_bus_id = copy_text(arena, gpu->pci_bus_id, &is_ok);
        device->minor_number = gpu->minor_number;
        for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));)
            mig_describe(mig, device, arena, &devices[mig->position], &is_ok);
    }
    return is_ok ? 0 : err_errno(err, ENOMEM, "devices");
}

/* Asks by the newer layout, which tells the driver's reserve apart from what is used.
 * *IS_REFUSED is set when the driver does not know it. */
static nvmlReturn_t memory_read_v2(struct nvml_link *link, struct nvml_health *health,
                                   nvmlDevice_t handle, nvmlMemory_t *memory,
                                   bool *is_refused)
{
    nvmlMemory_v2_t v2 = {.version = nvmlMemory_v2};
    nvmlReturn_t code = NVML_TRY(link, health, nvmlDeviceGetMemoryInfo_v2, handle, &v2);
    *is_refused = code == NVML_ERROR_INVALID_ARGUMENT ||
                  code == NVML_ERROR_FUNCTION_NOT_FOUND ||
                  code == NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    *memory = (nvmlMemory_t){.total = v2.total, .free = v2.free, .used = v2.used};
    return code;
}

static nvmlReturn_t memory_read(struct nvml_source *source, struct nvml_gpu *gpu,
                                nvmlDevice_t handle, nvmlMemory_t *memory)
{
    struct nvml_link *link = &source->link;
    if (!gpu->memory_is_v1) {
        bool is_refused;
        nvmlReturn_t code =
            memory_read_v2(link, &gpu->health, handle, memory, &is_refused);
        if (!is_refused)
            return code;
    }
    nvmlReturn_t code =
        NVML_TRY(link, &gpu->health, nvmlDeviceGetMemoryInfo, handle, memory);
    if (code == NVML_SUCCESS)
        gpu->memory_is_v1 = true;
    return code;
}

void nvml_device_read_memory(struct nvml_source *source, struct nvml_gpu *gpu,
                             nvmlDevice_t handle, struct value_u64 *total_bytes,
                             struct value_u64 *used_bytes)
{
    nvmlMemory_t memory = {0};
    nvmlReturn_t code = memory_read(source, gpu, handle, &memory);
    enum value_state state = nvml_result_state(code);
    /* Without root, a GPU in MIG mode keeps its total from everybody: no error. */
    bool is_private = gpu->has_mig_mode && handle == gpu->handle && state == VALUE_DENIED;
    if (!is_private)
        (void)nvml_call_count(&source->link, code);
    if (code == NVML_SUCCESS &&
        (memory.total == 0 || memory.total == NVML_VALUE_NOT_AVAILABLE_U64))
        state =
            VALUE_UNSUPPORTED; /* memory shared with the host has no size of its own */
    total_bytes->state = state;
    used_bytes->state = state;
    if (state != VALUE_OK)
        return;
    *total_bytes = value_u64_ok(memory.total);
    if (memory.used <= memory.total) {
        *used_bytes = value_u64_ok(memory.used);
    } else {
        nvml_error_add(&source->link, "implausible", 1);
        used_bytes->state = VALUE_ERROR;
    }
}

/* VALUE as CODE allows, up to LIMIT, in the unit that has PARTS of the driver's; what the
 * driver calls "not available" is. Divided, since 229355 × 0.001 is not 229.355. */
static struct value_double gauge(struct nvml_link *link, nvmlReturn_t code,
                                 unsigned int value, unsigned int parts,
                                 unsigned int limit)
{
    if (code != NVML_SUCCESS)
        return (struct value_double){.state = nvml_result_state(code)};
    if (value == NVML_VALUE_NOT_AVAILABLE_U32)
        return (struct value_double){.state = VALUE_UNSUPPORTED};
    if (value > limit) {
        nvml_error_add(link, "implausible", 1);
        return (struct value_double){.state = VALUE_ERROR};
    }
    return value_double_ok((double)value / parts);
}

static struct value_double gpu_read_utilization(struct nvml_source *source,
                                                struct nvml_gpu *gpu)
{
    if (gpu->has_mig_mode) /* the driver has none then */
        return (struct value_double){.state = VALUE_UNSUPPORTED};
    nvmlUtilization_t utilization = {0};
    nvmlReturn_t code =
        NVML_CALL(&source->link, &gpu->health, nvmlDeviceGetUtilizationRates, gpu->handle,
                  &utilization);
    return gauge(&source->link, code, utilization.gpu, 1, 100);
}

static void gpu_read_gauges(struct nvml_source *source, struct nvml_gpu *gpu,
                            struct device_facts *device)
{
    enum { LARGEST_MILLIWATTS = 100 * 1000 * 1000, LARGEST_CELSIUS = 1000 };
    struct nvml_link *link = &source->link;
    nvml_device_read_memory(source, gpu, gpu->handle, &device->memory_total_bytes,
                            &device->memory_used_bytes);
    device->utilization_percent = gpu_read_utilization(source, gpu);
    unsigned int milliwatts = 0;
    nvmlReturn_t code =
        NVML_CALL(link, &gpu->health, nvmlDeviceGetPowerUsage, gpu->handle, &milliwatts);
    device->power_watts = gauge(link, code, milliwatts, 1000, LARGEST_MILLIWATTS);
    unsigned int celsius = 0;
    code = NVML_CALL(link, &gpu->health, nvmlDeviceGetTemperature, gpu->handle,
                     NVML_TEMPERATURE_GPU, &celsius);
    device->temperature_celsius = gauge(link, code, celsius, 1, LARGEST_CELSIUS);
}

/* Power and temperature belong to the board, utilisation to GPM (nvml_gpm.h). */
static void mig_read_gauges(struct nvml_source *source, struct nvml_gpu *gpu,
                            const struct nvml_mig *mig, struct device_facts *device)
{
    nvml_device_read_memory(source, gpu, mig->handle, &device->memory_total_bytes,
                            &device->memory_used_bytes);
    device->utilization_percent.state =
        gpu->gpm == NVML_SUPPORT_NO ? VALUE_UNSUPPORTED : VALUE_UNSET;
    device->power_watts.state = VALUE_UNSUPPORTED;
    device->temperature_celsius.state = VALUE_UNSUPPORTED;
}

static void device_set_unread(struct device_facts *device)
{
    device->memory_total_bytes.state = VALUE_ERROR;
    device->memory_used_bytes.state = VALUE_ERROR;
    device->utilization_percent.state = VALUE_ERROR;
    device->power_watts.state = VALUE_ERROR;
    device->temperature_celsius.state = VALUE_ERROR;
}

void nvml_device_read(struct nvml_source *source, struct device_facts *devices)
{
    for (size_t i = 0; i < source->gpu_count; i++) {
        struct nvml_gpu *gpu = &source->gpus[i];
        if (gpu->handle && gpu->health.fault == NVML_SUCCESS)
            gpu_read_gauges(source, gpu, &devices[gpu->position]);
        else
            device_set_unread(&devices[gpu->position]);
        for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));)
            mig_read_gauges(source, gpu, mig, &devices[mig->position]);
    }
}

/* Why GPU could not be read, in ARENA; NULL when it could, or when memory is gone. */
static const char *gpu_fault_text(const struct nvml_source *source,
                                  const struct nvml_gpu *gpu, struct arena *arena)
{
    if (gpu->is_skipped)
        return progress_left_out_reason(source->link.progress, gpu->health.index, arena);
    char text[64];
    nvml_result_text(gpu->health.fault, text, sizeof text);
    const char *remedy = nvml_result_remedy(gpu->health.fault);
    return arena_printf(arena, "%s%s%s", text, remedy ? "; " : "", remedy ? remedy : "");
}

/* Whether every GPU that was asked failed, and none of them by a code that says "this
 * GPU": then it is the driver that is gone. *CODE is the last one's code. */
static bool is_driver_gone(const struct nvml_source *source, nvmlReturn_t *code)
{
    bool is_gone = false;
    for (size_t i = 0; i < source->gpu_count; i++) {
        const struct nvml_gpu *gpu = &source->gpus[i];
        if (gpu->is_skipped)
            continue;
        *code = gpu->health.fault;
        is_gone =
            *code == NVML_ERROR_UNKNOWN || nvml_result_reach(*code) == NVML_REACH_SESSION;
        if (!is_gone)
            return false;
    }
    return is_gone;
}

int nvml_device_report(const struct nvml_source *source, struct arena *arena,
                       struct device_facts *devices, struct err *err)
{
    nvmlReturn_t code = NVML_SUCCESS;
    if (is_driver_gone(source, &code))
        return nvml_result_error(err, code, "no GPU answers");
    for (size_t i = 0; i < source->gpu_count; i++) {
        const struct nvml_gpu *gpu = &source->gpus[i];
        bool is_faulty = gpu->is_skipped || gpu->health.fault != NVML_SUCCESS;
        const char *fault = is_faulty ? gpu_fault_text(source, gpu, arena) : NULL;
        if (is_faulty && !fault)
            return err_errno(err, ENOMEM, "devices");
        devices[gpu->position].fault = fault;
        devices[gpu->position].process_list = gpu->process_list;
        devices[gpu->position].processes_omitted = gpu->omitted;
        for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));) {
            devices[mig->position].fault = fault;
            devices[mig->position].process_list = mig->process_list;
            devices[mig->position].processes_omitted = mig->omitted;
        }
    }
    return 0;
}
