/*
 * `gpu-sessions simulate`: turns a scenario into a directory that the other commands take
 * for a GPU node.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

struct simulate_options {
    const char *directory; /* created when absent; may be NULL with `list` */
    const char *scenario;  /* built-in name or file; NULL: "default" */
    bool hold;             /* keep the node moving until SIGINT or SIGTERM */
    bool freeze;           /* fixed time, loads stand: output can be compared */
    bool list;             /* print the built-in scenarios instead */
    const char *library;   /* driver library to copy; NULL: the one that came along */
    const char *smi;       /* nvidia-smi to copy; NULL likewise */
    int output_fd;         /* where the line of flags (or the list) goes */
};

/**
 * simulate_run() - write the node, print the flags that use it
 *
 * The directory must be empty, absent, or a node written before: that one is replaced as
 * a whole, also under readers. One simulation at a time may own a directory.
 *
 * Return: 0; negative with a message otherwise (domain ERR_USAGE when the options or the
 * scenario are wrong).
 */
int simulate_run(const struct simulate_options *options, struct err *err);
