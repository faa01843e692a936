/*
 * Snapshot → JSON for programs: `list --json`, later the HTTP API. Field names are the
 * metrics' label and family names; a value that was not measured is null, and the field
 * of the same name with "_state" says why.
 */
#pragma once

#include "base/buf.h"
#include "model/snapshot.h"
#include "output/filter.h"

/* Appends one JSON document, indented, ending in a newline. Return: 0 or -ENOMEM. */
int json_render(const struct snapshot *snapshot, const struct filter *filter,
                struct buf *out) __attribute__((warn_unused_result));
