/*
 * The NVML source: opening, one collection, asking again who is listed, closing.
 *
 * The library is loaded and initialised once and used from one thread. It is told not to
 * mind a node without GPUs; which GPUs there are is asked anew in every collection.
 */
#include "source/nvml/nvml_source.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "source/nvml/nvml_device.h"
#include "source/nvml/nvml_gpm.h"
#include "source/nvml/nvml_mig.h"
#include "source/nvml/nvml_process.h"
#include "source/nvml/nvml_utilization.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* Ceiling for scratch: what the largest believable lists need, with room for growing. */
#define SCRATCH_BYTES ((size_t)64 * 1024 * 1024)
#define SCRATCH_BYTES_PER_SESSION ((size_t)1024)

static uint64_t system_monotonic_ns(void *context)
{
    (void)context;
    return clock_monotonic_ns();
}

static uint64_t system_wall_us(void *context)
{
    (void)context;
    return clock_wall_us();
}

static void system_sleep_ns(void *context, uint64_t ns)
{
    (void)context;
    struct timespec rest = {(time_t)(ns / UINT64_C(1000000000)),
                            (long)(ns % UINT64_C(1000000000))};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {
    }
}

static const struct nvml_clock system_clock = {
    .monotonic_ns = system_monotonic_ns,
    .wall_us = system_wall_us,
    .sleep_ns = system_sleep_ns,
};

bool nvml_scratch_reserve(struct nvml_source *source, void **items, size_t *capacity,
                          size_t wanted, size_t size, size_t kept)
{
    enum { FIRST_ITEMS = 32 };
    if (wanted <= *capacity)
        return true;
    size_t larger = *capacity ? *capacity * 2 : FIRST_ITEMS;
    if (larger < wanted)
        larger = wanted;
    void *memory = arena_alloc(source->memory, larger, size);
    if (!memory) {
        nvml_error_add(&source->link, "out_of_memory", 1);
        return false;
    }
    if (kept)
        memcpy(memory, *items, kept * size);
    *items = memory;
    *capacity = larger;
    return true;
}

static nvmlReturn_t library_init(struct nvml_link *link)
{
    nvmlReturn_t code = NVML_TRY(link, NULL, nvmlInitWithFlags, NVML_INIT_FLAG_NO_GPUS);
    if (code == NVML_ERROR_FUNCTION_NOT_FOUND || code == NVML_ERROR_INVALID_ARGUMENT ||
        code == NVML_ERROR_NOT_SUPPORTED)
        code = NVML_TRY(link, NULL, nvmlInit_v2);
    return code;
}

/* Initialises the library where that is still to be done. A node without GPUs, which some
 * versions refuse to initialise on, is no error: is_initialized stays false. */
static int source_init(struct nvml_source *source, struct err *err)
{
    if (source->is_initialized)
        return 0;
    struct nvml_link *link = &source->link;
    nvmlReturn_t code = library_init(link);
    if (code == NVML_ERROR_NOT_FOUND || code == NVML_ERROR_GPU_NOT_FOUND)
        return 0;
    if (code != NVML_SUCCESS)
        return nvml_result_error(err, nvml_call_count(link, code),
                                 "cannot initialize NVML");
    source->is_initialized = true;
    char version[sizeof source->driver_version] = "";
    code = NVML_CALL(link, NULL, nvmlSystemGetDriverVersion, version, sizeof version);
    version[sizeof version - 1] = '\0';
    if (code == NVML_SUCCESS)
        memcpy(source->driver_version, version, sizeof version);
    return 0;
}

/* Gives each device its place: each GPU, then its MIG devices by ascending slot. */
static void source_place_devices(struct nvml_source *source)
{
    size_t position = 0;
    for (size_t i = 0; i < source->gpu_count; i++) {
        struct nvml_gpu *gpu = &source->gpus[i];
        gpu->position = position++;
        for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));)
            mig->position = position++;
    }
    source->device_count = position;
}

/* Tells who is alone: counters are those of a whole GPU instance, so nobody is where it
 * has several compute instances. */
static void devices_set_sole(struct nvml_source *source, struct device_facts *devices)
{
    for (size_t i = 0; i < source->gpu_count; i++) {
        struct nvml_gpu *gpu = &source->gpus[i];
        for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));) {
            if (nvml_mig_count_in(gpu, mig->gi) == 1)
                devices[mig->position].sole_pid = mig->sole_pid;
        }
    }
}

/* Asks everything about the GPUs found. */
static void source_read(struct nvml_source *source, struct device_facts *devices)
{
    nvml_process_collect(source);
    nvml_gpm_begin(source);
    nvml_device_read(source, devices);
    for (size_t i = 0; i < source->gpu_count; i++)
        nvml_utilization_read(source, &source->gpus[i]);
    nvml_gpm_finish(source, devices);
    devices_set_sole(source, devices);
}

/* Hands the processes and the rest over to OUT. Return: 0 or -ENOMEM. */
static int source_deliver(const struct nvml_source *source, struct arena *arena,
                          struct device_facts *devices, struct driver_facts *out,
                          struct err *err)
{
    struct process_facts *processes =
        ARENA_NEW(arena, struct process_facts, source->process_count);
    const char *version = arena_copy(arena, str_from(source->driver_version));
    if (!processes || !version)
        return err_errno(err, ENOMEM, "processes");
    if (source->process_count)
        memcpy(processes, source->processes, source->process_count * sizeof *processes);
    *out = (struct driver_facts){
        .driver_version = version[0] ? version : NULL,
        .devices = devices,
        .device_count = source->device_count,
        .processes = processes,
        .process_count = source->process_count,
        .processes_omitted = source->processes_omitted,
    };
    return 0;
}

static int source_collect(struct driver *driver, struct arena *arena,
                          struct driver_facts *out, struct err *err)
{
    struct nvml_source *source = (struct nvml_source *)driver;
    source->gpu_count = 0;
    int rc = source_init(source, err);
    if (rc == 0 && source->is_initialized)
        rc = nvml_device_scan(source, err);
    if (rc < 0)
        return rc;
    source_place_devices(source);
    struct device_facts *devices =
        ARENA_NEW(arena, struct device_facts, source->device_count);
    if (!devices)
        return err_errno(err, ENOMEM, "devices");
    rc = nvml_device_describe(source, arena, devices, err);
    if (rc < 0)
        return rc;
    source_read(source, devices);
    rc = nvml_device_report(source, arena, devices, err);
    if (rc < 0)
        return rc;
    return source_deliver(source, arena, devices, out, err);
}

/* Whether the device at POSITION of GPU was listed in full by nvml_process_list(). */
static bool is_list_known(const struct nvml_gpu *gpu, size_t position)
{
    for (struct nvml_mig *mig = NULL; (mig = nvml_mig_next(gpu, mig));) {
        if (mig->position == position)
            return mig->process_list == VALUE_OK;
    }
    return gpu->process_list == VALUE_OK;
}

/* Asks one GPU again about FACTS' processes [FIRST, END), all on it or its MIG devices.
 * Return: how many of them were answered for. */
static size_t gpu_relist(struct nvml_source *source, struct nvml_gpu *gpu,
                         const struct driver_facts *facts, size_t first, size_t end,
                         enum relist *answers)
{
    bool is_wanted[1 + FACTS_MAX_MIG_PER_GPU] = {false};
    for (size_t i = first; i < end; i++)
        is_wanted[facts->processes[i].device - gpu->position] |=
            answers[i] == RELIST_WANTED;
    nvml_process_list(source, gpu, is_wanted);
    size_t answered = 0;
    for (size_t i = first; i < end; i++) {
        const struct process_facts *process = &facts->processes[i];
        if (answers[i] != RELIST_WANTED)
            continue;
        if (nvml_process_is_listed(source, process->device, process->pid))
            answers[i] = RELIST_LISTED;
        else
            answers[i] =
                is_list_known(gpu, process->device) ? RELIST_GONE : RELIST_UNKNOWN;
        answered += answers[i] != RELIST_UNKNOWN;
    }
    return answered;
}

/* How many answers of [FIRST, END) are wanted. */
static size_t count_wanted(const enum relist *answers, size_t first, size_t end)
{
    size_t wanted = 0;
    for (size_t i = first; i < end; i++)
        wanted += answers[i] == RELIST_WANTED;
    return wanted;
}

/* The facts are those of the last collection: devices are where that one put them. */
static int source_relist(struct driver *driver, struct arena *arena,
                         const struct driver_facts *facts, enum relist *answers,
                         struct err *err)
{
    (void)arena;
    struct nvml_source *source = (struct nvml_source *)driver;
    size_t wanted = count_wanted(answers, 0, facts->process_count);
    size_t answered = 0;
    size_t first = 0;
    for (size_t i = 0; i < source->gpu_count; i++) {
        struct nvml_gpu *gpu = &source->gpus[i];
        size_t end = first;
        while (end < facts->process_count &&
               facts->processes[end].device <= gpu->position + gpu->mig_count)
            end++;
        if (count_wanted(answers, first, end))
            answered += gpu_relist(source, gpu, facts, first, end, answers);
        first = end;
    }
    if (wanted && !answered)
        return err_set(err, EIO, ERR_NONE, 0, "no GPU lists its processes again");
    return 0;
}

static void source_close(struct driver *driver)
{
    struct nvml_source *source = (struct nvml_source *)driver;
    for (size_t i = 0; i < FACTS_MAX_GPUS; i++)
        nvml_gpm_drop(source, &source->gpus[i]);
    if (source->is_initialized)
        (void)NVML_CALL(&source->link, NULL, nvmlShutdown);
    nvml_api_unload(&source->link.api);
    arena_free(source->memory);
}

static const struct driver_ops source_ops = {
    .name = NVML_ERROR_SOURCE,
    .collect = source_collect,
    .relist = source_relist,
    .close = source_close,
};

int nvml_source_open(const struct nvml_api *api, const struct nvml_clock *clock,
                     const struct driver_config *config, struct driver **out,
                     struct err *err)
{
    CLEANUP(arena_freep)
    struct arena *memory =
        arena_new(SCRATCH_BYTES + config->max_sessions * SCRATCH_BYTES_PER_SESSION);
    struct nvml_source *source = memory ? ARENA_NEW(memory, struct nvml_source, 1) : NULL;
    if (!source)
        return err_errno(err, ENOMEM, "NVML");
    source->driver.ops = &source_ops;
    source->link.api = *api;
    source->link.progress = config->progress;
    source->link.errors = config->errors;
    source->clock = clock ? *clock : system_clock;
    source->with_graphics = config->with_graphics;
    source->max_sessions = config->max_sessions;
    int rc = source_init(source, err);
    if (rc < 0)
        return rc;
    source->memory = TAKE(memory);
    *out = &source->driver;
    return 0;
}

int nvml_open(const struct driver_config *config, struct driver **out, struct err *err)
{
    struct nvml_api api;
    int rc = nvml_api_load(config->library, config->driver_root, &api, err);
    if (rc == NVML_API_NOT_LOADED)
        return DRIVER_NO_LIBRARY;
    if (rc < 0)
        return rc;
    rc = nvml_source_open(&api, NULL, config, out, err);
    if (rc < 0)
        nvml_api_unload(&api);
    return rc;
}
