/*
 * The driver's process lists, read with distrust.
 *
 * The stride of an entry has differed between drivers and shims, and a wrong one turns
 * memory sizes into pids. So only the two layouts that never changed are asked for (the
 * _v2 functions, 24 bytes; the unsuffixed ones, 16 bytes), into memory filled with a
 * pattern that shows afterwards how far the driver really wrote.
 *
 * In MIG mode one question to the GPU answers for all instances, where it is permitted.
 * Where it is not, some drivers refuse and some leave out what the caller may not see: an
 * empty answer, or one that names an instance which is not there, is not relied on. Each
 * MIG device is asked then, and its answer replaces the GPU's: a process would count
 * twice.
 */
#include "source/nvml/nvml_process.h"

#include "source/nvml/nvml_mig.h"

#include <stdlib.h>
#include <string.h>

enum {
    LIST_FIRST_ENTRIES = 64,
    LIST_TRIES = 5,           /* the list may grow between two calls */
    LARGEST_ENTRY_BYTES = 32, /* of any layout: some 535 drivers' _v3 */
    UNTOUCHED = 0xAA,
    LARGEST_PID = 4 * 1024 * 1024, /* PID_MAX_LIMIT of 64-bit kernels */
};

/* One answer of the driver, in nvml_source.list. */
struct answer {
    unsigned int count;
    size_t stride; /* bytes per entry */
};

static bool has_instance_ids(const struct answer *answer)
{
    return answer->stride == sizeof(nvmlProcessInfo_v2_t);
}

/* Asks by the _v2 symbol where there is one, else by the unsuffixed. */
#define LIST_CALL(symbol)                                                                \
    (link->api.symbol##_v2 ? NVML_TRY(link, &gpu->health, symbol##_v2, handle, count,    \
                                      (nvmlProcessInfo_v2_t *)list)                      \
                           : NVML_TRY(link, &gpu->health, symbol, handle, count,         \
                                      (nvmlProcessInfo_v1_t *)list))

static nvmlReturn_t list_call(struct nvml_link *link, struct nvml_gpu *gpu,
                              nvmlDevice_t handle, enum process_kind kind,
                              unsigned int *count, void *list)
{
    switch (kind) {
    case PROCESS_COMPUTE: return LIST_CALL(nvmlDeviceGetComputeRunningProcesses);
    case PROCESS_MPS: return LIST_CALL(nvmlDeviceGetMPSComputeRunningProcesses);
    case PROCESS_GRAPHICS: return LIST_CALL(nvmlDeviceGetGraphicsRunningProcesses);
    }
    return NVML_ERROR_INVALID_ARGUMENT;
}

static size_t list_stride(const struct nvml_api *api, enum process_kind kind)
{
    bool is_v2 =
        (kind == PROCESS_COMPUTE && api->nvmlDeviceGetComputeRunningProcesses_v2) ||
        (kind == PROCESS_MPS && api->nvmlDeviceGetMPSComputeRunningProcesses_v2) ||
        (kind == PROCESS_GRAPHICS && api->nvmlDeviceGetGraphicsRunningProcesses_v2);
    return is_v2 ? sizeof(nvmlProcessInfo_v2_t) : sizeof(nvmlProcessInfo_v1_t);
}

static bool is_untouched(const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != UNTOUCHED)
            return false;
    }
    return true;
}

/* Whether the driver wrote as many entries of this stride as it says, and no further. */
static bool is_layout_right(const unsigned char *list, const struct answer *answer)
{
    if (answer->count == 0)
        return true;
    size_t end = answer->count * answer->stride;
    size_t longest = answer->count * (size_t)LARGEST_ENTRY_BYTES;
    return is_untouched(list + end, longest - end) && !is_untouched(list + end - 8, 8);
}

static bool list_reserve(struct nvml_source *source, size_t entries)
{
    size_t capacity = source->list_capacity * LARGEST_ENTRY_BYTES;
    if (!NVML_RESERVE(source, source->list, capacity, entries * LARGEST_ENTRY_BYTES, 0))
        return false;
    source->list_capacity = capacity / LARGEST_ENTRY_BYTES;
    return true;
}

/* Calls until the buffer is large enough. Return: the driver's code; SUCCESS with
 * answer->count beyond the buffer is possible, and for the caller to judge. */
static nvmlReturn_t list_fetch(struct nvml_source *source, struct nvml_gpu *gpu,
                               nvmlDevice_t handle, enum process_kind kind,
                               struct answer *answer)
{
    size_t wanted = LIST_FIRST_ENTRIES;
    nvmlReturn_t code = NVML_ERROR_INSUFFICIENT_SIZE;
    for (int i = 0; i < LIST_TRIES && code == NVML_ERROR_INSUFFICIENT_SIZE; i++) {
        if (!list_reserve(source, wanted))
            return NVML_ERROR_MEMORY;
        memset(source->list, UNTOUCHED, source->list_capacity * LARGEST_ENTRY_BYTES);
        answer->count = (unsigned int)source->list_capacity;
        code = list_call(&source->link, gpu, handle, kind, &answer->count, source->list);
        wanted = 2 * (size_t)answer->count + 8;
        if (wanted > NVML_LIST_MAX)
            wanted = NVML_LIST_MAX;
    }
    return code;
}

/* Return: VALUE_OK with the entries in source->list, or why there are none. Expected
 * refusals are not counted here. */
static enum value_state list_read(struct nvml_source *source, struct nvml_gpu *gpu,
                                  nvmlDevice_t handle, enum process_kind kind,
                                  struct answer *answer)
{
    answer->stride = list_stride(&source->link.api, kind);
    nvmlReturn_t code = list_fetch(source, gpu, handle, kind, answer);
    enum value_state state = nvml_result_state(code);
    if (state == VALUE_ERROR)
        (void)nvml_call_count(&source->link, code);
    if (state != VALUE_OK)
        return state;
    if (answer->count > source->list_capacity || !is_layout_right(source->list, answer)) {
        nvml_error_add(&source->link, "implausible_list", 1);
        return VALUE_ERROR;
    }
    return VALUE_OK;
}

static nvmlProcessInfo_v2_t entry_at(const struct nvml_source *source,
                                     const struct answer *answer, size_t i)
{
    nvmlProcessInfo_v2_t info = {.gpuInstanceId = MIG_ID_NONE,
                                 .computeInstanceId = MIG_ID_NONE};
    const unsigned char *at = source->list + i * answer->stride;
    memcpy(&info.pid, at + offsetof(nvmlProcessInfo_v2_t, pid), sizeof info.pid);
    memcpy(&info.usedGpuMemory, at + offsetof(nvmlProcessInfo_v2_t, usedGpuMemory),
           sizeof info.usedGpuMemory);
    if (has_instance_ids(answer)) {
        memcpy(&info.gpuInstanceId, at + offsetof(nvmlProcessInfo_v2_t, gpuInstanceId),
               sizeof info.gpuInstanceId);
        memcpy(&info.computeInstanceId,
               at + offsetof(nvmlProcessInfo_v2_t, computeInstanceId),
               sizeof info.computeInstanceId);
    }
    return info;
}

/* Notes that somebody who will not be listed is on instance GI. */
static void note_stranger(struct nvml_gpu *gpu, uint32_t gi)
{
    for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));) {
        if (mig->gi == gi || gi == MIG_ID_NONE)
            mig->has_strangers = true;
    }
}

static void entry_drop(struct nvml_source *source, struct nvml_gpu *gpu, uint32_t gi,
                       const char *reason)
{
    nvml_error_add(&source->link, reason, 1);
    note_stranger(gpu, gi);
}

/* Appends one entry for the device at POSITION, on instance GI. Room was reserved. */
static void entry_add(struct nvml_source *source, const nvmlProcessInfo_v2_t *info,
                      enum process_kind kind, size_t position, uint32_t gi)
{
    bool has_memory = info->usedGpuMemory != NVML_VALUE_NOT_AVAILABLE_U64;
    source->entries[source->entry_count++] = (struct nvml_entry){
        .device = (uint32_t)position,
        .pid = info->pid,
        .gi = gi,
        .kinds = kind,
        .memory_bytes = {.v = has_memory ? info->usedGpuMemory : 0,
                         .state = has_memory ? VALUE_OK : VALUE_UNSUPPORTED},
    };
}

/* Which device an entry belongs to: ASKED, when a MIG device was asked and the entry does
 * not name a sibling; else the one it names; else the GPU itself, which, where it has MIG
 * devices, holds what strays_settle() is to judge.
 * Return: false when it belongs to none. */
static bool entry_position(const struct nvml_gpu *gpu, const struct nvml_mig *asked,
                           const nvmlProcessInfo_v2_t *info, size_t *position)
{
    const struct nvml_mig *named =
        nvml_mig_find(gpu, info->gpuInstanceId, info->computeInstanceId);
    const struct nvml_mig *mig = asked ? asked : named;
    bool names_sibling = asked && named && named != asked;
    *position = mig && !names_sibling ? mig->position : gpu->position;
    bool may_be_plain = info->gpuInstanceId == MIG_ID_NONE ||
                        (!gpu->has_mig_mode && !gpu->mig_is_unknown);
    return gpu->mig_count || may_be_plain;
}

/* Takes the entries of ANSWER over. Return: false when memory is gone. */
static bool answer_take(struct nvml_source *source, struct nvml_gpu *gpu,
                        const struct nvml_mig *asked, enum process_kind kind,
                        const struct answer *answer)
{
    if (!NVML_RESERVE(source, source->entries, source->entry_capacity,
                      source->entry_count + answer->count, source->entry_count))
        return false;
    for (size_t i = 0; i < answer->count; i++) {
        nvmlProcessInfo_v2_t info = entry_at(source, answer, i);
        uint32_t gi = asked ? asked->gi : info.gpuInstanceId;
        size_t position;
        if (info.pid == 0 || info.pid > LARGEST_PID)
            entry_drop(source, gpu, gi, "implausible");
        else if (!entry_position(gpu, asked, &info, &position))
            entry_drop(source, gpu, gi, "unattributed");
        else
            entry_add(source, &info, kind, position, gi);
    }
    return true;
}

/* Asks HANDLE, the GPU's or that of MIG device ASKED, for one kind of processes. */
static enum value_state kind_list(struct nvml_source *source, struct nvml_gpu *gpu,
                                  struct nvml_mig *asked, enum process_kind kind)
{
    struct answer answer = {0};
    nvmlDevice_t handle = asked ? asked->handle : gpu->handle;
    enum value_state state = list_read(source, gpu, handle, kind, &answer);
    if (state == VALUE_OK && !answer_take(source, gpu, asked, kind, &answer))
        state = VALUE_ERROR;
    return state;
}

/* Joins what one list said to what the device's other lists said. The compute list
 * decides whether there is a list at all: many drivers have no MPS list. */
static void state_join(enum value_state *whole, enum value_state state,
                       enum process_kind kind)
{
    bool is_worse = *whole == VALUE_OK && state != VALUE_UNSUPPORTED;
    if (kind == PROCESS_COMPUTE || is_worse)
        *whole = state;
}

static void state_settle(struct nvml_source *source, enum value_state *whole,
                         enum value_state state, enum process_kind kind)
{
    if (state == VALUE_DENIED)
        (void)nvml_call_count(&source->link, NVML_ERROR_NO_PERMISSION);
    state_join(whole, state, kind);
}

/* Whether the GPU's answer, entries [FIRST, END), speaks for its MIG devices. */
static bool is_answer_complete(const struct nvml_source *source,
                               const struct nvml_gpu *gpu, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        if (source->entries[i].device == gpu->position)
            return false;
    }
    return end > first;
}

/* Takes those of entries [FIRST, END) away whose device has answered for itself. */
static void answer_replace(struct nvml_source *source, const struct nvml_gpu *gpu,
                           size_t first, size_t end, const bool *has_answered)
{
    size_t kept = first;
    for (size_t i = first; i < source->entry_count; i++) {
        if (i >= end || !has_answered[source->entries[i].device - gpu->position])
            source->entries[kept++] = source->entries[i];
    }
    source->entry_count = kept;
}

static void migs_list(struct nvml_source *source, struct nvml_gpu *gpu,
                      enum process_kind kind, const bool *is_wanted)
{
    bool has_answered[1 + FACTS_MAX_MIG_PER_GPU] = {false};
    enum value_state shared = VALUE_UNSUPPORTED;
    size_t first = source->entry_count;
    /* The old layout does not say which instance an entry is on. */
    if (list_stride(&source->link.api, kind) == sizeof(nvmlProcessInfo_v2_t))
        shared = kind_list(source, gpu, NULL, kind);
    size_t end = source->entry_count;
    bool is_complete = is_answer_complete(source, gpu, first, end);
    for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));) {
        size_t place = mig->position - gpu->position;
        if (is_wanted && !is_wanted[place])
            continue;
        enum value_state state =
            is_complete ? VALUE_OK : kind_list(source, gpu, mig, kind);
        has_answered[place] = !is_complete && state == VALUE_OK;
        if (state == VALUE_UNSUPPORTED && shared == VALUE_OK)
            state = shared; /* as on a vGPU host: nobody knows better than the GPU */
        state_settle(source, &mig->process_list, state, kind);
    }
    answer_replace(source, gpu, first, end, has_answered);
}

static int entry_compare(const void *a, const void *b)
{
    const struct nvml_entry *x = a;
    const struct nvml_entry *y = b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

static bool are_entries_sorted(const struct nvml_entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (entry_compare(&entries[i - 1], &entries[i]) > 0)
            return false;
    }
    return true;
}

static void entry_merge(struct nvml_source *source, struct nvml_entry *into,
                        const struct nvml_entry *from)
{
    if (into->kinds & from->kinds) /* twice in one list */
        nvml_error_add(&source->link, "implausible", 1);
    into->kinds |= from->kinds;
    bool is_better = from->memory_bytes.state == VALUE_OK &&
                     (into->memory_bytes.state != VALUE_OK ||
                      from->memory_bytes.v > into->memory_bytes.v);
    if (is_better)
        into->memory_bytes = from->memory_bytes;
}

static void entries_sort(struct nvml_source *source)
{
    if (!are_entries_sorted(source->entries, source->entry_count))
        qsort(source->entries, source->entry_count, sizeof *source->entries,
              entry_compare);
}

/* Merges those of one process on one device. */
static void entries_merge(struct nvml_source *source)
{
    struct nvml_entry *entries = source->entries;
    size_t kept = 0;
    for (size_t i = 0; i < source->entry_count; i++) {
        if (kept && entry_compare(&entries[kept - 1], &entries[i]) == 0)
            entry_merge(source, &entries[kept - 1], &entries[i]);
        else
            entries[kept++] = entries[i];
    }
    source->entry_count = kept;
}

bool nvml_process_is_listed(const struct nvml_source *source, size_t position,
                            uint32_t pid)
{
    size_t low = 0;
    size_t high = source->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct nvml_entry *entry = &source->entries[middle];
        if (entry->device < position || (entry->device == position && entry->pid < pid))
            low = middle + 1;
        else
            high = middle;
    }
    return low < source->entry_count && source->entries[low].device == position &&
           source->entries[low].pid == pid;
}

static bool is_on_some_mig(const struct nvml_source *source, const struct nvml_gpu *gpu,
                           uint32_t pid)
{
    for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));) {
        if (nvml_process_is_listed(source, mig->position, pid))
            return true;
    }
    return false;
}

/* Takes the entries away that were found on no MIG device; as the GPU's own they stand
 * first. Those of processes that another answer placed are no loss, and where not all
 * devices were asked nobody knows. */
static void strays_settle(struct nvml_source *source, struct nvml_gpu *gpu,
                          bool were_all_asked)
{
    size_t strays = 0;
    for (; strays < source->entry_count; strays++) {
        const struct nvml_entry *entry = &source->entries[strays];
        if (entry->device != gpu->position)
            break;
        if (were_all_asked && !is_on_some_mig(source, gpu, entry->pid))
            entry_drop(source, gpu, entry->gi, "unattributed");
    }
    source->entry_count -= strays;
    memmove(source->entries, source->entries + strays,
            source->entry_count * sizeof *source->entries);
}

/* Tells each MIG device how many processes it has, and who is surely alone. */
static void migs_count_sessions(struct nvml_source *source, struct nvml_gpu *gpu)
{
    const struct nvml_entry *entry = source->entries;
    const struct nvml_entry *end = entry ? entry + source->entry_count : NULL;
    for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));) {
        mig->session_count = 0;
        for (; entry < end && entry->device == mig->position; entry++) {
            mig->session_count++;
            mig->sole_pid = entry->pid;
        }
        bool is_sole = mig->session_count == 1 && !mig->has_strangers &&
                       mig->process_list == VALUE_OK;
        if (!is_sole)
            mig->sole_pid = 0;
    }
}

static void lists_reset(struct nvml_source *source, struct nvml_gpu *gpu)
{
    source->entry_count = 0;
    gpu->process_list = gpu->mig_count ? VALUE_UNSET : VALUE_ERROR;
    for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));) {
        mig->process_list = VALUE_ERROR;
        mig->has_strangers = false;
    }
}

void nvml_process_list(struct nvml_source *source, struct nvml_gpu *gpu,
                       const bool *is_wanted)
{
    static const enum process_kind kinds[] = {PROCESS_COMPUTE, PROCESS_MPS,
                                              PROCESS_GRAPHICS};
    lists_reset(source, gpu);
    if (!gpu->handle || gpu->health.fault != NVML_SUCCESS)
        return;
    for (size_t i = 0; i < (source->with_graphics ? 3U : 2U); i++) {
        if (gpu->mig_count)
            migs_list(source, gpu, kinds[i], is_wanted);
        else
            state_settle(source, &gpu->process_list,
                         kind_list(source, gpu, NULL, kinds[i]), kinds[i]);
    }
    if (source->entry_count) {
        entries_sort(source);
        if (gpu->mig_count)
            strays_settle(source, gpu, !is_wanted);
        entries_merge(source);
    }
    migs_count_sessions(source, gpu);
}

static void entries_keep(struct nvml_source *source, struct nvml_gpu *gpu)
{
    size_t room = source->max_sessions - source->process_count;
    size_t count = source->entry_count < room ? source->entry_count : room;
    if (!NVML_RESERVE(source, source->processes, source->process_capacity,
                      source->process_count + count, source->process_count))
        count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct nvml_entry *entry = &source->entries[i];
        source->processes[source->process_count + i] = (struct process_facts){
            .device = entry->device,
            .pid = entry->pid,
            .kinds = entry->kinds,
            .memory_used_bytes = entry->memory_bytes,
        };
    }
    gpu->first_process = source->process_count;
    gpu->process_count = count;
    source->process_count += count;
    source->processes_omitted += source->entry_count - count;
}

void nvml_process_collect(struct nvml_source *source)
{
    source->process_count = 0;
    source->processes_omitted = 0;
    for (size_t i = 0; i < source->gpu_count; i++) {
        nvml_process_list(source, &source->gpus[i], NULL);
        entries_keep(source, &source->gpus[i]);
    }
}
