/*
 * Exported GPM calls: counters of a GPU or a GPU instance, read as the difference of two
 * samples. This is the only utilisation that exists under MIG, and it is never a
 * process's.
 *
 * A sample remembers when it was taken; the metrics are then the mean load between two.
 */
#include "sim/driver/load.h"
#include "sim/driver/usage.h"

#include "base/cleanup.h"

#include <math.h>
#include <time.h>

#define GPM_DISTANCE_MIN_NS UINT64_C(100000000) /* the documented 100 ms */

nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t device, nvmlGpmSupport_t *gpmSupport)
{
    struct call call;
    TRY(call_begin_device(&call, __func__, device));
    REQUIRE(gpmSupport);
    if (gpmSupport->version != NVML_GPM_SUPPORT_VERSION)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    gpmSupport->isSupportedDevice = call.gpu->gpm_supported != 0;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *gpmSample)
{
    struct call call;
    TRY(call_begin(&call, __func__));
    REQUIRE(gpmSample);
    struct nvmlGpmSample_st *sample = gpm_sample_take();
    if (!sample)
        return NVML_ERROR_INSUFFICIENT_RESOURCES;
    *gpmSample = sample;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t gpmSample)
{
    struct call call;
    TRY(call_begin(&call, __func__));
    struct nvmlGpmSample_st *sample = gpm_sample_check(gpmSample);
    REQUIRE(sample);
    sample->in_use = 0;
    return NVML_SUCCESS;
}

static nvmlReturn_t sample_fill(const struct call *call, uint32_t gi,
                                nvmlGpmSample_t gpmSample)
{
    struct nvmlGpmSample_st *sample = gpm_sample_check(gpmSample);
    REQUIRE(sample);
    if (!call->gpu->gpm_supported)
        return NVML_ERROR_NOT_SUPPORTED;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    sample->is_taken = 1;
    sample->gpu = call->gpu_position;
    sample->gi = gi;
    sample->monotonic_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    sample->scenario_seconds = scenario_seconds(call->map->state);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t device, nvmlGpmSample_t gpmSample)
{
    struct call call;
    TRY(call_begin_device(&call, __func__, device));
    return sample_fill(&call, scope_of(&call).gi, gpmSample);
}

/* The first MIG device of a GPU instance, or NULL when there is no such instance. */
static const struct sim_mig_device *instance_find(const struct node_map *map,
                                                  uint32_t gpu, uint32_t gi)
{
    for (uint32_t i = 0; i < map->mig_count; i++) {
        if (map->migs[i].gpu == gpu && map->migs[i].gi == gi)
            return &map->migs[i];
    }
    return NULL;
}

nvmlReturn_t nvmlGpmMigSampleGet(nvmlDevice_t device, unsigned int gpuInstanceId,
                                 nvmlGpmSample_t gpmSample)
{
    struct call call;
    TRY(call_begin_gpu(&call, __func__, device));
    if (!call.gpu->mig_enabled)
        return NVML_ERROR_NOT_SUPPORTED;
    REQUIRE(instance_find(call.map, call.gpu_position, gpuInstanceId));
    return sample_fill(&call, gpuInstanceId, gpmSample);
}

/* A whole GPU in MIG mode: each instance counts by its share of the GPU's slices. */
static double sliced_gpu_percent(const struct node_map *map, uint32_t gpu,
                                 enum engine engine, double from, double to)
{
    double sum = 0;
    uint32_t slices = map->gpus[gpu].max_mig_devices;
    for (uint32_t i = 0; i < map->mig_count && slices > 0; i++) {
        const struct sim_mig_device *mig = &map->migs[i];
        if (mig->gpu != gpu || instance_find(map, gpu, mig->gi) != mig)
            continue;
        struct scope instance = {gpu, mig->gi, SIM_ID_NONE};
        sum += usage_percent(map, instance, engine, from, to) * mig->gpu_slices / slices;
    }
    return fmin(sum, 100);
}

static double samples_percent(const struct node_map *map,
                              const struct nvmlGpmSample_st *first,
                              const struct nvmlGpmSample_st *last, enum engine engine)
{
    double from = first->scenario_seconds, to = last->scenario_seconds;
    if (first->gi == SIM_ID_NONE && map->gpus[first->gpu].mig_enabled)
        return sliced_gpu_percent(map, first->gpu, engine, from, to);
    struct scope scope = {first->gpu, first->gi, SIM_ID_NONE};
    return usage_percent(map, scope, engine, from, to);
}

struct gpm_metric {
    unsigned int id;
    enum engine engine;
    char *short_name, *long_name; /* not const in the interface */
};

static const struct gpm_metric *metric_find(unsigned int id)
{
    static char graphics[] = "GRACT", sm[] = "SMUTIL", dram[] = "DRAMUTIL";
    static char graphics_long[] = "Graphics Utilization", sm_long[] = "SM Utilization",
                dram_long[] = "DRAM Bandwidth Utilization";
    static const struct gpm_metric metrics[] = {
        {NVML_GPM_METRIC_GRAPHICS_UTIL, ENGINE_SM, graphics, graphics_long},
        {NVML_GPM_METRIC_SM_UTIL, ENGINE_SM, sm, sm_long},
        {NVML_GPM_METRIC_DRAM_BW_UTIL, ENGINE_MEMORY, dram, dram_long},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(metrics); i++) {
        if (metrics[i].id == id)
            return &metrics[i];
    }
    return NULL;
}

static void metric_get(const struct node_map *map, const struct nvmlGpmSample_st *first,
                       const struct nvmlGpmSample_st *last, nvmlGpmMetric_t *to)
{
    static char percent[] = "%";
    const struct gpm_metric *metric = metric_find(to->metricId);
    if (!metric) {
        to->nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
        return;
    }
    to->nvmlReturn = NVML_SUCCESS;
    to->value = samples_percent(map, first, last, metric->engine);
    to->metricInfo.shortName = metric->short_name;
    to->metricInfo.longName = metric->long_name;
    to->metricInfo.unit = percent;
}

/* Two samples of one thing, the second late enough after the first. What the real library
 * answers otherwise is not documented: here, INVALID_ARGUMENT. */
static bool samples_fit(const struct nvmlGpmSample_st *first,
                        const struct nvmlGpmSample_st *last)
{
    return first && last && first->is_taken && last->is_taken &&
           first->gpu == last->gpu && first->gi == last->gi &&
           last->monotonic_ns >= first->monotonic_ns + GPM_DISTANCE_MIN_NS;
}

nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *metricsGet)
{
    struct call call;
    REQUIRE(metricsGet);
    const struct nvmlGpmSample_st *first = gpm_sample_check(metricsGet->sample1);
    const struct nvmlGpmSample_st *last = gpm_sample_check(metricsGet->sample2);
    TRY(first && first->is_taken ? call_begin_position(&call, __func__, first->gpu)
                                 : call_begin(&call, __func__));
    if (metricsGet->version != NVML_GPM_METRICS_GET_VERSION)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    REQUIRE(samples_fit(first, last) && metricsGet->numMetrics <= NVML_GPM_METRIC_MAX);
    for (unsigned int i = 0; i < metricsGet->numMetrics; i++)
        metric_get(call.map, first, last, &metricsGet->metrics[i]);
    return NVML_SUCCESS;
}
