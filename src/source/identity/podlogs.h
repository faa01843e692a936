/*
 * Names of pods and containers, from the links that the kubelet keeps in
 * /var/log/containers: names and targets only, never the content of a log.
 *
 *   <pod>_<namespace>_<container>-<container id>.log
 *       -> …/<namespace>_<pod>_<uid>/<container>/<restart count>.log
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "source/errors.h"

#include <time.h>

enum { PODLOGS_MAX_LINKS = 65536 };

/* One container, or a pod whose container is not known. Views memory of the table, or the
 * parsed text. Bounded: namespace and container 63 bytes, pod 253, uid 128. */
struct pod_names {
    struct str namespace_;
    struct str pod;
    struct str container;
    struct str container_id; /* 64 hex digits; empty when the link's name was cut */
    struct str uid;          /* empty when the target does not tell */
};

/**
 * loglink_parse() - what one link tells
 * @name:   entry of the directory; the kubelet cuts it to 251 bytes and ".log", which can
 *          take the container id away
 * @target: what it points to, not resolved; may be empty
 *
 * Where both tell, they must tell the same.
 *
 * Return: 0, or -EBADMSG when this is no such link
 */
int loglink_parse(struct str name, struct str target, struct pod_names *out);

struct podlogs;

/* @path is borrowed. Return: NULL when memory is gone. */
struct podlogs *podlogs_new(const char *path, struct error_counters *errors);
void podlogs_free(struct podlogs *podlogs);

/* Reads the directory again if it can have changed since it was last read, at most once
 * per ROUND (any number that changes from one collection to the next). To be called when
 * a name was missed. Return: whether the table was read anew. */
bool podlogs_refresh(struct podlogs *podlogs, uint64_t round);

/* Changes with each reading of the directory. */
uint64_t podlogs_generation(const struct podlogs *podlogs);

/* NULL when not known. Valid until the next podlogs_refresh(). */
const struct pod_names *podlogs_find_container(const struct podlogs *podlogs,
                                               struct str container_id);
const struct pod_names *podlogs_find_pod(const struct podlogs *podlogs, struct str uid);

/* Whether the directory can be read now: 0 or -errno (-ENOENT: no kubelet here). */
int podlogs_check(const struct podlogs *podlogs);
