/*
 * Scenario → the bytes of node.state, the simulated driver's view of the node.
 */
#pragma once

#include "sim/node/node_clock.h"
#include "sim/node/scenario.h"

/* *STATE lives in ARENA. Processes appear in the scenario's order, one entry per device,
 * each process at its first_entry; alive as at the beginning. Return: 0 or -ENOMEM. */
int node_state_build(struct arena *arena, const struct scenario *scenario,
                     const struct node_clock *clock, struct str *state, struct err *err)
    __attribute__((warn_unused_result));
