/*
 * A DCGM exporter's page as a source of utilisation where the driver itself has none.
 *
 * NVML has no utilisation of MIG instances before Hopper; DCGM measures them by the
 * profiling counters. Its page is read at most every ten seconds, matched by the GPU's
 * UUID and the GPU instance id, and fills only what the driver left open.
 */
#pragma once

#include "base/arena.h"
#include "model/facts.h"
#include "model/snapshot.h"
#include "source/errors.h"

struct dcgm_source;

struct dcgm_config {
    const char *url; /* of the page; outlives the source */
    struct error_counters *errors;
};

/* What one collection has learnt so far, and its clocks. */
struct dcgm_collection {
    struct driver_facts *facts;                /* filled */
    const struct process_identity *identities; /* one per process, or NULL */
    struct process_clock clock;
    uint64_t now_ns;     /* monotonic */
    double wall_seconds; /* Unix time */
    uint64_t budget_ns;  /* what asking may cost, 1 s at most */
    bool knows_the_past; /* earlier collections have watched who was alone */
};

/* Return: NULL without memory. Asks nobody yet. */
struct dcgm_source *dcgm_open(const struct dcgm_config *config);

void dcgm_close(struct dcgm_source *source);

/* Reads the page when it is due, and fills COLLECTION's facts from the last one that was
 * read. Return: the source's status; its reason lies in ARENA. */
struct source_status dcgm_collect(struct dcgm_source *source, struct arena *arena,
                                  const struct dcgm_collection *collection);
