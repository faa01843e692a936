/* One table of the published return codes, in order; anything else is an unknown number.
 */
#include "source/nvml/nvml_result.h"

#include "base/cleanup.h"
#include "source/driver.h"

#include <errno.h>
#include <stdio.h>

struct meaning {
    int code;
    enum value_state state;
    enum nvml_reach reach;
    const char *word;
    const char *text;
    const char *remedy; /* what a person can do; NULL where nothing is known */
};

static const char remedy_access[] =
    "give this user or container access to /dev/nvidiactl and /dev/nvidia*";

static const struct meaning meanings[] = {
    {0, VALUE_OK, NVML_REACH_CALL, "success", "Success", NULL},
    {1, VALUE_ERROR, NVML_REACH_SESSION, "uninitialized", "Uninitialized",
     "the driver was probably reloaded: start again"},
    {2, VALUE_ERROR, NVML_REACH_CALL, "invalid_argument", "Invalid argument", NULL},
    {3, VALUE_UNSUPPORTED, NVML_REACH_CALL, "not_supported", "Not supported", NULL},
    {4, VALUE_DENIED, NVML_REACH_CALL, "no_permission", "Insufficient permissions",
     remedy_access},
    {5, VALUE_ERROR, NVML_REACH_CALL, "already_initialized", "Already initialized", NULL},
    {6, VALUE_ERROR, NVML_REACH_CALL, "not_found", "Not found", NULL},
    {7, VALUE_ERROR, NVML_REACH_CALL, "insufficient_size", "Insufficient size", NULL},
    {8, VALUE_ERROR, NVML_REACH_GPU, "insufficient_power", "Insufficient external power",
     "connect the GPU's power cables"},
    {9, VALUE_ERROR, NVML_REACH_SESSION, "driver_not_loaded", "Driver not loaded",
     "load the kernel module (modprobe nvidia), or install the driver for this kernel"},
    {10, VALUE_ERROR, NVML_REACH_CALL, "timeout", "Timeout", NULL},
    {11, VALUE_ERROR, NVML_REACH_GPU, "irq_issue", "Interrupt request issue",
     "restart the node; see dmesg | grep -i nvrm"},
    {12, VALUE_ERROR, NVML_REACH_CALL, "library_not_found", "Shared library not found",
     "the driver's installation is incomplete: install it again"},
    {13, VALUE_UNSUPPORTED, NVML_REACH_CALL, "function_not_found", "Function not found",
     NULL},
    {14, VALUE_ERROR, NVML_REACH_CALL, "corrupted_inforom", "Corrupted infoROM", NULL},
    {15, VALUE_ERROR, NVML_REACH_GPU, "gpu_is_lost", "GPU is lost", DRIVER_GPU_REMEDY},
    {16, VALUE_ERROR, NVML_REACH_GPU, "reset_required", "GPU requires reset",
     DRIVER_GPU_REMEDY},
    {17, VALUE_ERROR, NVML_REACH_SESSION, "operating_system",
     "GPU access blocked by the operating system", remedy_access},
    {18, VALUE_ERROR, NVML_REACH_SESSION, "lib_rm_version_mismatch",
     "Driver/library version mismatch",
     "the library was updated under a running kernel module: reboot, or reload the "
     "nvidia "
     "module"},
    {19, VALUE_ERROR, NVML_REACH_CALL, "in_use", "In use by another client", NULL},
    {20, VALUE_ERROR, NVML_REACH_CALL, "memory", "Insufficient memory", NULL},
    {21, VALUE_ERROR, NVML_REACH_CALL, "no_data", "No data", NULL},
    {22, VALUE_ERROR, NVML_REACH_CALL, "vgpu_ecc_not_supported", "vGPU ECC not supported",
     NULL},
    {23, VALUE_ERROR, NVML_REACH_CALL, "insufficient_resources", "Insufficient resources",
     NULL},
    {24, VALUE_ERROR, NVML_REACH_CALL, "freq_not_supported", "Frequency not supported",
     NULL},
    {25, VALUE_UNSUPPORTED, NVML_REACH_CALL, "argument_version_mismatch",
     "Argument version mismatch", NULL},
    {26, VALUE_UNSUPPORTED, NVML_REACH_CALL, "deprecated", "Deprecated", NULL},
    {27, VALUE_ERROR, NVML_REACH_SESSION, "not_ready", "System is not ready",
     "confidential computing may still be setting the GPUs up: try again"},
    {28, VALUE_ERROR, NVML_REACH_SESSION, "gpu_not_found", "GPU not found", NULL},
    {29, VALUE_ERROR, NVML_REACH_CALL, "invalid_state", "Invalid state", NULL},
    {30, VALUE_ERROR, NVML_REACH_CALL, "reset_type_not_supported",
     "Reset type not supported", NULL},
    {999, VALUE_ERROR, NVML_REACH_CALL, "unknown", "Unknown error",
     "in a container, its access to /dev/nvidia* was probably taken away (device "
     "cgroup): "
     "start the container again; on a host, see dmesg"},
};

static const struct meaning other = {-1,           VALUE_ERROR, NVML_REACH_CALL,
                                     "other_code", NULL,        NULL};

static const struct meaning *meaning_of(nvmlReturn_t code)
{
    for (size_t i = 0; i < ARRAY_LENGTH(meanings); i++) {
        if (meanings[i].code == (int)code)
            return &meanings[i];
    }
    return &other;
}

const char *nvml_result_word(nvmlReturn_t code)
{
    return meaning_of(code)->word;
}

enum nvml_reach nvml_result_reach(nvmlReturn_t code)
{
    return meaning_of(code)->reach;
}

enum value_state nvml_result_state(nvmlReturn_t code)
{
    return meaning_of(code)->state;
}

void nvml_result_text(nvmlReturn_t code, char *text, size_t bytes)
{
    const char *words = meaning_of(code)->text;
    if (words)
        (void)snprintf(text, bytes, "%s (NVML %d)", words, (int)code);
    else
        (void)snprintf(text, bytes, "NVML %d", (int)code);
}

const char *nvml_result_remedy(nvmlReturn_t code)
{
    return meaning_of(code)->remedy;
}

static int errno_of(nvmlReturn_t code)
{
    switch (nvml_result_state(code)) {
    case VALUE_UNSUPPORTED: return EOPNOTSUPP;
    case VALUE_DENIED: return EACCES;
    case VALUE_UNSET:
    case VALUE_OK:
    case VALUE_ERROR: break;
    }
    return nvml_result_reach(code) == NVML_REACH_CALL ? EIO : ENODEV;
}

int nvml_result_error(struct err *err, nvmlReturn_t code, const char *what)
{
    char text[64];
    nvml_result_text(code, text, sizeof text);
    const char *remedy = nvml_result_remedy(code);
    return err_set(err, errno_of(code), ERR_NVML, (int)code, "%s: %s%s%s", what, text,
                   remedy ? "; " : "", remedy ? remedy : "");
}
