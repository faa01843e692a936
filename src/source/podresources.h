/*
 * What Kubernetes gave to whom: the kubelet's PodResources API (v1 List) on its unix
 * socket. Needs uid 0, no capability and no credential.
 *
 * The kubelet is asked every ten seconds at most, and after failures less and less often,
 * but at once when a new socket lies at the path, which is how a kubelet starts. What it
 * said holds for a minute while it does not answer: without a kubelet nothing is given
 * away. In its first minute a kubelet lists its pods by and by; an answer with less in it
 * than before, or with nothing, is then no answer.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/allocation.h"
#include "model/snapshot.h"
#include "source/errors.h"

struct podresources_config {
    const char *socket; /* outlives the source */
    bool is_wanted;     /* a person named the socket: without it the source is down */
    struct error_counters *errors; /* counted into, never NULL */
};

struct podresources;

/* Return: NULL when memory is gone. */
struct podresources *podresources_open(const struct podresources_config *config);

void podresources_close(struct podresources *source);

/* Asks where that is due, for at most BUDGET_NS. NOW_NS is monotonic, WALL_SECONDS Unix
 * time: how old the socket is tells how long the kubelet runs. */
void podresources_refresh(struct podresources *source, uint64_t now_ns,
                          double wall_seconds, uint64_t budget_ns);

/* What is known to be given, *COUNT entries, until the next refresh. NULL: not known. */
const struct grant *podresources_grants(const struct podresources *source, size_t *count);

/* How many grants of that list were too many, or had names that Kubernetes does not
 * allow: somebody has a device that podresources_grants() does not tell of. */
size_t podresources_left_out(const struct podresources *source);

/* Counts the ids of the list that name no device of the driver, or do not say which: once
 * for each list, however often it is matched. */
void podresources_count_ids(struct podresources *source,
                            const struct allocation_set *matched);

/* Writes the status row into OUT, its text into ARENA. Return: false when there is none:
 * no kubelet here, and nobody asked for it. */
bool podresources_status(const struct podresources *source, struct arena *arena,
                         struct source_status *out);
