/*
 * Exported calls about the library and the system: init, versions, error texts, names of
 * processes.
 */
#include "sim/driver/call.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

nvmlReturn_t nvmlInit_v2(void)
{
    return driver_start(__func__);
}

nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    REQUIRE((flags & ~(unsigned)(NVML_INIT_FLAG_NO_GPUS | NVML_INIT_FLAG_NO_ATTACH |
                                 NVML_INIT_FLAG_FORCE_INIT)) == 0);
    return driver_start(__func__);
}

/* Attached all GPUs and failed when one of them did. */
nvmlReturn_t nvmlInit(void)
{
    TRY(driver_start(__func__));
    const struct node_map *map = driver_map();
    for (uint32_t i = 0; i < map->gpu_count; i++) {
        nvmlReturn_t lost = gpu_lost(&map->gpus[i]);
        if (lost != NVML_SUCCESS) {
            (void)driver_stop("nvmlShutdown");
            return lost;
        }
    }
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlShutdown(void)
{
    return driver_stop(__func__);
}

const char *nvmlErrorString(nvmlReturn_t result)
{
    static const char *const texts[] = {
        "Success",
        "Uninitialized",
        "Invalid Argument",
        "Not Supported",
        "Insufficient Permissions",
        "Already Initialized",
        "Not Found",
        "Insufficient Size",
        "Insufficient External Power",
        "Driver Not Loaded",
        "Timeout",
        "Interrupt Request Issue",
        "NVML Shared Library Not Found",
        "Function Not Found",
        "Corrupted infoROM",
        "GPU is lost",
        "GPU requires reset",
        "GPU access blocked by the operating system",
        "Driver/library version mismatch",
        "In use by another client",
        "Insufficient Memory",
        "No data",
        "vGPU ECC is not supported",
        "Insufficient Resources",
        "Frequency is not supported",
        "Argument version mismatch",
        "Requested functionality has been deprecated",
        "System is not in ready state",
        "No GPUs were found",
        "Invalid state",
        "Reset type is not supported",
    };
    size_t at = (size_t)result;
    return at < ARRAY_LENGTH(texts) ? texts[at] : "Unknown Error";
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    struct call call;
    TRY(call_begin(&call, __func__));
    return text_put(version, length, call.map->state->driver_version);
}

nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
    struct call call;
    TRY(call_begin(&call, __func__));
    const struct node_state *state = call.map->state;
    char text[sizeof(state->driver_version) + 16];
    (void)snprintf(text, sizeof(text), "%u.%s", state->cuda_version / 1000,
                   state->driver_version);
    return text_put(version, length, text);
}

static nvmlReturn_t cuda_version_get(const char *symbol, int *version)
{
    struct call call;
    TRY(call_begin(&call, symbol));
    REQUIRE(version);
    *version = (int)call.map->state->cuda_version;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version)
{
    return cuda_version_get(__func__, version);
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    return cuda_version_get(__func__, version);
}

/* The first argument of the process in the tree beside node.state. Cut, not refused,
 * where LENGTH is too short. */
nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length)
{
    struct call call;
    TRY(call_begin(&call, __func__));
    REQUIRE(name && length > 0);
    char path[NODE_FOLDER_BYTES + 32];
    (void)snprintf(path, sizeof(path), "%s/proc/%u/cmdline", call.map->folder, pid);
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? NVML_ERROR_NO_PERMISSION : NVML_ERROR_NOT_FOUND;
    ssize_t n = read(fd, name, length - 1);
    if (n <= 0)
        return NVML_ERROR_NOT_FOUND;
    name[n] = '\0';
    return NVML_SUCCESS;
}
