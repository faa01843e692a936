/*
 * What the server turned away, counted in memory that the collecting side reads.
 *
 * The server writes, the other process only reads; single words, so no lock.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum server_refusal {
    REFUSED_CONNECTIONS,  /* idle connections dropped for a newcomer at the bound */
    REFUSED_SLOW,         /* requests that did not come to their end in time */
    REFUSED_METHOD,       /* neither GET nor HEAD */
    REFUSED_UNAUTHORIZED, /* wrong or no password */
    REFUSED_BUSY,         /* passwords waiting to be checked, at the bound */
    REFUSED_RATE,         /* rate_limit of the web configuration */
    REFUSED_MALFORMED,    /* not HTTP, or larger than the bounds allow */
    REFUSED_CONFIG,       /* a changed web configuration that is not valid, left unused */
    REFUSED_COUNT,
};

struct server_counters {
    _Atomic uint64_t refused[REFUSED_COUNT];
};

/* The `reason` label. */
const char *server_refusal_name(enum server_refusal reason);

static inline void server_count(struct server_counters *counters,
                                enum server_refusal reason)
{
    atomic_fetch_add_explicit(&counters->refused[reason], 1, memory_order_relaxed);
}
