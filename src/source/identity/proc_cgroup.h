/*
 * /proc/<pid>/cgroup: which pod and container a process belongs to, as far as its cgroup
 * path tells. Pure: no I/O, no allocation; results view the parsed text.
 *
 * The path depends on the reader: one in a cgroup namespace of its own sees paths
 * relative to its own cgroup ("/../../kubepods-…"), so nothing is expected in front of
 * the pod.
 */
#pragma once

#include "base/str.h"

/* Longest pod UID accepted. The API server makes 36 bytes, a static manifest may choose.
 */
enum { POD_UID_BYTES = 128, CONTAINER_ID_BYTES = 64 };

/* By what is worth more: of several lines the best one counts, of equals the first. */
enum cgroup_shape {
    CGROUP_NOTHING = 0, /* no line could be read */
    CGROUP_HOST,        /* a service, a login session, the root */
    CGROUP_CONTAINER,   /* a container id, but no pod */
    CGROUP_SIBLING, /* "/../<container>": beside the reader's own cgroup, no pod named */
    CGROUP_POD,
};

struct proc_cgroup {
    enum cgroup_shape shape;
    struct str pod_uid;  /* CGROUP_POD; as it stands in the path */
    bool is_uid_escaped; /* systemd's form, with '_' for '-' */
    struct str
        container_id;   /* 64 hex digits, or empty: monitor process, pod's own cgroup */
    bool is_cri;        /* the name is one that only a Kubernetes runtime gives */
    bool is_distrusted; /* below a user's or another container's own subtree */
    bool is_climbing;   /* the path starts with "/..": reader is in a namespace */
};

/* One path, absolute or not. The first pod segment from the left counts, so that a name
 * forged deeper in the tree by a delegated container cannot win. Segments behind a user's
 * own subtree (user.slice, user@…, libpod-…, lxc.payload…) never make a pod. */
struct proc_cgroup cgroup_path_parse(struct str path);

/* The whole file. Return: 0 (an empty file is CGROUP_NOTHING), or -EBADMSG when no line
 * has the form "number:controllers:path". */
int proc_cgroup_parse(struct str text, struct proc_cgroup *out);

/* The pod UID with systemd's escape undone, NUL-terminated. */
void proc_cgroup_write_uid(const struct proc_cgroup *cgroup, char uid[POD_UID_BYTES + 1]);
