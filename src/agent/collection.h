/*
 * What one collection gives a command: the rendered bytes, and words for the log.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "model/snapshot.h"

/* Ceilings of what is rendered: a page, and one line per source or device in trouble. */
#define COLLECTION_BODY_BYTES ((size_t)64 << 20)
#define COLLECTION_NOTES_BYTES ((size_t)64 << 10)

struct collection {
    struct buf body;  /* what the command prints */
    struct buf notes; /* a line per source that is down or limited: "nvml: …" */
    bool is_answered; /* the collecting process gave this; else it hung or crashed */
    bool is_complete; /* the driver and procfs answered: exit status 0 */
};

#define COLLECTION_INIT                                                                  \
    {                                                                                    \
        .body = BUF_INIT(COLLECTION_BODY_BYTES),                                         \
        .notes = BUF_INIT(COLLECTION_NOTES_BYTES)                                        \
    }

/* Releases the bytes. */
void collection_done(struct collection *collection);

/* Turns a snapshot into the bytes that a command wants; CONTEXT is the command's own.
 * Return: 0 or negative. */
typedef int collection_renderer(const struct snapshot *snapshot, const void *context,
                                struct buf *out);

/* Fills OUT anew. Return: 0, or -ENOMEM when the output has no room or no memory. */
int collection_render(struct collection *out, const struct snapshot *snapshot,
                      collection_renderer *render, const void *context, struct err *err)
    __attribute__((warn_unused_result));
