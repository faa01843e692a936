/*
 * MIG slots are sparse, and change under a running program: handles may be reused for
 * another instance, so every collection asks each slot again. The UUID is derived from
 * the place and shape of the instance; while it stays, ids and profile stay.
 */
#include "source/nvml/nvml_mig.h"

#include "source/nvml/nvml_device.h"
#include "source/nvml/nvml_gpm.h"

#include <stdio.h>
#include <string.h>

/* The profile behind the last " MIG " of the name: "NVIDIA A100-SXM4-40GB MIG 1g.5gb". */
static bool profile_from_name(struct nvml_link *link, struct nvml_health *health,
                              struct nvml_mig *mig)
{
    char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE] = "";
    nvmlReturn_t code =
        NVML_TRY(link, health, nvmlDeviceGetName, mig->handle, name, sizeof name);
    name[sizeof name - 1] = '\0';
    const char *mark = NULL;
    for (const char *at = name; code == NVML_SUCCESS && (at = strstr(at, " MIG ")); at++)
        mark = at;
    if (!mark || mark[5] == '\0')
        return false;
    (void)snprintf(mig->profile, sizeof mig->profile, "%s", mark + 5);
    return true;
}

/* Gigabytes in an instance's profile name: its eighths of the GPU's memory, rounded,
 * times the GPU's rounded-up gibibytes, as NVIDIA's own tools compute it. Where the GPU's
 * total is not told, the instance's memory rounded up. */
static unsigned long long profile_gigabytes(unsigned long long instance_mib,
                                            struct value_u64 gpu_bytes)
{
    unsigned long long gpu_mib = gpu_bytes.state == VALUE_OK ? gpu_bytes.v >> 20 : 0;
    if (gpu_mib == 0 || instance_mib > gpu_mib)
        return instance_mib / 1024 + (instance_mib % 1024 != 0);
    unsigned long long eighths = (instance_mib * 16 + gpu_mib) / (gpu_mib * 2);
    unsigned long long gpu_gib = (gpu_mib + 1023) / 1024;
    return (eighths * gpu_gib + 4) / 8;
}

static void profile_from_attributes(struct nvml_source *source, struct nvml_gpu *gpu,
                                    struct nvml_mig *mig)
{
    nvmlDeviceAttributes_t attributes = {0};
    nvmlReturn_t code = NVML_TRY(&source->link, &gpu->health, nvmlDeviceGetAttributes_v2,
                                 mig->handle, &attributes);
    if (code != NVML_SUCCESS || attributes.gpuInstanceSliceCount == 0)
        return;
    struct value_u64 total = {0};
    struct value_u64 used = {0};
    nvml_device_read_memory(source, gpu, gpu->handle, &total, &used);
    unsigned long long gigabytes = profile_gigabytes(attributes.memorySizeMB, total);
    if (attributes.computeInstanceSliceCount < attributes.gpuInstanceSliceCount)
        (void)snprintf(mig->profile, sizeof mig->profile, "%uc.%ug.%llugb",
                       attributes.computeInstanceSliceCount,
                       attributes.gpuInstanceSliceCount, gigabytes);
    else
        (void)snprintf(mig->profile, sizeof mig->profile, "%ug.%llugb",
                       attributes.gpuInstanceSliceCount, gigabytes);
}

/* NOT_FOUND and INVALID_ARGUMENT are how an empty slot, or an instance destroyed a moment
 * ago, answers: no error. Return: whether the device is to be left out. */
static bool is_gone(struct nvml_link *link, nvmlReturn_t code)
{
    if (code == NVML_ERROR_NOT_FOUND || code == NVML_ERROR_INVALID_ARGUMENT)
        return true;
    return nvml_result_state(nvml_call_count(link, code)) == VALUE_ERROR;
}

static bool mig_read_ids(struct nvml_link *link, struct nvml_health *health,
                         struct nvml_mig *mig)
{
    unsigned int gi = MIG_ID_NONE;
    unsigned int ci = MIG_ID_NONE;
    if (is_gone(link,
                NVML_TRY(link, health, nvmlDeviceGetGpuInstanceId, mig->handle, &gi)) ||
        is_gone(link,
                NVML_TRY(link, health, nvmlDeviceGetComputeInstanceId, mig->handle, &ci)))
        return false;
    mig->gi = gi;
    mig->ci = ci;
    return gi != MIG_ID_NONE && ci != MIG_ID_NONE;
}

/* Who is in the slot. Return: false when the device is gone, or has no ids. */
static bool mig_identify(struct nvml_source *source, struct nvml_gpu *gpu,
                         struct nvml_mig *mig)
{
    struct nvml_link *link = &source->link;
    char uuid[NVML_UUID_BYTES] = "";
    nvmlReturn_t code =
        NVML_TRY(link, &gpu->health, nvmlDeviceGetUUID, mig->handle, uuid, sizeof uuid);
    if (is_gone(link, code))
        return false;
    uuid[sizeof uuid - 1] = '\0';
    if (code != NVML_SUCCESS)
        uuid[0] = '\0';
    if (uuid[0] != '\0' && mig->profile[0] != '\0' && strcmp(uuid, mig->uuid) == 0)
        return true;
    memcpy(mig->uuid, uuid, sizeof uuid);
    mig->profile[0] = '\0';
    if (!mig_read_ids(link, &gpu->health, mig))
        return false;
    if (!profile_from_name(link, &gpu->health, mig))
        profile_from_attributes(source, gpu, mig);
    return true;
}

static void slot_scan(struct nvml_source *source, struct nvml_gpu *gpu, unsigned int slot)
{
    struct nvml_mig *mig = &gpu->migs[slot];
    nvmlDevice_t handle = NULL;
    nvmlReturn_t code =
        NVML_TRY(&source->link, &gpu->health, nvmlDeviceGetMigDeviceHandleByIndex,
                 gpu->handle, slot, &handle);
    if (is_gone(&source->link, code) || code != NVML_SUCCESS || !handle)
        return;
    mig->handle = handle;
    mig->is_present = mig_identify(source, gpu, mig);
    if (mig->is_present)
        gpu->mig_count++;
}

/* One step of FNV-1a, over a whole number instead of a byte. */
static uint64_t hash_add(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * UINT64_C(0x100000001b3);
}

static uint64_t layout_hash(const struct nvml_gpu *gpu)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));) {
        hash = hash_add(hash, (uint64_t)(mig - gpu->migs));
        hash = hash_add(hash, (uint64_t)mig->gi << 32 | mig->ci);
        for (const char *at = mig->uuid; *at; at++)
            hash = hash_add(hash, (unsigned char)*at);
    }
    return hash;
}

static unsigned int slot_count(struct nvml_source *source, struct nvml_gpu *gpu)
{
    unsigned int slots = 0;
    nvmlReturn_t code = NVML_CALL(&source->link, &gpu->health,
                                  nvmlDeviceGetMaxMigDeviceCount, gpu->handle, &slots);
    if (code != NVML_SUCCESS)
        return 0;
    if (slots > FACTS_MAX_MIG_PER_GPU) {
        nvml_error_add(&source->link, "too_many_mig_devices",
                       slots - FACTS_MAX_MIG_PER_GPU);
        slots = FACTS_MAX_MIG_PER_GPU;
    }
    return slots;
}

void nvml_mig_scan(struct nvml_source *source, struct nvml_gpu *gpu)
{
    unsigned int slots = slot_count(source, gpu);
    if (slots && !gpu->migs) {
        gpu->migs = ARENA_NEW(source->memory, struct nvml_mig, FACTS_MAX_MIG_PER_GPU);
        if (!gpu->migs) {
            nvml_error_add(&source->link, "out_of_memory", 1);
            return;
        }
    }
    for (unsigned int i = 0; gpu->migs && i < FACTS_MAX_MIG_PER_GPU; i++) {
        gpu->migs[i].is_present = false;
        if (i < slots && gpu->health.fault == NVML_SUCCESS)
            slot_scan(source, gpu, i);
    }
    if (gpu->health.fault != NVML_SUCCESS)
        gpu->mig_count = 0;
    uint64_t layout = layout_hash(gpu);
    if (layout != gpu->mig_layout)
        nvml_gpm_drop(source, gpu);
    gpu->mig_layout = layout;
}

size_t nvml_mig_count_in(const struct nvml_gpu *gpu, uint32_t gi)
{
    size_t count = 0;
    for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));)
        count += mig->gi == gi;
    return count;
}

struct nvml_mig *nvml_mig_find(const struct nvml_gpu *gpu, uint32_t gi, uint32_t ci)
{
    bool is_any = ci == MIG_ID_NONE && nvml_mig_count_in(gpu, gi) == 1;
    for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));) {
        if (mig->gi == gi && (mig->ci == ci || is_any))
            return mig;
    }
    return NULL;
}
