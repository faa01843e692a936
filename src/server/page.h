/*
 * What the collecting side hands to the server: a page, cut into parts.
 *
 * The parts are finished bytes, so the server knows nothing of GPUs. What was measured
 * and what is said about measuring are parts of their own: when a collection is not
 * answered, the rows of the last one may be kept for a while beside the newest state of
 * the sources; when nothing comes any more, the server leaves the rows out and says so,
 * by parts that were rendered for that case in advance.
 */
#pragma once

#include "base/buf.h"

#include <stdint.h>

enum page_part {
    /* Text 0.0.4 is these three, in this order; the first is valid in OpenMetrics too. */
    PART_MEASURED_TEXT,      /* rows of devices and sessions */
    PART_STATUS_TEXT,        /* sources, errors, the program itself */
    PART_PROCESS_TEXT,       /* the standard process families, not for a textfile */
    PART_STATUS_OPENMETRICS, /* status and process; without the end marker */

    /* Members of a JSON object, without its braces. */
    PART_STATUS_JSON,
    PART_SESSIONS_JSON,
    PART_DEVICES_JSON,

    /* Instead of all of them when the page is too old. */
    PART_STALE_TEXT,
    PART_STALE_OPENMETRICS,
    PART_STALE_JSON,

    PART_NOT_READY, /* why /readyz refuses, a line per reason; empty: it does not */
    PART_COUNT,
};

/* Ceiling of all parts together: a page of 10,000 sessions has about 20 MiB. */
#define PAGE_BYTES_MAX ((size_t)128 << 20)

struct page {
    uint64_t measured_at_ns; /* monotonic clock, which all processes share */
    uint64_t expires_at_ns;  /* from then on the measured parts are too old to be shown */
    size_t part_bytes[PART_COUNT];
    struct buf bytes; /* the parts, one after the other */
};

#define PAGE_INIT                                                                        \
    {                                                                                    \
        .bytes = BUF_INIT(PAGE_BYTES_MAX)                                                \
    }

/* Releases the bytes. */
void page_done(struct page *page);

/* A view into the page. */
struct str page_part(const struct page *page, enum page_part part);

/* Ends PART: it holds what was appended to the bytes since the part before it ended.
 * Parts are ended in their order. */
void page_end_part(struct page *page, enum page_part part);
