/*
 * The simulated node's time: two clocks that agree with each other.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct node_clock {
    uint64_t epoch_us;     /* Unix time at which the scenario begins */
    double uptime_seconds; /* what /proc/uptime said at that moment */
    bool is_frozen;        /* time stands still there */
};

/* Unix time at which the node booted: btime of /proc/stat. */
static inline uint64_t node_clock_boot_seconds(const struct node_clock *clock)
{
    uint64_t uptime = (uint64_t)clock->uptime_seconds;
    uint64_t now = clock->epoch_us / 1000000U;
    return now > uptime ? now - uptime : 0;
}
