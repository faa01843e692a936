/*
 * Where the collection is right now, written for an observer in another process.
 *
 * A driver call may never return. The collecting process notes each call here, in memory
 * that it shares with its supervisor, so that the supervisor can name the call and the
 * GPU that stalled, give that process up, and have the next one leave that GPU out.
 */
#pragma once

#include "base/arena.h"

#include <stdatomic.h>
#include <stdint.h>

#define PROGRESS_NO_DEVICE UINT32_MAX

struct call_progress {
    _Atomic uint32_t sequence; /* odd while a call is in progress */
    _Atomic uint32_t device;   /* GPU index the call is about, or PROGRESS_NO_DEVICE */
    /* Name of the call: a string literal, which fork() leaves at the same address. */
    _Atomic(const char *) call;
    /* Bit i: leave GPU i out, its call stalled or crashed. Written by the supervisor. */
    _Atomic uint64_t skip_devices;
    _Atomic uint64_t crashed_devices;     /* of those, the ones whose call crashed */
    _Atomic(const char *) skip_calls[64]; /* per GPU left out: the call that did it */
};

static inline void progress_begin(struct call_progress *progress, const char *call,
                                  uint32_t device)
{
    atomic_store_explicit(&progress->call, call, memory_order_relaxed);
    atomic_store_explicit(&progress->device, device, memory_order_relaxed);
    atomic_fetch_add_explicit(&progress->sequence, 1, memory_order_release);
}

static inline void progress_end(struct call_progress *progress)
{
    atomic_fetch_add_explicit(&progress->sequence, 1, memory_order_release);
}

/* Whether the supervisor wants GPU INDEX left out. */
bool progress_is_left_out(const struct call_progress *progress, uint32_t index);

/* Why, in words: which call did not return or crashed. In ARENA; NULL without memory. */
const char *progress_left_out_reason(const struct call_progress *progress, uint32_t index,
                                     struct arena *arena);
