/*
 * The library's state in this process, and the frame around every call.
 *
 * node.state is mapped by the first nvmlInit and unmapped by the last nvmlShutdown, so a
 * scenario that was replaced on disk is picked up as a reloaded driver would be. The
 * counters in the file are shared by all processes; one that dies without nvmlShutdown
 * leaves its open_sessions behind.
 */
#include "sim/driver/call.h"

#include "sim/driver/fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct driver {
    pthread_mutex_t lock; /* for starting, stopping and the pool of samples */
    uint32_t sessions;    /* nvmlInit less nvmlShutdown in this process */
    struct node_map map;
    struct nvmlDevice_st *devices; /* gpu_count GPUs, then mig_count MIG devices */
    struct nvmlGpmSample_st *samples;
    struct fault_counts faults;
};

static struct driver the_driver = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void driver_unload(struct driver *driver)
{
    free(driver->devices);
    free(driver->samples);
    driver->devices = NULL;
    driver->samples = NULL;
    node_map_close(&driver->map);
}

/* When the library is closed: what outlives nvmlShutdown would be leaked. */
__attribute__((destructor)) static void driver_forget(void)
{
    free(the_driver.faults.matches);
    the_driver.faults.matches = NULL;
}

static bool tables_make(struct driver *driver)
{
    const struct node_map *map = &driver->map;
    size_t count = (size_t)map->gpu_count + map->mig_count;
    driver->devices = calloc(count ? count : 1, sizeof(*driver->devices));
    driver->samples = calloc(GPM_SAMPLES_MAX, sizeof(*driver->samples));
    if (!driver->devices || !driver->samples || !fault_counts_fit(&driver->faults, map))
        return false;
    for (uint32_t i = 0; i < map->gpu_count; i++)
        driver->devices[i] = (struct nvmlDevice_st){i, SIM_ID_NONE};
    for (uint32_t i = 0; i < map->mig_count; i++)
        driver->devices[map->gpu_count + i] = (struct nvmlDevice_st){map->migs[i].gpu, i};
    return true;
}

static nvmlReturn_t driver_load(struct driver *driver)
{
    char path[NODE_FOLDER_BYTES];
    int rc = node_path_find(&the_driver, path, sizeof(path));
    if (rc == 0)
        rc = node_map_open(&driver->map, path);
    if (rc == -EACCES || rc == -EROFS)
        return NVML_ERROR_NO_PERMISSION;
    if (rc < 0)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    if (!tables_make(driver)) {
        driver_unload(driver);
        return NVML_ERROR_MEMORY;
    }
    return NVML_SUCCESS;
}

static uint64_t monotonic_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* A real call costs its time on the CPU, in the kernel: so this one spins. */
static void latency_spend(uint32_t latency_us)
{
    if (latency_us == 0)
        return;
    uint64_t end = monotonic_us() + latency_us;
    while (monotonic_us() < end)
        continue;
}

static nvmlReturn_t call_admit(struct driver *driver, const char *symbol, uint32_t gpu)
{
    struct node_state *state = driver->map.state;
    __atomic_fetch_add(&state->total_calls, 1, __ATOMIC_RELAXED);
    latency_spend(state->latency_us);
    return fault_apply(&driver->map, &driver->faults, symbol, gpu);
}

static nvmlReturn_t start_locked(struct driver *driver, const char *symbol)
{
    if (driver->sessions == 0)
        TRY(driver_load(driver));
    nvmlReturn_t rc = call_admit(driver, symbol, SIM_ID_NONE);
    if (rc == NVML_SUCCESS) {
        __atomic_fetch_add(&driver->map.state->open_sessions, 1, __ATOMIC_RELAXED);
        __atomic_store_n(&driver->sessions, driver->sessions + 1, __ATOMIC_RELEASE);
    } else if (driver->sessions == 0) {
        driver_unload(driver);
    }
    return rc;
}

static nvmlReturn_t stop_locked(struct driver *driver, const char *symbol)
{
    if (driver->sessions == 0)
        return NVML_ERROR_UNINITIALIZED;
    TRY(call_admit(driver, symbol, SIM_ID_NONE));
    __atomic_fetch_sub(&driver->map.state->open_sessions, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&driver->sessions, driver->sessions - 1, __ATOMIC_RELEASE);
    if (driver->sessions == 0)
        driver_unload(driver);
    return NVML_SUCCESS;
}

static nvmlReturn_t driver_with_lock(nvmlReturn_t (*work)(struct driver *, const char *),
                                     const char *symbol)
{
    (void)pthread_mutex_lock(&the_driver.lock);
    nvmlReturn_t rc = work(&the_driver, symbol);
    (void)pthread_mutex_unlock(&the_driver.lock);
    return rc;
}

nvmlReturn_t driver_start(const char *symbol)
{
    return driver_with_lock(start_locked, symbol);
}

nvmlReturn_t driver_stop(const char *symbol)
{
    return driver_with_lock(stop_locked, symbol);
}

static bool driver_is_started(void)
{
    return __atomic_load_n(&the_driver.sessions, __ATOMIC_ACQUIRE) > 0;
}

const struct node_map *driver_map(void)
{
    return driver_is_started() ? &the_driver.map : NULL;
}

nvmlReturn_t call_begin(struct call *call, const char *symbol)
{
    if (!driver_is_started())
        return NVML_ERROR_UNINITIALIZED;
    *call = (struct call){.map = &the_driver.map, .gpu_position = SIM_ID_NONE};
    return call_admit(&the_driver, symbol, SIM_ID_NONE);
}

nvmlReturn_t call_begin_position(struct call *call, const char *symbol, uint32_t position)
{
    if (!driver_is_started())
        return NVML_ERROR_UNINITIALIZED;
    const struct node_map *map = &the_driver.map;
    if (position >= map->gpu_count) {
        TRY(call_begin(call, symbol));
        return NVML_ERROR_INVALID_ARGUMENT;
    }
    *call =
        (struct call){.map = map, .gpu = &map->gpus[position], .gpu_position = position};
    TRY(call_admit(&the_driver, symbol, position));
    return gpu_lost(call->gpu);
}

/* The table's entry that HANDLE points to, or NULL for any other pointer. */
static const struct nvmlDevice_st *handle_check(nvmlDevice_t handle)
{
    const struct node_map *map = &the_driver.map;
    uintptr_t distance = (uintptr_t)handle - (uintptr_t)the_driver.devices;
    size_t count = (size_t)map->gpu_count + map->mig_count;
    if (distance % sizeof(*handle) != 0 || distance / sizeof(*handle) >= count)
        return NULL;
    return handle;
}

nvmlReturn_t call_begin_device(struct call *call, const char *symbol, nvmlDevice_t device)
{
    if (!driver_is_started())
        return NVML_ERROR_UNINITIALIZED;
    const struct nvmlDevice_st *entry = handle_check(device);
    REQUIRE(entry);
    TRY(call_begin_position(call, symbol, entry->gpu));
    if (entry->mig != SIM_ID_NONE)
        call->mig = &call->map->migs[entry->mig];
    return NVML_SUCCESS;
}

nvmlReturn_t call_begin_gpu(struct call *call, const char *symbol, nvmlDevice_t device)
{
    TRY(call_begin_device(call, symbol, device));
    return call->mig ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS;
}

nvmlDevice_t handle_of_gpu(uint32_t position)
{
    return &the_driver.devices[position];
}

nvmlDevice_t handle_of_mig(uint32_t position)
{
    return &the_driver.devices[the_driver.map.gpu_count + position];
}

struct nvmlGpmSample_st *gpm_sample_check(nvmlGpmSample_t sample)
{
    uintptr_t distance = (uintptr_t)sample - (uintptr_t)the_driver.samples;
    if (!driver_is_started() || distance % sizeof(*sample) != 0 ||
        distance / sizeof(*sample) >= GPM_SAMPLES_MAX)
        return NULL;
    return sample->in_use ? sample : NULL;
}

static struct nvmlGpmSample_st *sample_take_locked(struct driver *driver)
{
    for (size_t i = 0; i < GPM_SAMPLES_MAX; i++) {
        struct nvmlGpmSample_st *sample = &driver->samples[i];
        if (!sample->in_use) {
            *sample = (struct nvmlGpmSample_st){.in_use = 1};
            return sample;
        }
    }
    return NULL;
}

struct nvmlGpmSample_st *gpm_sample_take(void)
{
    (void)pthread_mutex_lock(&the_driver.lock);
    struct nvmlGpmSample_st *sample = sample_take_locked(&the_driver);
    (void)pthread_mutex_unlock(&the_driver.lock);
    return sample;
}

nvmlReturn_t text_put(char *to, unsigned int capacity, const char *text)
{
    REQUIRE(to);
    size_t bytes = strlen(text) + 1;
    if (bytes > capacity)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(to, text, bytes);
    return NVML_SUCCESS;
}
