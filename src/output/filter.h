/*
 * Which rows a person asked for, and in which order: `list --gpu 0 --namespace ml-team
 * --user alice --sort memory`.
 */
#pragma once

#include "model/snapshot.h"

enum sort_key {
    SORT_DEVICE = 0, /* by device, then pid */
    SORT_MEMORY,     /* most first */
    SORT_UTILIZATION,
    SORT_AGE, /* oldest first */
    SORT_USER,
    SORT_PID,
};

struct filter {
    const char *gpu;        /* "0": GPU 0 and its MIG devices; "0_7_0": one; NULL: all */
    const char *namespace_; /* NULL: all; "": outside any pod; "unknown": not resolved */
    const char *user;       /* NULL: all */
    enum sort_key sort;
};

bool filter_matches_device(const struct filter *filter, const struct device *device);
bool filter_matches_session(const struct filter *filter, const struct session *session);

/* Reads the word of a sort key. Return: false for any other word. */
bool sort_key_parse(const char *word, enum sort_key *key);

/* Orders COUNT sessions of one snapshot by KEY; unknown values last, equal ones in the
 * snapshot's order. */
void filter_sort(enum sort_key key, const struct session **sessions, size_t count);
