/*
 * /proc/<pid>/mountinfo: pod UID and container name where the cgroup does not tell them.
 *
 * The kubelet mounts a termination log and an etc-hosts file of its own into almost every
 * container; the root field of these mounts shows their host path, with the pod's UID and
 * the container's name in it. Sandboxes (pause) have neither. A workload with
 * CAP_SYS_ADMIN can add mounts: a hint, worth less than the cgroup.
 */
#pragma once

#include "base/str.h"
#include "source/identity/proc_cgroup.h"

enum { CONTAINER_NAME_BYTES = 63 };

/* How sure a line makes of the pod; a better one overrides, of equals the first counts.
 */
enum mountinfo_evidence {
    MOUNTINFO_NOTHING = 0,
    MOUNTINFO_VOLUME, /* a volume of the pod, or one that a node agent sees of others */
    MOUNTINFO_HOSTS,
    MOUNTINFO_CONTAINER,
};

struct proc_mountinfo {
    enum mountinfo_evidence evidence;
    bool is_ambiguous;               /* volumes of several pods, and nothing better */
    char pod_uid[POD_UID_BYTES + 1]; /* "" when not found */
    char container[CONTAINER_NAME_BYTES + 1]; /* "" when not found */
    bool sees_cgroups_above; /* a cgroup mount's root is above the reader's namespace */
};

/* Adds what one line tells. Lines of another form tell nothing. */
void proc_mountinfo_parse_line(struct str line, struct proc_mountinfo *facts);

/* Reads PATH below DIRFD, up to 1 MiB of it. Return: 0; FDIO_TRUNCATED when there was
 * more
 * (@out holds what the head told); -errno. */
int proc_mountinfo_read(int dirfd, const char *path, struct proc_mountinfo *out);
