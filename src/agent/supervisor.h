/*
 * Collecting in a process of its own, under a deadline.
 *
 * A driver call can block for ever, beyond the reach of any signal, and the driver's
 * library can crash. So a child process (worker.h) asks the driver and renders the
 * answer; this side waits, and when a call takes too long it gives the worker up,
 * remembers which call of which GPU it was, and starts another one that leaves that GPU
 * out for a while. A worker stuck in the kernel is abandoned, and only so many of them
 * are allowed.
 */
#pragma once

#include "agent/collection.h"
#include "agent/config.h"

struct supervisor;

/* RENDER runs in the worker, or here for a node whose driver did not answer. The first
 * worker is started by the first collection. Return: NULL when memory is gone. */
struct supervisor *supervisor_new(const struct config *config,
                                  collection_renderer *render, const void *context);

/* Ends the worker, at the latest after the time that one driver call may take. Accepts
 * NULL. */
void supervisor_free(struct supervisor *supervisor);

static inline void supervisor_freep(struct supervisor **supervisor)
{
    supervisor_free(*supervisor);
}

/* Fills OUT anew; driver calls are given up so that this takes about config->timeout_ns
 * at most. Return: 0, also when the driver is down and OUT says so; negative when nothing
 * could be rendered at all. */
int supervisor_collect(struct supervisor *supervisor, struct collection *out,
                       struct err *err) __attribute__((warn_unused_result));
