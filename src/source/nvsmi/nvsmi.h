/*
 * Inside the nvidia-smi source: what its parts share. Nobody else includes this.
 */
#pragma once

#include "source/driver.h"
#include "source/nvsmi/smi_run.h"

#define NVSMI_NAME "nvidia-smi"

struct nvsmi {
    struct driver driver;
    struct arena *arena; /* owns this struct and `program` */
    const char *program;
    bool with_graphics;
    size_t max_sessions;
    struct error_counters *errors;
    struct call_progress *progress;
    unsigned refused_columns; /* bit per enum smi_gpu_column that this nvidia-smi lacks */
};

/* What one collection works on. */
struct nvsmi_collection {
    struct nvsmi *smi;
    struct arena *arena;
    struct driver_facts facts;
    size_t process_capacity;
};

/* One run of nvidia-smi and what it meant. CALL is a literal, for observers and errors;
 * DEVICE is the GPU it is about, or PROGRESS_NO_DEVICE; ARGUMENTS start with the
 * program's name and end with NULL. Return: as smi_failure_judge(). */
int nvsmi_ask(const struct nvsmi *smi, const char *call, uint32_t device,
              const char *const arguments[], struct smi_output *output, struct err *err)
    __attribute__((warn_unused_result));

/* Adds N, where it is not 0, to this source's counter of REASON. */
void nvsmi_count(const struct nvsmi *smi, const char *reason, uint64_t n);

/* Fills ERR for a call that got no memory. Return: -ENOMEM. */
int nvsmi_out_of_memory(struct err *err);

/* Fills the devices. ERR is not NULL. Return: 0, or negative when none could be asked. */
int nvsmi_collect_gpus(struct nvsmi_collection *c, struct err *err)
    __attribute__((warn_unused_result));

/* Fills the processes of the devices, and the devices' process_list.
 * Return: 0 or -ENOMEM: a list that cannot be had is a state of its devices. */
int nvsmi_collect_processes(struct nvsmi_collection *c, struct err *err)
    __attribute__((warn_unused_result));

/* As driver_ops.relist. */
int nvsmi_relist(struct driver *driver, struct arena *arena,
                 const struct driver_facts *facts, enum relist *answers, struct err *err)
    __attribute__((warn_unused_result));
