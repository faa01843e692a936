/*
 * What every driver source offers: the NVML library, or nvidia-smi's text.
 *
 * A source keeps between collections only what a window or a rate needs (the newest
 * sample seen per GPU, GPM samples). All results live in the collection's arena.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/facts.h"
#include "source/errors.h"
#include "source/progress.h"

struct driver_config {
    const char
        *library; /* NVML: path or name to dlopen; NULL looks in the known places */
    const char
        *driver_root;   /* host root under which the known places are searched; "/" */
    const char *smi;    /* nvidia-smi: path of the program; NULL looks in PATH */
    bool with_graphics; /* also list graphics processes */
    size_t max_sessions;
    struct error_counters *errors;  /* counted into, never NULL */
    struct call_progress *progress; /* told of each driver call, never NULL */
};

/* What a person can do about one GPU that is lost or wants a reset, by whatever source
 * says so. */
#define DRIVER_GPU_REMEDY                                                                \
    "stop what uses it and run nvidia-smi --gpu-reset, or restart the node; see dmesg "  \
    "| "                                                                                 \
    "grep -i xid"

/* Whether the driver still lists a process. */
enum relist { RELIST_UNKNOWN = 0, RELIST_WANTED, RELIST_GONE, RELIST_LISTED };

struct driver;

struct driver_ops {
    const char *name; /* the `source` label: "nvml", "nvidia-smi" */

    /* Fills OUT. A device that cannot be read costs only itself (its `fault` is set).
     * Return: 0, or negative when the driver as a whole could not be asked. */
    int (*collect)(struct driver *driver, struct arena *arena, struct driver_facts *out,
                   struct err *err);

    /* Asks the driver again which processes it lists: sets ANSWERS[i] for the entries of
     * FACTS->processes where ANSWERS[i] is RELIST_WANTED on entry: LISTED or GONE, or
     * UNKNOWN where the list could not be had again. FACTS are those of the last collect.
     * Return: 0 or negative (no answer at all). */
    int (*relist)(struct driver *driver, struct arena *arena,
                  const struct driver_facts *facts, enum relist *answers,
                  struct err *err);

    void (*close)(struct driver *driver);
};

/* Embedded as first member by each implementation. */
struct driver {
    const struct driver_ops *ops;
};

static inline void driver_close(struct driver *driver)
{
    if (driver)
        driver->ops->close(driver);
}

/* Loads and initialises NVML. Return: 0; DRIVER_NO_LIBRARY when the library itself cannot
 * be loaded (the one case in which nvidia-smi is worth asking); negative otherwise. */
int nvml_open(const struct driver_config *config, struct driver **out, struct err *err)
    __attribute__((warn_unused_result));
#define DRIVER_NO_LIBRARY 1

/* Finds nvidia-smi. Return: 0 or negative. */
int nvsmi_open(const struct driver_config *config, struct driver **out, struct err *err)
    __attribute__((warn_unused_result));
