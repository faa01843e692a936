/*
 * A token bucket: BURST requests at once, then one for each interval.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rate_limit {
    uint64_t interval_ns; /* 0: no limit */
    uint64_t burst;
    uint64_t full_at_ns; /* when the bucket will be, or was, full again */
};

/* May a request pass at NOW? Takes its token. NOW never runs backwards. */
bool rate_limit_take(struct rate_limit *limit, uint64_t now_ns);
