/*
 * Counters of what went wrong, by source and reason: gpu_session_collect_errors_total.
 *
 * Fixed size and free of pointers into any heap, so that they can lie in memory shared
 * with the supervisor and outlive a collecting process that crashed. Source and reason
 * are words of this program, never text from outside.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { ERROR_COUNTERS_MAX = 64, ERROR_WORD_BYTES = 32 };

struct error_counters {
    size_t count;
    struct {
        char source[ERROR_WORD_BYTES];
        char reason[ERROR_WORD_BYTES];
        uint64_t value;
    } entries[ERROR_COUNTERS_MAX];
};

/* Entries in use; never past the table, whatever a damaged process left behind. */
static inline size_t errors_count(const struct error_counters *errors)
{
    return errors->count < ERROR_COUNTERS_MAX ? errors->count : ERROR_COUNTERS_MAX;
}

/* Adds N to the counter of (SOURCE, REASON). When the table is full, what does not fit is
 * added to an entry ("other", "other"). */
void errors_add(struct error_counters *errors, const char *source, const char *reason,
                uint64_t n);
