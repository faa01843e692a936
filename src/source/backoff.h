/*
 * How long to leave a source alone that fails: twice as long each time, up to a bound,
 * spread by chance so that the agents of a cluster do not come back all at once.
 */
#pragma once

#include <stdint.h>

struct backoff {
    uint64_t first_ns;   /* after the first failure */
    uint64_t longest_ns; /* at most */
    unsigned failures;   /* in a row */
};

/* Notes a failure at NOW_NS. Return: when to try again; the distance is between three
 * quarters and five quarters of the doubled one. */
uint64_t backoff_fail(struct backoff *backoff, uint64_t now_ns);

static inline void backoff_succeed(struct backoff *backoff)
{
    backoff->failures = 0;
}
