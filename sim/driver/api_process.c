/*
 * Exported process lists, in three generations of layouts, and the per-process samples.
 *
 * Only the documented bytes of an entry are written, and nothing at all on an error: a
 * careful client fills its buffer with a pattern to find out the stride of a driver.
 */
#include "sim/driver/load.h"
#include "sim/driver/usage.h"

#include <math.h>
#include <string.h>

/* The longest entry, that of _v3 on some 535 drivers; the others are its beginning. */
struct process_entry {
    nvmlProcessInfo_v2_t info;
    unsigned long long protected_bytes;
};
static_assert(sizeof(struct process_entry) == 32, "stride of _v3 on some 535 drivers");

static void entry_write(char *to, size_t stride, const struct sim_process *process)
{
    nvmlProcessInfo_v2_t info;
    memcpy(to + offsetof(nvmlProcessInfo_v2_t, pid), &process->pid, sizeof(info.pid));
    memcpy(to + offsetof(nvmlProcessInfo_v2_t, usedGpuMemory), &process->memory_bytes,
           sizeof(info.usedGpuMemory));
    if (stride < sizeof(nvmlProcessInfo_v2_t))
        return;
    memcpy(to + offsetof(nvmlProcessInfo_v2_t, gpuInstanceId), &process->gi,
           sizeof(info.gpuInstanceId));
    memcpy(to + offsetof(nvmlProcessInfo_v2_t, computeInstanceId), &process->ci,
           sizeof(info.computeInstanceId));
    if (stride >= sizeof(struct process_entry))
        memset(to + offsetof(struct process_entry, protected_bytes), 0,
               sizeof(unsigned long long));
}

static bool process_is_listed(const struct sim_process *process, struct scope scope,
                              uint32_t kind)
{
    return (process->kinds & kind) != 0 && process_is_in(process, scope);
}

static uint32_t processes_count(const struct call *call, uint32_t kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < call->map->process_count; i++)
        count += process_is_listed(&call->map->processes[i], scope_of(call), kind);
    return count;
}

/* Writes at most CAPACITY entries: a process may have come to life since they were
 * counted. */
static uint32_t processes_write(const struct call *call, uint32_t kind, size_t stride,
                                char *to, uint32_t capacity)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < call->map->process_count && count < capacity; i++) {
        const struct sim_process *process = &call->map->processes[i];
        if (process_is_listed(process, scope_of(call), kind))
            entry_write(to + stride * count++, stride, process);
    }
    return count;
}

static nvmlReturn_t processes_list(const struct call *call, uint32_t kind, size_t stride,
                                   unsigned int *infoCount, void *infos)
{
    REQUIRE(infoCount && (infos || *infoCount == 0));
    if (!call->mig && call->gpu->mig_enabled && call->map->state->unprivileged)
        return NVML_ERROR_NO_PERMISSION;
    uint32_t needed = processes_count(call, kind);
    if (needed > *infoCount) {
        *infoCount = needed;
        return NVML_ERROR_INSUFFICIENT_SIZE;
    }
    *infoCount = needed ? processes_write(call, kind, stride, infos, *infoCount) : 0;
    return NVML_SUCCESS;
}

static size_t v3_stride(const struct call *call)
{
    return call->map->state->process_v3_stride == sizeof(struct process_entry)
               ? sizeof(struct process_entry)
               : sizeof(nvmlProcessInfo_v2_t);
}

/* One exported list: symbol, type of its entries, its kind of process, their stride. */
#define PROCESS_LIST(symbol, entry, kind, stride)                                        \
    nvmlReturn_t symbol(nvmlDevice_t device, unsigned int *infoCount, entry *infos)      \
    {                                                                                    \
        struct call call;                                                                \
        TRY(call_begin_device(&call, __func__, device));                                 \
        return processes_list(&call, kind, stride, infoCount, infos);                    \
    }

#define PROCESS_LISTS(name, kind)                                                        \
    PROCESS_LIST(name, nvmlProcessInfo_v1_t, kind, sizeof(nvmlProcessInfo_v1_t))         \
    PROCESS_LIST(name##_v2, nvmlProcessInfo_v2_t, kind, sizeof(nvmlProcessInfo_v2_t))    \
    PROCESS_LIST(name##_v3, void, kind, v3_stride(&call))

PROCESS_LISTS(nvmlDeviceGetComputeRunningProcesses, SIM_COMPUTE)
PROCESS_LISTS(nvmlDeviceGetGraphicsRunningProcesses, SIM_GRAPHICS)
PROCESS_LISTS(nvmlDeviceGetMPSComputeRunningProcesses, SIM_MPS)

/* The driver's ring of samples: its span is the scenario's, its length the real one's. */
enum { RING_SAMPLES = 72, RING_RECORDS = 100, WINDOW_DEFAULT_MS = 10000 };

/* A stretch of the ring, in microseconds: samples after `after`, up to `newest`. */
struct window {
    uint64_t after, newest;
};

static struct window samples_window(const struct node_state *state, uint64_t last_seen)
{
    uint64_t span =
        (state->sample_window_ms ? state->sample_window_ms : WINDOW_DEFAULT_MS) *
        UINT64_C(1000);
    uint64_t now = scenario_now_us();
    uint64_t interval = span / RING_SAMPLES + 1;
    uint64_t newest = now - now % interval;
    uint64_t oldest = newest > span ? newest - span : 0;
    return (struct window){last_seen > oldest ? last_seen : oldest, newest};
}

static unsigned int window_percent(const struct node_state *state,
                                   const struct sim_load *load, struct window window)
{
    if (state->frozen)
        return (unsigned)lround(load_mean_percent(load, 0, 0));
    double from = ((double)window.after - (double)state->epoch_us) / 1e6;
    double to = ((double)window.newest - (double)state->epoch_us) / 1e6;
    return (unsigned)lround(load_mean_percent(load, from, to));
}

/* Where records go; beyond CAPACITY they are only counted. */
struct records {
    nvmlProcessUtilizationSample_t *to;
    uint32_t capacity, count;
};

static void record_add(struct records *records, nvmlProcessUtilizationSample_t record)
{
    if (records->count < records->capacity)
        records->to[records->count] = record;
    records->count++;
}

/* Return: false when the process did nothing in WINDOW, or the driver never samples it.
 */
static bool good_record_add(struct records *records, const struct node_state *state,
                            const struct sim_process *process, struct window window)
{
    nvmlProcessUtilizationSample_t record = {
        .pid = process->pid,
        .timeStamp = window.newest,
        .smUtil = window_percent(state, &process->sm, window),
        .memUtil = window_percent(state, &process->memory_bandwidth, window),
        .encUtil = window_percent(state, &process->encoder, window),
        .decUtil = window_percent(state, &process->decoder, window),
    };
    if (!process->has_samples ||
        (record.smUtil | record.memUtil | record.encUtil | record.decUtil) == 0)
        return false;
    record_add(records, record);
    return true;
}

/* Real drivers were seen to add such records: percentages far over 100, and old ones. An
 * old one looks right but for its timestamp, so it comes only beside a good one: alone no
 * client could tell it from the truth. */
static void garbage_records_add(struct records *records,
                                const struct sim_process *process, struct window window,
                                bool has_good)
{
    for (uint32_t i = 0; i < process->garbage_samples; i++) {
        bool is_old = has_good && i % 2 == 1;
        unsigned int percent = is_old ? 99 : 101 + 1000 * i;
        record_add(records, (nvmlProcessUtilizationSample_t){
                                .pid = process->pid,
                                .timeStamp = is_old ? window.after : window.newest,
                                .smUtil = percent,
                                .memUtil = percent,
                                .encUtil = percent,
                                .decUtil = percent,
                            });
    }
}

static void records_make(const struct call *call, struct window window,
                         struct records *records)
{
    for (uint32_t i = 0; i < call->map->process_count; i++) {
        const struct sim_process *process = &call->map->processes[i];
        if (!process_is_in(process, scope_of(call)))
            continue;
        bool has_good = good_record_add(records, call->map->state, process, window);
        garbage_records_add(records, process, window, has_good);
    }
}

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device,
                                             nvmlProcessUtilizationSample_t *utilization,
                                             unsigned int *processSamplesCount,
                                             unsigned long long lastSeenTimeStamp)
{
    struct call call;
    TRY(call_begin_gpu(&call, __func__, device));
    REQUIRE(processSamplesCount);
    if (call.gpu->mig_enabled || !call.gpu->has_utilization)
        return NVML_ERROR_NOT_SUPPORTED;
    struct window window = samples_window(call.map->state, lastSeenTimeStamp);
    struct records records = {utilization, utilization ? *processSamplesCount : 0, 0};
    if (window.newest > lastSeenTimeStamp)
        records_make(&call, window, &records);
    if (!utilization || records.count > records.capacity) {
        *processSamplesCount =
            records.count > RING_RECORDS ? records.count : RING_RECORDS;
        return NVML_ERROR_INSUFFICIENT_SIZE;
    }
    *processSamplesCount = records.count;
    return records.count ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND;
}
