/*
 * Snapshot → Prometheus text format 0.0.4, or OpenMetrics 1.0.
 *
 * Pure: the same snapshot gives the same bytes. HELP and TYPE stand once per family, rows
 * in the snapshot's order, a value that was not measured has no row. Any bytes in label
 * values: invalid UTF-8 becomes U+FFFD, control characters except newline become spaces,
 * values are cut at PROM_LABEL_BYTES on a character boundary.
 */
#pragma once

#include "base/buf.h"
#include "model/snapshot.h"

enum { PROM_LABEL_BYTES = 256, PROM_PAGE_BYTES = 64 * 1024 * 1024 };

/* The families of a section stand together on the page, in this order. */
enum prom_section {
    PROM_MEASURED = 1, /* devices and sessions: gauges, the same bytes in both formats */
    PROM_STATUS = 2,   /* counters, and what is said about measuring and the program */
    PROM_PROCESS = 4,  /* the standard process families, not for a textfile */
};

struct prom_options {
    bool without_volatile_labels; /* leave status and gpu_memory off gpu_process_info */
    bool openmetrics;  /* as OpenMetrics, without the "# EOF" that ends a page */
    unsigned sections; /* enum prom_section, or-ed; 0: all */
};

/* Appends the page to OUT; a family without rows is left out. The caller tests
 * buf_is_full(OUT). */
void prom_render(const struct snapshot *snapshot, const struct prom_options *options,
                 struct buf *out);

/* One row of the family table, for the documentation check. */
struct prom_family {
    const char *name;
    const char *type;
    const char *help;
};

/* The families this program can print, in the page's order; NULL past the last one. */
const struct prom_family *prom_family_at(size_t index);
