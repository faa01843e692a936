/*
 * From a process to its pod's names: cgroup, then the kubelet's log links, then
 * mountinfo.
 */
#pragma once

#include "source/identity/process_cache.h"

/* What the reader knows of itself. In a cgroup namespace of its own it sees its own pod's
 * containers as "/../<container>" and itself as "/", without a pod. */
struct own_view {
    bool is_private;                          /* reads cgroups from inside a namespace */
    bool has_mounts;                          /* own mountinfo could be read */
    char pod_uid[POD_UID_BYTES + 1];          /* "" outside any pod */
    char container[CONTAINER_NAME_BYTES + 1]; /* "" when not known */
};

struct pod_resolver {
    struct own_view own;
    struct podlogs *podlogs;       /* borrowed */
    struct error_counters *errors; /* borrowed */
    char *scratch;                 /* POD_RESOLVER_SCRATCH_BYTES */
};

/* A v1 node has about 14 lines of at most 4 KiB; what is longer is cut and counted. */
enum { POD_RESOLVER_SCRATCH_BYTES = 64 * 1024 };

/* Reads <procfs>/self and <procfs>/1. What cannot be read is not known. */
void own_view_read(struct pod_resolver *resolver, int procfs);

/* Fills ENTRY's pod from the files in the process's directory PROCESS. Return: negative
 * when its cgroup could not be read, and the pod may be unknown for that; else 0. */
int pod_resolve(struct pod_resolver *resolver, int process, uint64_t round,
                struct process_entry *entry);

/* Looks for names again that an earlier call missed: the link of a new container appears
 * some milliseconds after its process. No file of the process is read. */
void pod_resolve_again(struct pod_resolver *resolver, uint64_t round,
                       struct process_entry *entry);
