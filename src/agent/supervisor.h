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
#include "agent/cycle.h"

#include <sys/types.h>

struct supervisor;

/* RENDER runs in the worker, or here for a node whose driver did not answer. MEMORY
 * (NULL: none) is shared between processes and outlives the supervisor. The first worker
 * is started by the first collection. Return: NULL when memory is gone. */
struct supervisor *supervisor_new(const struct config *config,
                                  collection_renderer *render, const void *context,
                                  struct cycle_memory *memory);

/* Ends the worker, at the latest after the time that one driver call may take. Accepts
 * NULL. */
void supervisor_free(struct supervisor *supervisor);

/* Called while a collection is waited for, at least ten times a second. Return: false to
 * give the collection up: the worker is killed and the program is about to end. */
typedef bool supervisor_tick(void *context);
void supervisor_set_tick(struct supervisor *supervisor, supervisor_tick *tick,
                         void *context);

/* Ends the worker, and with it whatever it holds open of the driver; the next collection
 * starts another, without the pause that failures before may have asked for, and asks for
 * all GPUs again. */
void supervisor_end_worker(struct supervisor *supervisor);

/* The memory that it shares with its workers, of *BYTES bytes. */
void *supervisor_memory(const struct supervisor *supervisor, size_t *bytes);

/* The worker's pid; 0: none is running. */
pid_t supervisor_worker(const struct supervisor *supervisor);

/* The counters of what went wrong. To be added to only between collections: the
 * collecting process adds to them, too. */
struct error_counters *supervisor_errors(struct supervisor *supervisor);

static inline void supervisor_freep(struct supervisor **supervisor)
{
    supervisor_free(*supervisor);
}

/* Fills OUT anew; driver calls are given up so that this takes about config->timeout_ns
 * at most. After several collections without an answer, the next attempts keep a growing
 * distance. Return: 0, also when the driver is down and OUT says so; negative when
 * nothing could be rendered at all. */
int supervisor_collect(struct supervisor *supervisor, struct collection *out,
                       struct err *err) __attribute__((warn_unused_result));

/* As supervisor_collect() for a node whose driver is not to be asked now; REASON is put
 * on its source. */
int supervisor_collect_without_driver(struct supervisor *supervisor, const char *reason,
                                      struct collection *out, struct err *err)
    __attribute__((warn_unused_result));
