/*
 * The collecting process: asks the driver and /proc, renders, answers its supervisor.
 */
#pragma once

#include "agent/collection.h"
#include "agent/config.h"
#include "agent/cycle.h"
#include "source/errors.h"
#include "source/progress.h"

#include <sys/types.h>

/* Memory that the worker shares with its supervisor, and that outlives it. */
struct worker_shared {
    struct call_progress progress;
    struct error_counters errors;
};

struct worker_job {
    const struct config *config;
    collection_renderer *render;
    const void *context; /* of `render` */
    struct worker_shared *shared;
    struct cycle_memory *memory; /* NULL: collections stand for themselves */
};

/* What the job's cycles share with the supervisor. */
static inline struct cycle_shared worker_cycle_shared(const struct worker_job *job)
{
    return (struct cycle_shared){&job->shared->errors, &job->shared->progress,
                                 job->memory};
}

/* The answer to one byte of asking: this, then body and notes. When `rc` is negative
 * there is no page, and the body is a message that says why. */
struct worker_answer {
    int64_t rc;
    uint64_t is_complete;
    uint64_t body_bytes;
    uint64_t notes_bytes;
};

/* Runs in the new process until ASK_FD is at its end; SUPERVISOR is the parent's pid.
 * Return: the exit status. */
int worker_run(const struct worker_job *job, int ask_fd, int answer_fd, pid_t supervisor);
