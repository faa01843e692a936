/*
 * Where processes lie in the simulated node's cgroups, and how the kernel shows that to
 * the agent: /proc/<pid>/cgroup and /proc/<pid>/mountinfo.
 */
#pragma once

#include "base/buf.h"
#include "sim/node/scenario.h"

enum { CGROUP_PATH_BYTES_MAX = 4096 };

/* The container's id: 64 hex digits and NUL. CONTAINER NULL: the pod's sandbox. */
void node_container_id(char id[65], const struct scenario_pod *pod,
                       const char *container);

/* Appends the container's path from the host's cgroup root. */
void node_cgroup_container_path(struct buf *path, const struct scenario_pod *pod,
                                const char *container);

/* Appends the path of PROCESS, in or outside a pod. */
void node_cgroup_process_path(struct buf *path, const struct scenario *scenario,
                              const struct scenario_process *process);

/* Appends the path of the agent itself. */
void node_cgroup_agent_path(struct buf *path, const struct scenario *scenario);

/* Appends PATH as a reader prints it whose cgroup namespace begins at ROOT ("" or "/":
 * the host's). */
void node_cgroup_view(struct buf *buf, struct str root, struct str path);

/* Appends the content of /proc/<pid>/cgroup for a process at PATH, as seen by the agent
 * whose namespace begins at ROOT. */
void node_cgroup_render(struct buf *buf, const struct scenario *scenario, struct str root,
                        struct str path);

/* Appends the content of /proc/<pid>/mountinfo of a process in a container. */
void node_mountinfo_render_container(struct buf *buf, const struct scenario *scenario,
                                     struct str root, const struct scenario_pod *pod,
                                     const char *container);

/* … and of a process of the host. */
void node_mountinfo_render_host(struct buf *buf, const struct scenario *scenario,
                                struct str root);
