/*
 * One collection: ask the sources, join their facts into a snapshot.
 *
 * Runs in the collecting process (see supervisor.h), because a driver call may never
 * return. A source that fails costs its own part and is named in the snapshot; it is
 * tried again at the next collection.
 */
#pragma once

#include "agent/config.h"
#include "model/daemon_status.h"
#include "model/snapshot.h"
#include "model/tracker.h"
#include "source/errors.h"
#include "source/progress.h"

struct cycle;

/* What the collections of a daemon have in common, whichever process they run in. The
 * pointers are each process's own; what they point at is shared, and may be damaged by a
 * driver library that writes anywhere. */
struct cycle_memory {
    void *tracker; /* tracker_bytes(config->max_sessions) bytes, zeroed at first */
    struct daemon_status *status;
    double *answered_at_seconds; /* Unix time of the last answered collection; 0: none */
};

/* What a cycle shares with its supervisor; outlives the cycle. */
struct cycle_shared {
    struct error_counters *errors;
    struct call_progress *progress;
    struct cycle_memory *memory; /* NULL: collections stand for themselves */
};

/* Return: NULL when memory is gone. */
struct cycle *cycle_new(const struct config *config, const struct cycle_shared *shared);

void cycle_free(struct cycle *cycle);

/**
 * cycle_run() - collect once
 *
 * Return: a snapshot in which sources may be down, valid until the next call or
 * cycle_free(); NULL without memory.
 */
const struct snapshot *cycle_run(struct cycle *cycle, struct err *err)
    __attribute__((warn_unused_result));

/* Closes the driver when the configuration wants it closed after a collection like the
 * last one (--driver.hold). To be called when the snapshot has been used: closing, too,
 * may never return. */
void cycle_let_go(struct cycle *cycle);

/**
 * cycle_run_without_driver() - the snapshot of a node whose driver did not answer
 * @reason: words for a person, put on the driver's source
 *
 * Asks nobody at all, not even /proc, which can block too: it is safe in the supervisor.
 * Return: as cycle_run().
 */
const struct snapshot *cycle_run_without_driver(struct cycle *cycle, const char *reason,
                                                struct err *err)
    __attribute__((warn_unused_result));
