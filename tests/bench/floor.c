/*
 * The floor of a collection: the driver calls that a steady collection makes, in a bare
 * loop, and nothing else. What a program needs beyond this is its own cost.
 *
 *   floor LIBRARY COUNT PAUSE_MS           the driver's calls, COUNT times
 *   floor LIBRARY COUNT PAUSE_MS PROCFS    and, for each listed process, the least that
 *                                          must be read of a new one: stat, status,
 *                                          cgroup and cmdline
 *
 * It rests PAUSE_MS between two passes, as the program does, so that both find the caches
 * equally cold. Prints the CPU time (user and system) of one pass in microseconds, and
 * how many driver calls it made: scripts/bench/bench.py shows both beside the program's.
 */
#include "source/nvml/nvml_abi.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { GPUS_MAX = 64, SLOTS_MAX = 16, LISTED_MAX = 4096, SAMPLES_MAX = 4096 };

#define CALLS(X)                                                                         \
    X(nvmlInit_v2)                                                                       \
    X(nvmlShutdown)                                                                      \
    X(nvmlDeviceGetCount_v2)                                                             \
    X(nvmlDeviceGetHandleByIndex_v2)                                                     \
    X(nvmlDeviceGetUUID)                                                                 \
    X(nvmlDeviceGetMemoryInfo_v2)                                                        \
    X(nvmlDeviceGetUtilizationRates)                                                     \
    X(nvmlDeviceGetPowerUsage)                                                           \
    X(nvmlDeviceGetTemperature)                                                          \
    X(nvmlDeviceGetMigMode)                                                              \
    X(nvmlDeviceGetMaxMigDeviceCount)                                                    \
    X(nvmlDeviceGetMigDeviceHandleByIndex)                                               \
    X(nvmlDeviceGetGpuInstanceId)                                                        \
    X(nvmlDeviceGetComputeRunningProcesses_v2)                                           \
    X(nvmlDeviceGetMPSComputeRunningProcesses_v2)                                        \
    X(nvmlDeviceGetProcessUtilization)                                                   \
    X(nvmlGpmQueryDeviceSupport)                                                         \
    X(nvmlGpmSampleAlloc)                                                                \
    X(nvmlGpmMigSampleGet)                                                               \
    X(nvmlGpmMetricsGet)

/* What must be kept of a MIG device between two passes. */
struct slot {
    bool is_known;
    unsigned int gi;
    nvmlGpmSample_t kept, fresh;
};

struct gpu {
    bool is_known;
    bool has_gpm;
    struct slot slots[SLOTS_MAX];
};

struct driver {
#define FIELD(symbol) __typeof__(&(symbol)) symbol;
    CALLS(FIELD)
#undef FIELD
    unsigned long calls;
    nvmlProcessInfo_v2_t list[LISTED_MAX];
    nvmlProcessUtilizationSample_t samples[SAMPLES_MAX];
    nvmlGpmMetricsGet_t metrics;
    struct gpu gpus[GPUS_MAX];
};

#define CALL(driver, symbol, ...) ((driver)->calls++, (driver)->symbol(__VA_ARGS__))

static bool driver_load(struct driver *driver, const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return false;
    void *found;
#define FIND(symbol)                                                                     \
    found = dlsym(library, #symbol);                                                     \
    if (!found)                                                                          \
        return false;                                                                    \
    memcpy(&driver->symbol, &found, sizeof found);
    CALLS(FIND)
#undef FIND
    return true;
}

static void read_file(int dirfd, const char *name)
{
    char content[8192];
    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    while (read(fd, content, sizeof content) > 0)
        continue;
    close(fd);
}

static void read_process(const char *procfs, unsigned int pid)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%u", procfs, pid);
    int dirfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return;
    read_file(dirfd, "stat");
    read_file(dirfd, "status");
    read_file(dirfd, "cgroup");
    read_file(dirfd, "cmdline");
    close(dirfd);
}

static void list_processes(struct driver *driver, nvmlDevice_t gpu, const char *procfs)
{
    unsigned int count = LISTED_MAX;
    if (CALL(driver, nvmlDeviceGetComputeRunningProcesses_v2, gpu, &count,
             driver->list) == NVML_SUCCESS &&
        procfs) {
        for (unsigned int i = 0; i < count; i++)
            read_process(procfs, driver->list[i].pid);
    }
    count = LISTED_MAX;
    (void)CALL(driver, nvmlDeviceGetMPSComputeRunningProcesses_v2, gpu, &count,
               driver->list);
}

static void read_memory(struct driver *driver, nvmlDevice_t device)
{
    nvmlMemory_v2_t memory = {.version = nvmlMemory_v2};
    (void)CALL(driver, nvmlDeviceGetMemoryInfo_v2, device, &memory);
}

static void read_gauges(struct driver *driver, nvmlDevice_t gpu, bool is_mig)
{
    nvmlUtilization_t utilization;
    unsigned int number;
    if (!is_mig)
        (void)CALL(driver, nvmlDeviceGetUtilizationRates, gpu, &utilization);
    (void)CALL(driver, nvmlDeviceGetPowerUsage, gpu, &number);
    (void)CALL(driver, nvmlDeviceGetTemperature, gpu, NVML_TEMPERATURE_GPU, &number);
}

/* The instance's counters, and what they say since those of the pass before. */
static void read_gpm(struct driver *driver, nvmlDevice_t gpu, struct slot *slot)
{
    if (!slot->fresh)
        (void)CALL(driver, nvmlGpmSampleAlloc, &slot->fresh);
    if (CALL(driver, nvmlGpmMigSampleGet, gpu, slot->gi, slot->fresh) != NVML_SUCCESS)
        return;
    if (slot->kept) {
        nvmlGpmMetricsGet_t *get = &driver->metrics;
        get->version = NVML_GPM_METRICS_GET_VERSION;
        get->numMetrics = 3;
        get->sample1 = slot->kept;
        get->sample2 = slot->fresh;
        get->metrics[0].metricId = NVML_GPM_METRIC_GRAPHICS_UTIL;
        get->metrics[1].metricId = NVML_GPM_METRIC_SM_UTIL;
        get->metrics[2].metricId = NVML_GPM_METRIC_DRAM_BW_UTIL;
        (void)CALL(driver, nvmlGpmMetricsGet, get);
    }
    nvmlGpmSample_t older = slot->kept;
    slot->kept = slot->fresh;
    slot->fresh = older;
}

static void read_mig_device(struct driver *driver, nvmlDevice_t gpu, nvmlDevice_t mig,
                            struct slot *slot, bool has_gpm)
{
    char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE];
    (void)CALL(driver, nvmlDeviceGetUUID, mig, uuid, sizeof uuid);
    if (!slot->is_known)
        (void)CALL(driver, nvmlDeviceGetGpuInstanceId, mig, &slot->gi);
    slot->is_known = true;
    read_memory(driver, mig);
    if (has_gpm)
        read_gpm(driver, gpu, slot);
}

static void read_mig_devices(struct driver *driver, nvmlDevice_t gpu, struct gpu *kept)
{
    unsigned int slots = 0;
    (void)CALL(driver, nvmlDeviceGetMaxMigDeviceCount, gpu, &slots);
    if (!kept->is_known) {
        nvmlGpmSupport_t support = {.version = NVML_GPM_SUPPORT_VERSION};
        kept->has_gpm =
            CALL(driver, nvmlGpmQueryDeviceSupport, gpu, &support) == NVML_SUCCESS &&
            support.isSupportedDevice;
        kept->is_known = true;
    }
    for (unsigned int slot = 0; slot < slots && slot < SLOTS_MAX; slot++) {
        nvmlDevice_t mig = NULL;
        if (CALL(driver, nvmlDeviceGetMigDeviceHandleByIndex, gpu, slot, &mig) ==
            NVML_SUCCESS)
            read_mig_device(driver, gpu, mig, &kept->slots[slot], kept->has_gpm);
    }
}

static void read_gpu(struct driver *driver, unsigned int index, const char *procfs)
{
    nvmlDevice_t gpu = NULL;
    char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE];
    unsigned int mode = NVML_DEVICE_MIG_DISABLE, pending;
    if (CALL(driver, nvmlDeviceGetHandleByIndex_v2, index, &gpu) != NVML_SUCCESS)
        return;
    (void)CALL(driver, nvmlDeviceGetUUID, gpu, uuid, sizeof uuid);
    (void)CALL(driver, nvmlDeviceGetMigMode, gpu, &mode, &pending);
    bool is_mig = mode == NVML_DEVICE_MIG_ENABLE;
    if (is_mig)
        read_mig_devices(driver, gpu, &driver->gpus[index]);
    list_processes(driver, gpu, procfs);
    read_memory(driver, gpu);
    read_gauges(driver, gpu, is_mig);
    unsigned int count = SAMPLES_MAX;
    if (!is_mig)
        (void)CALL(driver, nvmlDeviceGetProcessUtilization, gpu, driver->samples, &count,
                   0);
}

static void collect(struct driver *driver, const char *procfs)
{
    unsigned int count = 0;
    (void)CALL(driver, nvmlDeviceGetCount_v2, &count);
    for (unsigned int i = 0; i < count && i < GPUS_MAX; i++)
        read_gpu(driver, i, procfs);
}

static double cpu_seconds(void)
{
    struct timespec spent;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return (double)spent.tv_sec + (double)spent.tv_nsec / 1e9;
}

static void rest(unsigned long milliseconds)
{
    struct timespec pause = {(time_t)(milliseconds / 1000),
                             (long)(milliseconds % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

static void measure(struct driver *driver, unsigned long passes, unsigned long pause_ms,
                    const char *procfs)
{
    for (int i = 0; i < 2; i++) /* learns what does not change, makes both GPM samples */
        collect(driver, procfs);
    driver->calls = 0;
    double spent = 0;
    for (unsigned long i = 0; i < passes; i++) {
        rest(pause_ms);
        double began = cpu_seconds();
        collect(driver, procfs);
        spent += cpu_seconds() - began;
    }
    (void)printf("%.3f %lu\n", spent * 1e6 / (double)passes, driver->calls / passes);
}

int main(int argc, char **argv)
{
    struct driver *driver = calloc(1, sizeof *driver);
    unsigned long passes = argc > 3 ? strtoul(argv[2], NULL, 10) : 0;
    if (!passes) {
        (void)fprintf(stderr, "usage: %s LIBRARY COUNT PAUSE_MS [PROCFS]\n", argv[0]);
        return 2;
    }
    if (!driver || !driver_load(driver, argv[1]) ||
        CALL(driver, nvmlInit_v2) != NVML_SUCCESS) {
        (void)fprintf(stderr, "cannot use %s\n", argv[1]);
        return 1;
    }
    measure(driver, passes, strtoul(argv[3], NULL, 10), argc > 4 ? argv[4] : NULL);
    (void)CALL(driver, nvmlShutdown);
    free(driver);
    return 0;
}
