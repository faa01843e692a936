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
#include <string.h>

#define PROGRESS_NO_DEVICE UINT32_MAX

enum { PROGRESS_CALL_BYTES = 56, PROGRESS_MAX_PROCESSES = 16 };

struct call_progress {
    _Atomic uint64_t began_ns; /* monotonic; when the supervisor began this collection */
    _Atomic uint32_t sequence; /* odd while a call is in progress */
    _Atomic uint32_t device;   /* GPU index the call is about, or PROGRESS_NO_DEVICE */
    _Atomic uint32_t pid;      /* process whose /proc files are being read, or 0 */
    /* Bit i: leave GPU i out, its call stalled or crashed. Written by the supervisor. */
    _Atomic uint64_t skip_devices;
    _Atomic uint64_t crashed_devices; /* of those, the ones whose call crashed */
    /* Names, not pointers: the collecting process may have gone mad before it ended. */
    char call[PROGRESS_CALL_BYTES];           /* in progress, or the last one */
    char skip_calls[64][PROGRESS_CALL_BYTES]; /* per GPU left out: which call it was */
    /* Processes whose files did not answer (a driver that faults holds a lock that
     * reading them wants); 0: free place. Written by the supervisor. */
    _Atomic uint32_t skip_pids[PROGRESS_MAX_PROCESSES];
};

static inline void progress_begin(struct call_progress *progress, const char *call,
                                  uint32_t device)
{
    size_t n = strnlen(call, PROGRESS_CALL_BYTES - 1);
    memcpy(progress->call, call, n);
    progress->call[n] = '\0';
    atomic_store_explicit(&progress->device, device, memory_order_relaxed);
    atomic_store_explicit(&progress->pid, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&progress->sequence, 1, memory_order_release);
}

/* As progress_begin(), around the reading of one process's files. */
static inline void progress_begin_process(struct call_progress *progress, uint32_t pid)
{
    progress_begin(progress, "reading /proc", PROGRESS_NO_DEVICE);
    atomic_store_explicit(&progress->pid, pid, memory_order_relaxed);
}

static inline void progress_end(struct call_progress *progress)
{
    atomic_fetch_add_explicit(&progress->sequence, 1, memory_order_release);
}

/* Whether the supervisor wants GPU INDEX left out. */
bool progress_is_left_out(const struct call_progress *progress, uint32_t index);

/* Whether the files of process PID are to be left alone. */
bool progress_is_process_left_out(const struct call_progress *progress, uint32_t pid);

/* Why, in words: which call did not return or crashed. In ARENA; NULL without memory. */
const char *progress_left_out_reason(const struct call_progress *progress, uint32_t index,
                                     struct arena *arena);
