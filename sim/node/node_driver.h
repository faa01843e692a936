/*
 * The driver of a simulated node: copies of the simulated library and nvidia-smi.
 */
#pragma once

#include "sim/node/scenario.h"

struct node_driver_paths {
    const char *library; /* NULL: found beside the running program */
    const char *smi;     /* likewise */
};

/**
 * node_driver_write() - put libnvidia-ml.so.1 and bin/nvidia-smi below @dirfd
 *
 * Copies, not links: the library finds its node.state beside itself, and symbols that the
 * scenario's driver generation lacks are made unfindable in the copy. Writes nothing for
 * a scenario without driver.
 *
 * Return: 0 or negative with a message.
 */
int node_driver_write(int dirfd, const struct scenario *scenario,
                      const struct node_driver_paths *paths, struct err *err);
