/*
 * Keeps a written node moving: time, processes that come and go, GPUs that get lost.
 */
#pragma once

#include "sim/node/node_clock.h"
#include "sim/node/scenario.h"

struct hold;

/**
 * hold_open() - take over the node in a directory
 * @dirfd:    the node's directory with proc/ and node.state of @scenario
 * @scenario: must outlive the holder
 */
int hold_open(int dirfd, const struct scenario *scenario, const struct node_clock *clock,
              struct hold **out, struct err *err) __attribute__((warn_unused_result));

/* Accepts NULL. The node stays as it is. */
void hold_close(struct hold *hold);

static inline void hold_closep(struct hold **hold)
{
    hold_close(*hold);
}

/* Brings the node to SECONDS after its beginning; to be called with rising times. A
 * process appears in proc/ before the driver lists it, and leaves the list first. */
int hold_advance(struct hold *hold, double seconds, struct err *err);
