/*
 * The floor of a collection: the driver calls that a steady collection makes, in a bare
 * loop, and nothing else. What a program needs beyond this is its own cost.
 *
 *   floor LIBRARY COUNT           the driver's calls, COUNT times
 *   floor LIBRARY COUNT PROCFS    and, for each listed process, the least that must be
 *                                 read of a new one: stat, status, cgroup and cmdline
 *
 * Prints the CPU time (user and system) of one pass in microseconds, and how many driver
 * calls it made: scripts/bench.py checks that the program makes as many.
 */
#include "source/nvml/nvml_abi.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LISTED_MAX = 4096, SAMPLES_MAX = 4096 };

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
    X(nvmlDeviceGetComputeRunningProcesses_v2)                                           \
    X(nvmlDeviceGetMPSComputeRunningProcesses_v2)                                        \
    X(nvmlDeviceGetProcessUtilization)

struct driver {
#define FIELD(symbol) __typeof__(&(symbol)) symbol;
    CALLS(FIELD)
#undef FIELD
    unsigned long calls;
    nvmlProcessInfo_v2_t list[LISTED_MAX];
    nvmlProcessUtilizationSample_t samples[SAMPLES_MAX];
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

static void read_mig_devices(struct driver *driver, nvmlDevice_t gpu)
{
    unsigned int slots = 0;
    (void)CALL(driver, nvmlDeviceGetMaxMigDeviceCount, gpu, &slots);
    for (unsigned int slot = 0; slot < slots; slot++) {
        nvmlDevice_t mig;
        char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE];
        if (CALL(driver, nvmlDeviceGetMigDeviceHandleByIndex, gpu, slot, &mig) !=
            NVML_SUCCESS)
            continue;
        (void)CALL(driver, nvmlDeviceGetUUID, mig, uuid, sizeof uuid);
        read_memory(driver, mig);
    }
}

static void read_gpu(struct driver *driver, unsigned int index, const char *procfs)
{
    nvmlDevice_t gpu;
    char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE];
    unsigned int mode = NVML_DEVICE_MIG_DISABLE, pending;
    if (CALL(driver, nvmlDeviceGetHandleByIndex_v2, index, &gpu) != NVML_SUCCESS)
        return;
    (void)CALL(driver, nvmlDeviceGetUUID, gpu, uuid, sizeof uuid);
    (void)CALL(driver, nvmlDeviceGetMigMode, gpu, &mode, &pending);
    bool is_mig = mode == NVML_DEVICE_MIG_ENABLE;
    if (is_mig)
        read_mig_devices(driver, gpu);
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
    for (unsigned int i = 0; i < count; i++)
        read_gpu(driver, i, procfs);
}

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    struct driver *driver = calloc(1, sizeof *driver);
    unsigned long passes = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    const char *procfs = argc > 3 ? argv[3] : NULL;
    if (!passes) {
        (void)fprintf(stderr, "usage: %s LIBRARY COUNT [PROCFS]\n", argv[0]);
        return 2;
    }
    if (!driver || !driver_load(driver, argv[1]) ||
        CALL(driver, nvmlInit_v2) != NVML_SUCCESS) {
        (void)fprintf(stderr, "cannot use %s\n", argv[1]);
        return 1;
    }
    collect(driver, procfs); /* warms the caches */
    driver->calls = 0;
    double began = cpu_seconds();
    for (unsigned long i = 0; i < passes; i++)
        collect(driver, procfs);
    (void)printf("%.3f %lu\n", (cpu_seconds() - began) * 1e6 / (double)passes,
                 driver->calls / passes);
    (void)CALL(driver, nvmlShutdown);
    free(driver);
    return 0;
}
