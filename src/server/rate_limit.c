/*
 * The bucket is kept as the time at which it will be full: no refilling, no rounding.
 */
#include "server/rate_limit.h"

bool rate_limit_take(struct rate_limit *limit, uint64_t now_ns)
{
    if (limit->interval_ns == 0)
        return true;
    uint64_t full_at = limit->full_at_ns > now_ns ? limit->full_at_ns : now_ns;
    /* Tokens that are out, counted in time; each one more than burst is refused. */
    if (limit->burst == 0 || full_at - now_ns > (limit->burst - 1) * limit->interval_ns)
        return false;
    limit->full_at_ns = full_at + limit->interval_ns;
    return true;
}
