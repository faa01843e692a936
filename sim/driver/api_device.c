/*
 * Exported calls about what a device holds and does: memory, utilisation, power, clocks.
 *
 * Under MIG the driver has no utilisation, neither of the GPU nor of its instances, and
 * tells the memory of the whole GPU only to a privileged caller.
 */
#include "sim/driver/load.h"
#include "sim/driver/usage.h"

#include <math.h>

enum { SAMPLING_PERIOD_US = 167000, POWER_LIMIT_STEP_WATTS = 50 };

struct memory {
    uint64_t total, reserved, used; /* bytes; `used` is without `reserved` */
};

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

/* What the driver itself uses in the GPU instances of a GPU. The compute instances of one
 * GPU instance share its memory, so that only the first of them counts. */
static uint64_t instances_base_bytes(const struct node_map *map, uint32_t gpu)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < map->mig_count; i++) {
        const struct sim_mig_device *mig = &map->migs[i];
        bool is_first = mig->gpu == gpu;
        for (uint32_t k = 0; k < i && is_first; k++)
            is_first = map->migs[k].gpu != gpu || map->migs[k].gi != mig->gi;
        sum += is_first ? mig->memory_base_bytes : 0;
    }
    return sum;
}

static struct memory mig_memory(const struct call *call)
{
    struct scope instance = {call->gpu_position, call->mig->gi, SIM_ID_NONE};
    uint64_t total = call->mig->memory_total_bytes;
    uint64_t used =
        call->mig->memory_base_bytes + usage_process_bytes(call->map, instance);
    return (struct memory){total, 0, at_most(used, total)};
}

static struct memory gpu_memory(const struct call *call)
{
    uint64_t total = call->gpu->memory_total_bytes;
    uint64_t reserved = at_most(call->gpu->memory_reserved_bytes, total);
    uint64_t used = usage_process_bytes(call->map, scope_of(call));
    if (call->gpu->mig_enabled)
        used += instances_base_bytes(call->map, call->gpu_position);
    return (struct memory){total, reserved, at_most(used, total - reserved)};
}

static nvmlReturn_t memory_get(const struct call *call, struct memory *memory)
{
    if (!call->gpu->has_memory_info)
        return NVML_ERROR_NOT_SUPPORTED;
    if (!call->mig && call->gpu->mig_enabled && call->map->state->unprivileged)
        return NVML_ERROR_NO_PERMISSION;
    *memory = call->mig ? mig_memory(call) : gpu_memory(call);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    struct call call;
    struct memory now;
    TRY(call_begin_device(&call, __func__, device));
    REQUIRE(memory);
    TRY(memory_get(&call, &now));
    memory->total = now.total;
    memory->used = now.used + now.reserved;
    memory->free = now.total - memory->used;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory)
{
    struct call call;
    struct memory now;
    TRY(call_begin_device(&call, __func__, device));
    REQUIRE(memory);
    if (memory->version != nvmlMemory_v2)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    TRY(memory_get(&call, &now));
    memory->total = now.total;
    memory->reserved = now.reserved;
    memory->used = now.used;
    memory->free = now.total - now.used - now.reserved;
    return NVML_SUCCESS;
}

/* The frame of all calls that ask how busy an engine of a GPU is. */
static nvmlReturn_t utilization_begin(struct call *call, const char *symbol,
                                      nvmlDevice_t device)
{
    TRY(call_begin_gpu(call, symbol, device));
    if (call->gpu->mig_enabled || !call->gpu->has_utilization)
        return NVML_ERROR_NOT_SUPPORTED;
    return NVML_SUCCESS;
}

static unsigned int engine_percent(const struct call *call, enum engine engine)
{
    double to = scenario_seconds(call->map->state);
    double from = to - SAMPLING_PERIOD_US / 1e6;
    return (unsigned)lround(usage_percent(call->map, scope_of(call), engine, from, to));
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device,
                                           nvmlUtilization_t *utilization)
{
    struct call call;
    TRY(utilization_begin(&call, __func__, device));
    REQUIRE(utilization);
    utilization->gpu = engine_percent(&call, ENGINE_SM);
    utilization->memory = engine_percent(&call, ENGINE_MEMORY);
    return NVML_SUCCESS;
}

static nvmlReturn_t codec_get(const char *symbol, nvmlDevice_t device, enum engine engine,
                              unsigned int *percent, unsigned int *periodUs)
{
    struct call call;
    TRY(utilization_begin(&call, symbol, device));
    REQUIRE(percent && periodUs);
    *percent = engine_percent(&call, engine);
    *periodUs = SAMPLING_PERIOD_US;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetEncoderUtilization(nvmlDevice_t device, unsigned int *percent,
                                             unsigned int *periodUs)
{
    return codec_get(__func__, device, ENGINE_ENCODER, percent, periodUs);
}

nvmlReturn_t nvmlDeviceGetDecoderUtilization(nvmlDevice_t device, unsigned int *percent,
                                             unsigned int *periodUs)
{
    return codec_get(__func__, device, ENGINE_DECODER, percent, periodUs);
}

/* Not negative, and within what an unsigned int holds. */
static unsigned int whole_number(double value)
{
    return (unsigned)llround(fmin(fmax(value, 0), 4e9));
}

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned int *milliwatts)
{
    struct call call;
    TRY(call_begin_gpu(&call, __func__, device));
    REQUIRE(milliwatts);
    if (!call.gpu->has_power)
        return NVML_ERROR_NOT_SUPPORTED;
    double seconds = scenario_seconds(call.map->state);
    *milliwatts = whole_number(load_at(&call.gpu->power_watts, seconds) * 1000);
    return NVML_SUCCESS;
}

/* No limit in a scenario: the next step above the most that the load reaches. */
static nvmlReturn_t power_limit_get(const char *symbol, nvmlDevice_t device,
                                    unsigned int *milliwatts)
{
    struct call call;
    TRY(call_begin_gpu(&call, symbol, device));
    REQUIRE(milliwatts);
    if (!call.gpu->has_power)
        return NVML_ERROR_NOT_SUPPORTED;
    const struct sim_load *load = &call.gpu->power_watts;
    double peak = load->base_percent + fabs(load->amplitude_percent);
    double steps = ceil(peak / POWER_LIMIT_STEP_WATTS);
    *milliwatts = whole_number(steps * POWER_LIMIT_STEP_WATTS * 1000);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPowerManagementLimit(nvmlDevice_t device,
                                               unsigned int *milliwatts)
{
    return power_limit_get(__func__, device, milliwatts);
}

nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device,
                                             unsigned int *milliwatts)
{
    return power_limit_get(__func__, device, milliwatts);
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, int sensorType,
                                      unsigned int *celsius)
{
    struct call call;
    TRY(call_begin_gpu(&call, __func__, device));
    REQUIRE(celsius && sensorType == NVML_TEMPERATURE_GPU);
    if (!call.gpu->has_temperature)
        return NVML_ERROR_NOT_SUPPORTED;
    double seconds = scenario_seconds(call.map->state);
    *celsius = whole_number(load_at(&call.gpu->temperature_celsius, seconds));
    return NVML_SUCCESS;
}

/* What is the same for every simulated GPU. */
static nvmlReturn_t constant_get(const char *symbol, nvmlDevice_t device, int value,
                                 int *to)
{
    struct call call;
    TRY(call_begin_gpu(&call, symbol, device));
    REQUIRE(to);
    *to = value;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, int *mode)
{
    return constant_get(__func__, device, NVML_FEATURE_ENABLED, mode);
}

nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, int *mode)
{
    return constant_get(__func__, device, NVML_COMPUTEMODE_DEFAULT, mode);
}

nvmlReturn_t nvmlDeviceGetPerformanceState(nvmlDevice_t device, int *state)
{
    return constant_get(__func__, device, 0, state);
}

/* Boards of servers have no fan of their own. */
/* NOLINTNEXTLINE(readability-non-const-parameter): NVIDIA's prototype */
nvmlReturn_t nvmlDeviceGetFanSpeed(nvmlDevice_t device, unsigned int *percent)
{
    struct call call;
    TRY(call_begin_gpu(&call, __func__, device));
    REQUIRE(percent);
    return NVML_ERROR_NOT_SUPPORTED;
}

/* No clocks in a scenario: always those of an H100 at its maximum. */
static nvmlReturn_t clock_get(const char *symbol, nvmlDevice_t device, int type,
                              unsigned int *megahertz)
{
    static const int clocks[NVML_CLOCK_COUNT] = {1980, 1980, 2619, 1545};
    REQUIRE(megahertz && type >= 0 && type < NVML_CLOCK_COUNT);
    int value;
    TRY(constant_get(symbol, device, clocks[type], &value));
    *megahertz = (unsigned)value;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, int type,
                                    unsigned int *megahertz)
{
    return clock_get(__func__, device, type, megahertz);
}

nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, int type,
                                       unsigned int *megahertz)
{
    return clock_get(__func__, device, type, megahertz);
}
