/*
 * Snapshot → JSON for programs: `list --json` and the HTTP API. Field names are the
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

/* What a document of the HTTP API is put together from: "{", JSON_STATUS, ",", one of the
 * others, "}". */
enum json_members {
    JSON_STATUS,   /* version, node, driver, times, sources, errors */
    JSON_SESSIONS, /* the node's totals and all sessions */
    JSON_DEVICES,  /* the node's totals and all devices */
};

/* Appends members of a JSON object, without its braces, on one line without a newline:
 * the fields and values that json_render() has without a filter. Return: 0 or -ENOMEM. */
int json_render_members(const struct snapshot *snapshot, enum json_members which,
                        struct buf *out) __attribute__((warn_unused_result));
