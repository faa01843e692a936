/*
 * What a scenario's load is at an instant, or on average over a stretch of time.
 */
#pragma once

#include "sim/node_state.h"

#include <stdbool.h>

/* Seconds of scenario time: now minus epoch_us, and 0 while the node is frozen. */
double scenario_seconds(const struct node_state *state);

/* Microseconds since the Unix epoch. Runs on while the node is frozen: loads stand, but a
 * driver goes on taking samples of them. */
uint64_t scenario_now_us(void);

/* Unclamped: watts, degrees. */
double load_at(const struct sim_load *load, double seconds);

/* Percent, 0-100, averaged over FROM to TO; at TO where FROM is not before it. */
double load_mean_percent(const struct sim_load *load, double from, double to);
