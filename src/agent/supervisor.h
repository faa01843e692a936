/*
 * Collecting in a process of its own, under a deadline.
 *
 * A driver call can block for ever, beyond the reach of any signal, and the driver's
 * library can crash. So a child process (the worker) asks the driver and renders the
 * answer; this side waits, and when the time is up it gives the worker up, says which
 * call did not return, and starts another one that leaves that GPU out. A worker stuck in
 * the kernel is abandoned: it holds no descriptor of ours and is in a session of its own,
 * so nobody who waits for this program waits for it.
 */
#pragma once

#include "agent/config.h"
#include "base/buf.h"
#include "model/snapshot.h"

/* Turns a snapshot into the bytes that the command wants; CONTEXT is the command's own.
 * Runs in the worker, or in the supervisor for a node whose driver did not answer.
 * Return: 0 or negative. */
typedef int supervisor_render(const struct snapshot *snapshot, const void *context,
                              struct buf *out);

struct supervisor;

/* Return: NULL when memory is gone. The first worker is started by the first collection.
 */
struct supervisor *supervisor_new(const struct config *config, supervisor_render *render,
                                  const void *context);

/* Ends the worker (at the latest after a driver call's time limit). Accepts NULL. */
void supervisor_free(struct supervisor *supervisor);

static inline void supervisor_freep(struct supervisor **supervisor)
{
    supervisor_free(*supervisor);
}

struct collection {
    struct buf body;  /* what the command prints */
    struct buf notes; /* a line per source that is down: "nvml: …" */
    bool is_complete; /* the driver and procfs answered: exit status 0 */
};

/* Resets OUT and fills it within config->timeout_ns. Return: 0; negative when nothing
 * could be rendered at all. */
int supervisor_collect(struct supervisor *supervisor, struct collection *out,
                       struct err *err) __attribute__((warn_unused_result));
