/*
 * What the daemon knows of itself, for its own metrics. Plain facts, filled by agent/.
 *
 * Lies in memory that a collecting process, whose driver library may write anywhere, can
 * damage: no pointers, and who reads it keeps to the bounds.
 */
#pragma once

#include "model/value.h"

#include <stddef.h>

enum { REFUSALS_MAX = 16, REFUSAL_WORD_BYTES = 32 };

struct refusal_count {
    char reason[REFUSAL_WORD_BYTES]; /* a word of a bounded set */
    uint64_t count;
};

/* All processes of the daemon together. */
struct process_usage {
    struct value_double cpu_seconds; /* ended children included */
    struct value_u64 resident_bytes; /* shared pages count in each process */
    struct value_u64 virtual_bytes;
    /* Of the one process that is nearest to its limit. */
    struct value_u64 open_descriptors;
    struct value_u64 max_descriptors;
    struct value_double start_time_seconds; /* Unix time */
};

struct daemon_status {
    uint64_t collections; /* begun, the one that shows this included */
    uint64_t
        collector_restarts_crashed; /* collecting processes that ended by themselves */
    uint64_t collector_restarts_timeout; /* … that did not answer in time */
    uint64_t collectors_stuck;           /* … killed, but still held by the kernel */
    uint64_t server_restarts;
    bool is_driver_released; /* on request, see --driver.hold */
    struct process_usage usage;
    struct refusal_count refusals[REFUSALS_MAX];
    size_t refusal_count;
};
