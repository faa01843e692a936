/*
 * The window between two samples is whatever lies between two collections: up to ten
 * minutes, or 100 ms when there was no earlier one. A kept sample is used only while the
 * GPU's MIG layout is the same (nvml_mig_scan() drops it otherwise) and, where a process
 * is alone on its instance, while it is the process that was alone when it was taken:
 * another one's work would be counted as its own.
 */
#include "source/nvml/nvml_gpm.h"

#include "base/cleanup.h"
#include "source/nvml/nvml_mig.h"

#include <math.h>

#define MILLISECOND_NS UINT64_C(1000000)
#define SHORTEST_WINDOW_NS (100 * MILLISECOND_NS)
#define SHORTEST_KEPT_NS (1000 * MILLISECOND_NS)
#define LONGEST_KEPT_NS (600000 * MILLISECOND_NS)

enum { METRIC_ENGINE, METRIC_SM, METRIC_BANDWIDTH, METRIC_COUNT };

static const unsigned int metric_ids[METRIC_COUNT] = {
    [METRIC_ENGINE] = NVML_GPM_METRIC_GRAPHICS_UTIL,
    [METRIC_SM] = NVML_GPM_METRIC_SM_UTIL,
    [METRIC_BANDWIDTH] = NVML_GPM_METRIC_DRAM_BW_UTIL,
};

static uint64_t now_ns(const struct nvml_source *source)
{
    return source->clock.monotonic_ns(source->clock.context);
}

/* Whether GPU has GPM. The answer never changes, so a definite one is kept. */
static bool gpu_has_gpm(struct nvml_source *source, struct nvml_gpu *gpu)
{
    if (gpu->gpm != NVML_SUPPORT_UNKNOWN)
        return gpu->gpm == NVML_SUPPORT_YES;
    nvmlGpmSupport_t support = {.version = NVML_GPM_SUPPORT_VERSION};
    nvmlReturn_t code = NVML_CALL(&source->link, &gpu->health, nvmlGpmQueryDeviceSupport,
                                  gpu->handle, &support);
    enum value_state state = nvml_result_state(code);
    if (state == VALUE_OK)
        gpu->gpm = support.isSupportedDevice ? NVML_SUPPORT_YES : NVML_SUPPORT_NO;
    else if (state == VALUE_UNSUPPORTED)
        gpu->gpm = NVML_SUPPORT_NO;
    return gpu->gpm == NVML_SUPPORT_YES;
}

/* Reads the counters of MIG's instance into SAMPLE. Return: the driver's code. */
static nvmlReturn_t sample_take(struct nvml_source *source, struct nvml_gpu *gpu,
                                struct nvml_mig *mig, struct nvml_gpm_sample *sample)
{
    struct nvml_link *link = &source->link;
    sample->is_filled = false;
    if (!sample->handle) {
        nvmlGpmSample_t handle = NULL;
        nvmlReturn_t code = NVML_CALL(link, &gpu->health, nvmlGpmSampleAlloc, &handle);
        if (code != NVML_SUCCESS || !handle)
            return code != NVML_SUCCESS ? code : NVML_ERROR_MEMORY;
        sample->handle = handle;
    }
    nvmlReturn_t code = link->api.nvmlGpmMigSampleGet
                            ? NVML_CALL(link, &gpu->health, nvmlGpmMigSampleGet,
                                        gpu->handle, mig->gi, sample->handle)
                            : NVML_CALL(link, &gpu->health, nvmlGpmSampleGet, mig->handle,
                                        sample->handle);
    sample->is_filled = code == NVML_SUCCESS;
    sample->taken_ns = now_ns(source);
    sample->sole_pid = mig->sole_pid;
    return code;
}

static bool is_kept_usable(const struct nvml_source *source, const struct nvml_mig *mig)
{
    const struct nvml_gpm_sample *kept = &mig->kept;
    uint64_t age_ns = now_ns(source) - kept->taken_ns;
    return kept->is_filled && age_ns >= SHORTEST_KEPT_NS && age_ns <= LONGEST_KEPT_NS &&
           (mig->sole_pid == 0 || mig->sole_pid == kept->sole_pid);
}

static void mig_begin(struct nvml_source *source, struct nvml_gpu *gpu,
                      struct nvml_mig *mig)
{
    bool is_alone = nvml_mig_count_in(gpu, mig->gi) == 1;
    if (!is_alone || mig->session_count == 0 || !gpu_has_gpm(source, gpu))
        return;
    mig->first_sample = VALUE_OK;
    if (!is_kept_usable(source, mig))
        mig->first_sample = nvml_result_state(sample_take(source, gpu, mig, &mig->kept));
}

void nvml_gpm_begin(struct nvml_source *source)
{
    for (size_t i = 0; i < source->gpu_count; i++) {
        struct nvml_gpu *gpu = &source->gpus[i];
        for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));) {
            mig->first_sample = VALUE_UNSET;
            mig_begin(source, gpu, mig);
        }
    }
}

static void window_wait(const struct nvml_source *source, uint64_t from_ns)
{
    uint64_t age_ns = now_ns(source) - from_ns;
    if (age_ns < SHORTEST_WINDOW_NS)
        source->clock.sleep_ns(source->clock.context, SHORTEST_WINDOW_NS - age_ns);
}

/* A percentage as the driver gives it: rounding may put it a little over 100; NaN means
 * that the counters had nothing to say. */
static struct value_double metric_value(struct nvml_link *link,
                                        const nvmlGpmMetric_t *metric)
{
    nvmlReturn_t code = nvml_call_count(link, metric->nvmlReturn);
    if (code != NVML_SUCCESS)
        return (struct value_double){.state = nvml_result_state(code)};
    if (!(metric->value >= 0 && metric->value <= 101)) {
        nvml_error_add(link, "implausible", 1);
        return (struct value_double){.state = VALUE_ERROR};
    }
    return value_double_ok(metric->value > 100 ? 100 : metric->value);
}

/* Fills VALUES from the counters between MIG's two samples. Return: the driver's code. */
static nvmlReturn_t metrics_get(struct nvml_source *source, struct nvml_gpu *gpu,
                                const struct nvml_mig *mig,
                                struct value_double values[METRIC_COUNT])
{
    if (!source->metrics)
        source->metrics = ARENA_NEW(source->memory, nvmlGpmMetricsGet_t, 1);
    if (!source->metrics)
        return nvml_call_count(&source->link, NVML_ERROR_MEMORY);
    nvmlGpmMetricsGet_t *get = source->metrics;
    get->version = NVML_GPM_METRICS_GET_VERSION;
    get->numMetrics = METRIC_COUNT;
    get->sample1 = mig->kept.handle;
    get->sample2 = mig->fresh.handle;
    for (size_t i = 0; i < METRIC_COUNT; i++)
        get->metrics[i] = (nvmlGpmMetric_t){.metricId = metric_ids[i],
                                            .nvmlReturn = NVML_ERROR_NO_DATA,
                                            .value = (double)NAN};
    nvmlReturn_t code = NVML_CALL(&source->link, &gpu->health, nvmlGpmMetricsGet, get);
    for (size_t i = 0; code == NVML_SUCCESS && i < METRIC_COUNT; i++)
        values[i] = metric_value(&source->link, &get->metrics[i]);
    return code;
}

/* Measures MIG's instance. Return: VALUE_OK with VALUES filled (each with a state of its
 * own), or why there are none. */
static enum value_state mig_measure(struct nvml_source *source, struct nvml_gpu *gpu,
                                    struct nvml_mig *mig,
                                    struct value_double values[METRIC_COUNT])
{
    if (mig->first_sample != VALUE_OK)
        return mig->first_sample;
    window_wait(source, mig->kept.taken_ns);
    nvmlReturn_t code = sample_take(source, gpu, mig, &mig->fresh);
    if (code == NVML_SUCCESS)
        code = metrics_get(source, gpu, mig, values);
    struct nvml_gpm_sample older = mig->kept;
    mig->kept = mig->fresh;
    mig->fresh = older;
    return nvml_result_state(code);
}

/* The process that is alone on MIG, or NULL: none surely is, or it was left out by a
 * bound. */
static struct process_facts *sole_process(struct nvml_source *source,
                                          const struct nvml_gpu *gpu,
                                          const struct nvml_mig *mig)
{
    for (size_t i = 0; mig->sole_pid && i < gpu->process_count; i++) {
        struct process_facts *process = &source->processes[gpu->first_process + i];
        if (process->device == mig->position)
            return process;
    }
    return NULL;
}

static void mig_finish(struct nvml_source *source, struct nvml_gpu *gpu,
                       struct nvml_mig *mig, struct device_facts *device)
{
    struct value_double values[METRIC_COUNT] = {0};
    enum value_state state = mig_measure(source, gpu, mig, values);
    if (state != VALUE_OK) {
        for (size_t i = 0; i < METRIC_COUNT; i++)
            values[i] = (struct value_double){.state = state};
    }
    device->utilization_percent = values[METRIC_ENGINE];
    device->utilization_source = UTILIZATION_GPM;
    struct process_facts *process = sole_process(source, gpu, mig);
    if (process) {
        process->sm_percent = values[METRIC_SM];
        process->memory_bandwidth_percent = values[METRIC_BANDWIDTH];
        process->utilization_source = UTILIZATION_GPM;
    }
}

void nvml_gpm_finish(struct nvml_source *source, struct device_facts *devices)
{
    for (size_t i = 0; i < source->gpu_count; i++) {
        struct nvml_gpu *gpu = &source->gpus[i];
        for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));) {
            if (mig->first_sample != VALUE_UNSET)
                mig_finish(source, gpu, mig, &devices[mig->position]);
        }
    }
}

static void sample_free(struct nvml_link *link, struct nvml_gpm_sample *sample)
{
    /* Not about a GPU: the sample is the library's memory, and may outlive its GPU. */
    if (sample->handle)
        (void)NVML_CALL(link, NULL, nvmlGpmSampleFree, sample->handle);
    *sample = (struct nvml_gpm_sample){0};
}

void nvml_gpm_drop(struct nvml_source *source, struct nvml_gpu *gpu)
{
    for (size_t i = 0; gpu->migs && i < FACTS_MAX_MIG_PER_GPU; i++) {
        sample_free(&source->link, &gpu->migs[i].kept);
        sample_free(&source->link, &gpu->migs[i].fresh);
    }
}
