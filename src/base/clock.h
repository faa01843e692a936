/*
 * The two clocks of the system, read in one place. Pure code takes time as a parameter.
 */
#pragma once

#include <stdint.h>

/* For distances in time: never set, stands still while the machine sleeps. */
uint64_t clock_monotonic_ns(void);
double clock_monotonic_seconds(void);

/* Unix time, as far as it is set right. */
uint64_t clock_wall_us(void);
double clock_wall_seconds(void);
