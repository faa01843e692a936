/*
 * Snapshot → a table for a person: devices, MIG devices indented under their GPU, the
 * sessions under the device they run on, human units, one line per source that is down.
 */
#pragma once

#include "base/buf.h"
#include "model/snapshot.h"
#include "output/filter.h"

struct table_options {
    bool with_color;
    unsigned width; /* terminal columns; 0: as wide as needed */
};

/* Appends the table; text from outside is made printable. When nothing is to be shown it
 * says what was looked at. Return: 0 or -ENOMEM. */
int table_render(const struct snapshot *snapshot, const struct filter *filter,
                 const struct table_options *options, struct buf *out)
    __attribute__((warn_unused_result));
