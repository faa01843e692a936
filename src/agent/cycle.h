/*
 * One collection: ask the sources, join their facts into a snapshot.
 *
 * Runs in the collecting process (see supervisor.h), because a driver call may never
 * return. A source that fails costs its own part and is named in the snapshot; it is
 * tried again at the next collection.
 */
#pragma once

#include "agent/config.h"
#include "model/snapshot.h"
#include "source/errors.h"
#include "source/progress.h"

struct cycle;

/* ERRORS and PROGRESS are shared with the supervisor and outlive the cycle.
 * Return: NULL when memory is gone. */
struct cycle *cycle_new(const struct config *config, struct error_counters *errors,
                        struct call_progress *progress);

void cycle_free(struct cycle *cycle);

/* For the daemon: TRACKER (tracker_init()) takes in each snapshot, which shows DAEMON as
 * it is then. Both outlive the cycle; either may be NULL, as it is without this call. */
void cycle_set_daemon(struct cycle *cycle, struct tracker *tracker,
                      const struct daemon_status *daemon);

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
 * Asks no driver, so it is safe in the supervisor. Return: as cycle_run().
 */
const struct snapshot *cycle_run_without_driver(struct cycle *cycle, const char *reason,
                                                struct err *err)
    __attribute__((warn_unused_result));
