/*
 * A driver made of plain memory: a struct nvml_api whose functions answer from `fake`.
 *
 * Tests fill the node, collect, and look at the facts. Any call can be made to answer any
 * code, for one GPU or all, from its n-th use on; calls are counted by symbol. Handles
 * are checked: passing on NULL fails the test.
 */
#pragma once

#include "base/cleanup.h"
#include "source/nvml/nvml_source.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FAKE_FN __attribute__((unused)) static

enum { FAKE_GPUS = 80, FAKE_SLOTS = 40, FAKE_PROCESSES = 4096, FAKE_SAMPLES = 64 };

struct fake_device {
    unsigned gpu;
    bool is_mig;
    bool is_present; /* MIG slot */
    char uuid[96];
    char name[96];
    unsigned gi, ci;
    unsigned long long memory_total, memory_reserved, memory_used;
    double engine, sm, bandwidth; /* GPM */
};

struct fake_gpu {
    struct fake_device device;
    struct fake_device slots[FAKE_SLOTS];
    bool has_mig_mode;
    unsigned slot_count;
    bool has_gpm;
    nvmlReturn_t empty_slot_code;
    nvmlProcessUtilizationSample_t samples[FAKE_SAMPLES];
    unsigned sample_count;
};

struct fake_process {
    unsigned gpu;
    unsigned gi, ci; /* all ones without MIG */
    unsigned kinds;
    unsigned pid;
    unsigned long long memory;
};

struct fake_fault {
    const char *call;
    int gpu; /* -1: all */
    int code;
    unsigned after; /* passes this many matching calls first */
    unsigned seen;
};

struct fake_count {
    const char *call;
    unsigned n;
};

struct fake_node {
    struct fake_gpu gpus[FAKE_GPUS];
    unsigned gpu_count;
    struct fake_process processes[FAKE_PROCESSES];
    unsigned process_count;
    struct fake_fault faults[8];
    unsigned fault_count;
    struct fake_count counts[64];
    bool is_parent_denied;   /* MIG: the parent's list and memory */
    unsigned parent_hides;   /* MIG: the parent's list leaves out pids below this */
    bool lists_siblings;     /* a MIG handle's list names the whole GPU instance */
    unsigned grow_by;        /* the list is longer by this on each further call */
    unsigned claimed_count;  /* if set, lists claim this many entries on success */
    unsigned written_stride; /* if set, entries are written this far apart */
    unsigned sizing_count;   /* what the NULL call of the samples answers */
    bool is_metric_nan;
    nvmlReturn_t metric_code;
    unsigned samples_alive;
    unsigned samples_taken;
    uint64_t now_ns, slept_ns, wall_us;
    unsigned long long last_seen; /* as the source passed it */
};

static struct fake_node fake;

FAKE_FN struct fake_count *fake_counter(const char *call)
{
    size_t i = 0;
    while (i < ARRAY_LENGTH(fake.counts) - 1 && fake.counts[i].call &&
           strcmp(fake.counts[i].call, call) != 0)
        i++;
    assert_true(i < ARRAY_LENGTH(fake.counts) - 1);
    fake.counts[i].call = call;
    return &fake.counts[i];
}

FAKE_FN unsigned fake_calls(const char *call)
{
    return fake_counter(call)->n;
}

/* Counts the call. Return: the code it is to fail with, or SUCCESS. */
FAKE_FN nvmlReturn_t fake_enter(const char *call, int gpu)
{
    fake_counter(call)->n++;
    for (unsigned i = 0; i < fake.fault_count; i++) {
        struct fake_fault *fault = &fake.faults[i];
        bool is_hit = strcmp(fault->call, "*") == 0 || strcmp(fault->call, call) == 0;
        if (!is_hit || (fault->gpu >= 0 && fault->gpu != gpu))
            continue;
        if (fault->seen++ >= fault->after)
            return (nvmlReturn_t)fault->code;
    }
    return NVML_SUCCESS;
}

#define FAKE_ENTER(gpu)                                                                  \
    do {                                                                                 \
        nvmlReturn_t fault_ = fake_enter(__func__ + sizeof "fake_" - 1, (gpu));          \
        if (fault_ != NVML_SUCCESS)                                                      \
            return fault_;                                                               \
    } while (0)

/* The device behind a handle. */
FAKE_FN struct fake_device *fake_of(nvmlDevice_t handle)
{
    assert_non_null(handle);
    return (struct fake_device *)(void *)handle;
}

FAKE_FN nvmlReturn_t fake_nvmlInit_v2(void)
{
    FAKE_ENTER(-1);
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlInitWithFlags(unsigned flags)
{
    assert_int_equal(flags, NVML_INIT_FLAG_NO_GPUS);
    FAKE_ENTER(-1);
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlShutdown(void)
{
    assert_int_equal(fake.samples_alive, 0);
    FAKE_ENTER(-1);
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlSystemGetDriverVersion(char *text, unsigned length)
{
    FAKE_ENTER(-1);
    (void)snprintf(text, length, "550.163.01");
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetCount_v2(unsigned *count)
{
    FAKE_ENTER(-1);
    *count = fake.gpu_count;
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *out)
{
    FAKE_ENTER((int)index);
    *out = (nvmlDevice_t)(void *)&fake.gpus[index].device;
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetUUID(nvmlDevice_t handle, char *text,
                                            unsigned length)
{
    FAKE_ENTER((int)fake_of(handle)->gpu);
    (void)snprintf(text, length, "%s", fake_of(handle)->uuid);
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetName(nvmlDevice_t handle, char *text,
                                            unsigned length)
{
    FAKE_ENTER((int)fake_of(handle)->gpu);
    (void)snprintf(text, length, "%s", fake_of(handle)->name);
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetPciInfo_v3(nvmlDevice_t handle, nvmlPciInfo_t *pci)
{
    FAKE_ENTER((int)fake_of(handle)->gpu);
    (void)snprintf(pci->busId, sizeof pci->busId, "00000000:%02X:00.0",
                   fake_of(handle)->gpu + 1);
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetMinorNumber(nvmlDevice_t handle, unsigned *minor)
{
    FAKE_ENTER((int)fake_of(handle)->gpu);
    *minor = fake_of(handle)->gpu + 4;
    return NVML_SUCCESS;
}

FAKE_FN bool fake_is_denied(const struct fake_device *device)
{
    return fake.is_parent_denied && !device->is_mig &&
           fake.gpus[device->gpu].has_mig_mode;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetMemoryInfo(nvmlDevice_t handle,
                                                  nvmlMemory_t *memory)
{
    struct fake_device *device = fake_of(handle);
    FAKE_ENTER((int)device->gpu);
    if (fake_is_denied(device))
        return NVML_ERROR_NO_PERMISSION;
    memory->total = device->memory_total;
    memory->used = device->memory_used + device->memory_reserved;
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t handle,
                                                     nvmlMemory_v2_t *memory)
{
    struct fake_device *device = fake_of(handle);
    assert_int_equal(memory->version, 0x02000028);
    FAKE_ENTER((int)device->gpu);
    if (fake_is_denied(device))
        return NVML_ERROR_NO_PERMISSION;
    memory->total = device->memory_total;
    memory->used = device->memory_used;
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetUtilizationRates(nvmlDevice_t handle,
                                                        nvmlUtilization_t *utilization)
{
    FAKE_ENTER((int)fake_of(handle)->gpu);
    *utilization = (nvmlUtilization_t){.gpu = 87, .memory = 40};
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetPowerUsage(nvmlDevice_t handle,
                                                  unsigned *milliwatts)
{
    assert_false(fake_of(handle)->is_mig);
    FAKE_ENTER((int)fake_of(handle)->gpu);
    *milliwatts = 250500;
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetTemperature(nvmlDevice_t handle, int sensor,
                                                   unsigned *celsius)
{
    assert_false(fake_of(handle)->is_mig);
    assert_int_equal(sensor, NVML_TEMPERATURE_GPU);
    FAKE_ENTER((int)fake_of(handle)->gpu);
    *celsius = 61;
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetMigMode(nvmlDevice_t handle, unsigned *current,
                                               unsigned *pending)
{
    FAKE_ENTER((int)fake_of(handle)->gpu);
    *current = *pending = fake.gpus[fake_of(handle)->gpu].has_mig_mode;
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t handle,
                                                         unsigned *count)
{
    FAKE_ENTER((int)fake_of(handle)->gpu);
    *count = fake.gpus[fake_of(handle)->gpu].slot_count;
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t handle,
                                                              unsigned index,
                                                              nvmlDevice_t *out)
{
    struct fake_gpu *gpu = &fake.gpus[fake_of(handle)->gpu];
    assert_false(fake_of(handle)->is_mig);
    FAKE_ENTER((int)fake_of(handle)->gpu);
    if (index >= FAKE_SLOTS || !gpu->slots[index].is_present)
        return gpu->empty_slot_code ? gpu->empty_slot_code : NVML_ERROR_NOT_FOUND;
    *out = (nvmlDevice_t)(void *)&gpu->slots[index];
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetGpuInstanceId(nvmlDevice_t handle, unsigned *id)
{
    assert_true(fake_of(handle)->is_mig);
    FAKE_ENTER((int)fake_of(handle)->gpu);
    *id = fake_of(handle)->gi;
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetComputeInstanceId(nvmlDevice_t handle,
                                                         unsigned *id)
{
    assert_true(fake_of(handle)->is_mig);
    FAKE_ENTER((int)fake_of(handle)->gpu);
    *id = fake_of(handle)->ci;
    return NVML_SUCCESS;
}

/* The shapes of an H200's 3g.71gb split into 1c and 2c. */
FAKE_FN nvmlReturn_t fake_nvmlDeviceGetAttributes_v2(nvmlDevice_t handle,
                                                     nvmlDeviceAttributes_t *attributes)
{
    assert_true(fake_of(handle)->is_mig);
    FAKE_ENTER((int)fake_of(handle)->gpu);
    *attributes =
        (nvmlDeviceAttributes_t){.gpuInstanceSliceCount = 3,
                                 .computeInstanceSliceCount = fake_of(handle)->ci ? 3 : 1,
                                 .memorySizeMB = 71424};
    return NVML_SUCCESS;
}

FAKE_FN bool fake_is_alone(const struct fake_device *device)
{
    unsigned count = 0;
    for (size_t i = 0; i < FAKE_SLOTS; i++) {
        const struct fake_device *other = &fake.gpus[device->gpu].slots[i];
        count += other->is_present && other->gi == device->gi;
    }
    return count == 1;
}

/* What runs on the GPU instance as a whole is listed by the only device there. */
FAKE_FN bool fake_is_listed(const struct fake_process *process,
                            const struct fake_device *device, unsigned kind)
{
    if (process->gpu != device->gpu || !(process->kinds & kind))
        return false;
    if (!device->is_mig)
        return !fake.gpus[device->gpu].has_mig_mode || process->pid >= fake.parent_hides;
    return process->gi == device->gi &&
           (process->ci == device->ci || fake.lists_siblings ||
            (process->ci == MIG_ID_NONE && fake_is_alone(device)));
}

FAKE_FN nvmlReturn_t fake_list(const struct fake_device *device, unsigned kind,
                               unsigned stride, unsigned *count, unsigned char *out)
{
    unsigned n = 0;
    if (fake_is_denied(device))
        return NVML_ERROR_NO_PERMISSION;
    for (unsigned i = 0; i < fake.process_count; i++)
        n += fake_is_listed(&fake.processes[i], device, kind);
    if (n > *count) {
        *count = n;
        fake.process_count += fake.grow_by;
        return NVML_ERROR_INSUFFICIENT_SIZE;
    }
    unsigned apart = fake.written_stride ? fake.written_stride : stride;
    n = 0;
    for (unsigned i = 0; i < fake.process_count; i++) {
        const struct fake_process *process = &fake.processes[i];
        if (!fake_is_listed(process, device, kind))
            continue;
        unsigned char *at = out + (size_t)n++ * apart;
        memcpy(at, &process->pid, 4);
        memcpy(at + 8, &process->memory, 8);
        if (apart >= 24) {
            memcpy(at + 16, &process->gi, 4);
            memcpy(at + 20, &process->ci, 4);
        }
        if (apart >= 32)
            memset(at + 24, 0, 8);
    }
    *count = fake.claimed_count ? fake.claimed_count : n;
    return NVML_SUCCESS;
}

#define FAKE_LIST(symbol, type, kind)                                                    \
    FAKE_FN nvmlReturn_t fake_##symbol(nvmlDevice_t handle, unsigned *count,             \
                                       type *infos)                                      \
    {                                                                                    \
        struct fake_device *device = fake_of(handle);                                    \
        FAKE_ENTER((int)device->gpu);                                                    \
        return fake_list(device, kind, sizeof(type), count, (unsigned char *)infos);     \
    }
FAKE_LIST(nvmlDeviceGetComputeRunningProcesses, nvmlProcessInfo_v1_t, PROCESS_COMPUTE)
FAKE_LIST(nvmlDeviceGetComputeRunningProcesses_v2, nvmlProcessInfo_v2_t, PROCESS_COMPUTE)
FAKE_LIST(nvmlDeviceGetGraphicsRunningProcesses, nvmlProcessInfo_v1_t, PROCESS_GRAPHICS)
FAKE_LIST(nvmlDeviceGetGraphicsRunningProcesses_v2, nvmlProcessInfo_v2_t,
          PROCESS_GRAPHICS)
FAKE_LIST(nvmlDeviceGetMPSComputeRunningProcesses, nvmlProcessInfo_v1_t, PROCESS_MPS)
FAKE_LIST(nvmlDeviceGetMPSComputeRunningProcesses_v2, nvmlProcessInfo_v2_t, PROCESS_MPS)

FAKE_FN nvmlReturn_t fake_nvmlDeviceGetProcessUtilization(
    nvmlDevice_t handle, nvmlProcessUtilizationSample_t *out, unsigned *count,
    unsigned long long last_seen)
{
    struct fake_gpu *gpu = &fake.gpus[fake_of(handle)->gpu];
    assert_false(gpu->has_mig_mode);
    FAKE_ENTER((int)fake_of(handle)->gpu);
    fake.last_seen = last_seen;
    if (!out) {
        *count = fake.sizing_count;
        return NVML_ERROR_INSUFFICIENT_SIZE;
    }
    if (*count < gpu->sample_count) {
        *count = gpu->sample_count;
        return NVML_ERROR_INSUFFICIENT_SIZE;
    }
    *count = gpu->sample_count;
    memcpy(out, gpu->samples, gpu->sample_count * sizeof *out);
    return gpu->sample_count ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND;
}

FAKE_FN nvmlReturn_t fake_nvmlGpmQueryDeviceSupport(nvmlDevice_t handle,
                                                    nvmlGpmSupport_t *support)
{
    assert_int_equal(support->version, 1);
    FAKE_ENTER((int)fake_of(handle)->gpu);
    support->isSupportedDevice = fake.gpus[fake_of(handle)->gpu].has_gpm;
    return NVML_SUCCESS;
}

/* A GPM sample remembers which instance it was taken of. */
struct nvmlGpmSample_st {
    const struct fake_device *device;
};

FAKE_FN nvmlReturn_t fake_nvmlGpmSampleAlloc(nvmlGpmSample_t *sample)
{
    FAKE_ENTER(-1);
    *sample = calloc(1, sizeof **sample);
    assert_non_null(*sample);
    fake.samples_alive++;
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlGpmSampleFree(nvmlGpmSample_t sample)
{
    free(sample);
    fake.samples_alive--;
    FAKE_ENTER(-1);
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlGpmSampleGet(nvmlDevice_t handle, nvmlGpmSample_t sample)
{
    FAKE_ENTER((int)fake_of(handle)->gpu);
    assert_true(fake_of(handle)->is_mig);
    sample->device = fake_of(handle);
    fake.samples_taken++;
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlGpmMigSampleGet(nvmlDevice_t handle, unsigned gi,
                                              nvmlGpmSample_t sample)
{
    struct fake_gpu *gpu = &fake.gpus[fake_of(handle)->gpu];
    assert_false(fake_of(handle)->is_mig);
    FAKE_ENTER((int)fake_of(handle)->gpu);
    for (size_t i = 0; i < FAKE_SLOTS; i++) {
        if (gpu->slots[i].is_present && gpu->slots[i].gi == gi)
            sample->device = &gpu->slots[i];
    }
    fake.samples_taken++;
    return NVML_SUCCESS;
}

FAKE_FN nvmlReturn_t fake_nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *get)
{
    FAKE_ENTER(-1);
    assert_int_equal(get->version, 1);
    assert_ptr_equal(get->sample1->device, get->sample2->device);
    for (unsigned i = 0; i < get->numMetrics; i++) {
        nvmlGpmMetric_t *metric = &get->metrics[i];
        const struct fake_device *device = get->sample1->device;
        metric->nvmlReturn = fake.metric_code;
        metric->value = metric->metricId == NVML_GPM_METRIC_GRAPHICS_UTIL ? device->engine
                        : metric->metricId == NVML_GPM_METRIC_SM_UTIL     ? device->sm
                                                                      : device->bandwidth;
        if (fake.is_metric_nan)
            metric->value = (double)NAN;
    }
    return NVML_SUCCESS;
}

FAKE_FN struct nvml_api fake_api(void)
{
#define FAKE_FIELD(symbol) .symbol = fake_##symbol,
    return (struct nvml_api){NVML_SYMBOLS(FAKE_FIELD, FAKE_FIELD)};
#undef FAKE_FIELD
}

FAKE_FN uint64_t fake_now_ns(void *context)
{
    (void)context;
    return fake.now_ns;
}

FAKE_FN uint64_t fake_wall_us(void *context)
{
    (void)context;
    return fake.wall_us;
}

FAKE_FN void fake_sleep_ns(void *context, uint64_t ns)
{
    (void)context;
    fake.now_ns += ns;
    fake.slept_ns += ns;
}

/* A source on the fake driver, and what belongs to one collection. */
struct bench {
    struct nvml_api api;
    struct driver_config config;
    struct error_counters errors;
    struct call_progress progress;
    struct arena *arena;
    struct driver *driver;
    struct driver_facts facts;
    struct err err;
};

FAKE_FN void bench_init(struct bench *bench)
{
    *bench = (struct bench){.api = fake_api(), .arena = arena_new(16 << 20)};
    bench->config = (struct driver_config){.max_sessions = FACTS_DEFAULT_MAX_SESSIONS,
                                           .errors = &bench->errors,
                                           .progress = &bench->progress};
}

FAKE_FN int bench_open(struct bench *bench)
{
    static const struct nvml_clock clock = {
        .monotonic_ns = fake_now_ns, .wall_us = fake_wall_us, .sleep_ns = fake_sleep_ns};
    return nvml_source_open(&bench->api, &clock, &bench->config, &bench->driver,
                            &bench->err);
}

/* Opens where that is still to be done, and collects. */
FAKE_FN int bench_collect(struct bench *bench)
{
    arena_reset(bench->arena);
    if (!bench->driver)
        assert_int_equal(bench_open(bench), 0);
    return bench->driver->ops->collect(bench->driver, bench->arena, &bench->facts,
                                       &bench->err);
}

FAKE_FN const struct driver_facts *bench_facts(struct bench *bench)
{
    assert_int_equal(bench_collect(bench), 0);
    return &bench->facts;
}

FAKE_FN void bench_done(struct bench *bench)
{
    driver_close(bench->driver);
    arena_free(bench->arena);
    assert_int_equal(fake.samples_alive, 0);
}

FAKE_FN uint64_t bench_errors(const struct bench *bench, const char *reason)
{
    for (size_t i = 0; i < bench->errors.count; i++) {
        assert_string_equal(bench->errors.entries[i].source, "nvml");
        if (strcmp(bench->errors.entries[i].reason, reason) == 0)
            return bench->errors.entries[i].value;
    }
    return 0;
}

FAKE_FN void fake_add_fault(const char *call, int gpu, int code)
{
    fake.faults[fake.fault_count++] =
        (struct fake_fault){.call = call, .gpu = gpu, .code = code};
}

FAKE_FN void fake_add_process(unsigned gpu, unsigned pid, unsigned long long memory,
                              unsigned kinds)
{
    fake.processes[fake.process_count++] =
        (struct fake_process){gpu, MIG_ID_NONE, MIG_ID_NONE, kinds, pid, memory};
}

FAKE_FN void fake_add_mig_process(unsigned gpu, unsigned gi, unsigned ci, unsigned pid,
                                  unsigned long long memory)
{
    fake.processes[fake.process_count++] =
        (struct fake_process){gpu, gi, ci, PROCESS_COMPUTE, pid, memory};
}

FAKE_FN void fake_add_sample(unsigned gpu, unsigned pid, unsigned long long at,
                             unsigned sm)
{
    struct fake_gpu *g = &fake.gpus[gpu];
    g->samples[g->sample_count++] = (nvmlProcessUtilizationSample_t){.pid = pid,
                                                                     .timeStamp = at,
                                                                     .smUtil = sm,
                                                                     .memUtil = 3,
                                                                     .encUtil = 2,
                                                                     .decUtil = 1};
}

/* N plain GPUs of 40 GiB. */
FAKE_FN void fake_reset(unsigned n)
{
    memset(&fake, 0, sizeof fake);
    fake.gpu_count = n;
    fake.now_ns = UINT64_C(1000000000000);
    fake.wall_us = UINT64_C(1700000000000000);
    fake.sizing_count = 100;
    for (unsigned i = 0; i < n && i < FAKE_GPUS; i++) {
        struct fake_device *device = &fake.gpus[i].device;
        device->gpu = i;
        (void)snprintf(device->uuid, sizeof device->uuid, "GPU-%08u", i);
        (void)snprintf(device->name, sizeof device->name, "NVIDIA A100-SXM4-40GB");
        device->memory_total = 40ULL << 30;
        device->memory_reserved = 600ULL << 20;
        device->memory_used = 1ULL << 30;
    }
}

/* Puts a MIG device of 5 GiB into a slot, and the GPU into MIG mode. */
FAKE_FN struct fake_device *fake_add_mig(unsigned gpu, unsigned slot, unsigned gi,
                                         unsigned ci)
{
    struct fake_gpu *parent = &fake.gpus[gpu];
    struct fake_device *device = &parent->slots[slot];
    parent->has_mig_mode = true;
    if (parent->slot_count < 7)
        parent->slot_count = 7;
    *device = (struct fake_device){.gpu = gpu,
                                   .is_mig = true,
                                   .is_present = true,
                                   .gi = gi,
                                   .ci = ci,
                                   .memory_total = 5ULL << 30,
                                   .memory_used = 9ULL << 20,
                                   .engine = 80,
                                   .sm = 55.5,
                                   .bandwidth = 20};
    (void)snprintf(device->uuid, sizeof device->uuid, "MIG-%u-%u-%u", gpu, gi, ci);
    (void)snprintf(device->name, sizeof device->name, "%.64s MIG 1g.5gb",
                   parent->device.name);
    return device;
}
