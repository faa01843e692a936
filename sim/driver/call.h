/*
 * The frame of every exported call: is the library initialised, is the handle one of
 * ours, does the scenario want this call to be slow or to fail, is the GPU lost.
 *
 * NVML has no context parameter, so the library keeps one `struct driver` per process:
 * the only mutable object with static storage here. Calls may run concurrently with each
 * other; as with the real library, not with the last nvmlShutdown.
 */
#pragma once

#include "sim/driver/node_map.h"
#include "sim/driver/nvml_more.h"

/* What a device handle points to. Valid handles lie in the driver's own table, so that
 * any other pointer is told apart without looking at what it points to. */
struct nvmlDevice_st {
    uint32_t gpu;
    uint32_t mig; /* position in the MIG array; SIM_ID_NONE: the GPU itself */
};

struct nvmlGpmSample_st {
    uint32_t in_use;
    uint32_t is_taken;
    uint32_t gpu, gi; /* gi SIM_ID_NONE: the whole GPU */
    uint64_t monotonic_ns;
    double scenario_seconds;
};

enum { GPM_SAMPLES_MAX = 1024 };

/* One exported call, from its beginning on. */
struct call {
    const struct node_map *map;
    const struct sim_gpu *gpu;        /* NULL in calls about no device */
    const struct sim_mig_device *mig; /* NULL on a GPU's handle */
    uint32_t gpu_position;
};

/* Leaves the function with the code of EXPRESSION unless that is NVML_SUCCESS. */
#define TRY(expression)                                                                  \
    do {                                                                                 \
        nvmlReturn_t try_code_ = (expression);                                           \
        if (try_code_ != NVML_SUCCESS)                                                   \
            return try_code_;                                                            \
    } while (0)

/* Leaves the function with INVALID_ARGUMENT unless CONDITION holds. */
#define REQUIRE(condition)                                                               \
    do {                                                                                 \
        if (!(condition))                                                                \
            return NVML_ERROR_INVALID_ARGUMENT;                                          \
    } while (0)

/* nvmlInit's and nvmlShutdown's work. SYMBOL is what the caller called. */
nvmlReturn_t driver_start(const char *symbol);
nvmlReturn_t driver_stop(const char *symbol);

/* The node, or NULL before nvmlInit: for calls that must search it before they know what
 * they are about. */
const struct node_map *driver_map(void);

/* About no device. */
nvmlReturn_t call_begin(struct call *call, const char *symbol);
/* About the GPU at POSITION, named by index, bus id or UUID rather than by handle. */
nvmlReturn_t call_begin_position(struct call *call, const char *symbol,
                                 uint32_t position);
/* About a GPU's or MIG device's handle. */
nvmlReturn_t call_begin_device(struct call *call, const char *symbol,
                               nvmlDevice_t device);
/* The same, and NOT_SUPPORTED on a MIG device's handle. */
nvmlReturn_t call_begin_gpu(struct call *call, const char *symbol, nvmlDevice_t device);

/* Handles of the GPU (MIG device) at a position of its array. */
nvmlDevice_t handle_of_gpu(uint32_t position);
nvmlDevice_t handle_of_mig(uint32_t position);

/* A sample of our pool that is in use, or NULL. */
struct nvmlGpmSample_st *gpm_sample_check(nvmlGpmSample_t sample);
/* Takes a free one; NULL when there is none. */
struct nvmlGpmSample_st *gpm_sample_take(void);

/* NVML_SUCCESS, or what every call on a lost GPU answers. */
static inline nvmlReturn_t gpu_lost(const struct sim_gpu *gpu)
{
    return (nvmlReturn_t)__atomic_load_n(&gpu->lost, __ATOMIC_RELAXED);
}

/* Copies TEXT with its end, or answers INSUFFICIENT_SIZE. */
nvmlReturn_t text_put(char *to, unsigned int capacity, const char *text);
