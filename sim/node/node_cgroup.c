/*
 * Cgroup paths as the kubelet and the runtimes build them, for both cgroup drivers and
 * three runtimes, on cgroup v2 and on v1 with one hierarchy per controller.
 */
#include "sim/node/node_cgroup.h"

#include "base/cleanup.h"

#include <stdio.h>

static const char *const v1_hierarchies[] = {"name=systemd", "pids",    "blkio",
                                             "freezer",      "devices", "memory",
                                             "cpuset",       "cpuacct", "cpu"};

void node_container_id(char id[65], const struct scenario_pod *pod, const char *container)
{
    char seed[400];
    (void)snprintf(seed, sizeof(seed), "container %s %s %s %s", pod->uid, pod->namespace,
                   pod->name, container ? container : "-");
    scenario_hex(id, 64, seed);
}

/* Slice names nest at '-', so the kubelet writes a UID's dashes as '_' there. */
static void append_slice_uid(struct buf *path, const char *uid)
{
    for (; *uid; uid++) {
        if (*uid == '-')
            buf_append_char(path, '_');
        else
            buf_append_char(path, *uid);
    }
}

static void append_pod_systemd(struct buf *path, const struct scenario_pod *pod)
{
    static const char *const level[] = {
        [QOS_GUARANTEED] = "",
        [QOS_BURSTABLE] = "-burstable",
        [QOS_BESTEFFORT] = "-besteffort",
    };
    const char *qos = level[pod->qos];
    buf_append_text(path, "/kubepods.slice");
    if (qos[0])
        buf_printf(path, "/kubepods%s.slice", qos);
    buf_printf(path, "/kubepods%s-pod", qos);
    append_slice_uid(path, pod->uid);
    buf_append_text(path, ".slice");
}

static void append_pod_cgroupfs(struct buf *path, const struct scenario_pod *pod)
{
    static const char *const level[] = {
        [QOS_GUARANTEED] = "",
        [QOS_BURSTABLE] = "/burstable",
        [QOS_BESTEFFORT] = "/besteffort",
    };
    buf_printf(path, "/kubepods%s/pod%s", level[pod->qos], pod->uid);
}

void node_cgroup_container_path(struct buf *path, const struct scenario_pod *pod,
                                const char *container)
{
    static const char *const scope_prefix[] = {
        [RUNTIME_UNSET] = "cri-containerd-",
        [RUNTIME_CONTAINERD] = "cri-containerd-",
        [RUNTIME_CRIO] = "crio-",
        [RUNTIME_DOCKER] = "docker-",
    };
    char id[65];
    node_container_id(id, pod, container);
    if (pod->cgroup_driver == CGROUP_CGROUPFS) {
        append_pod_cgroupfs(path, pod);
        buf_printf(path, "/%s%s", pod->runtime == RUNTIME_CRIO ? "crio-" : "", id);
        return;
    }
    append_pod_systemd(path, pod);
    buf_printf(path, "/%s%s.scope", scope_prefix[pod->runtime], id);
}

void node_cgroup_process_path(struct buf *path, const struct scenario *scenario,
                              const struct scenario_process *process)
{
    if (process->pod)
        node_cgroup_container_path(path, process->pod, process->container);
    else if (process->cgroup)
        buf_append_text(path, process->cgroup);
    else if (scenario->cgroup_driver == CGROUP_CGROUPFS)
        buf_append_text(path, "/"); /* no systemd there to sort processes */
    else if (process->uid >= 1000)
        buf_printf(path, "/user.slice/user-%u.slice/session-%u.scope", process->uid,
                   process->pid % 100);
    else
        buf_append_text(path, "/system.slice/gpu-job.service");
}

void node_cgroup_agent_path(struct buf *path, const struct scenario *scenario)
{
    const struct scenario_pod *pod = scenario->agent_pod;
    if (pod)
        node_cgroup_container_path(path, pod, pod->containers[0]);
    else if (scenario->cgroup_driver == CGROUP_CGROUPFS)
        buf_append_text(path, "/");
    else
        buf_append_text(path, "/system.slice/gpu-sessions.service");
}

/* Length of the common head of A and B that ends where a component ends in both. */
static size_t common_components(struct str a, struct str b)
{
    size_t common = 0;
    for (size_t i = 0;; i++) {
        bool ends_a = i == a.n || a.p[i] == '/';
        bool ends_b = i == b.n || b.p[i] == '/';
        if (ends_a && ends_b)
            common = i;
        if (i == a.n || i == b.n || a.p[i] != b.p[i])
            return common;
    }
}

void node_cgroup_view(struct buf *buf, struct str root, struct str path)
{
    root = str_equal(root, STR("/")) ? STR("") : root;
    if (root.n == 0) {
        buf_append(buf, path);
        return;
    }
    path = str_equal(path, STR("/")) ? STR("") : path;
    size_t common = common_components(root, path);
    size_t start = buf->len;
    for (size_t i = common; i < root.n; i++) {
        if (root.p[i] == '/')
            buf_append_text(buf, "/..");
    }
    buf_append(buf, str_part(path, common, path.n - common));
    if (buf->len == start)
        buf_append_char(buf, '/');
}

void node_cgroup_render(struct buf *buf, const struct scenario *scenario, struct str root,
                        struct str path)
{
    size_t count = scenario->cgroup_version == 1 ? ARRAY_LENGTH(v1_hierarchies) : 0;
    for (size_t i = 0; i < count; i++) {
        buf_printf(buf, "%zu:%s:", count - i, v1_hierarchies[i]);
        node_cgroup_view(buf, root, path);
        buf_append_char(buf, '\n');
    }
    buf_append_text(buf, "0::");
    node_cgroup_view(buf, root, path);
    buf_append_char(buf, '\n');
}

/* The cgroup mounts, numbered from ID below PARENT. Return: the next free number. */
static unsigned append_cgroup_mounts(struct buf *buf, const struct scenario *scenario,
                                     unsigned id, unsigned parent, struct str root,
                                     struct str path)
{
    if (scenario->cgroup_version == 2) {
        buf_printf(buf, "%u %u 0:26 ", id++, parent);
        node_cgroup_view(buf, root, path);
        buf_append_text(buf, " /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 "
                             "cgroup rw\n");
        return id;
    }
    unsigned tmpfs = id++;
    buf_printf(buf,
               "%u %u 0:28 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - tmpfs "
               "tmpfs rw,mode=755\n",
               tmpfs, parent);
    for (size_t i = 0; i < ARRAY_LENGTH(v1_hierarchies); i++) {
        const char *name = v1_hierarchies[i];
        const char *folder = i == 0 ? "systemd" : name;
        buf_printf(buf, "%u %u 0:%zu ", id++, tmpfs, 30 + i);
        node_cgroup_view(buf, root, path);
        buf_printf(buf,
                   " /sys/fs/cgroup/%s ro,nosuid,nodev,noexec,relatime - cgroup cgroup "
                   "rw,%s\n",
                   folder, name);
    }
    return id;
}

/* A bind mount of a file or folder of the host's disk. */
static void append_bind(struct buf *buf, unsigned id, unsigned parent, const char *source,
                        const char *target)
{
    buf_printf(buf, "%u %u 254:0 %s %s rw,relatime - ext4 /dev/vda rw\n", id, parent,
               source, target);
}

static void append_kubelet_mounts(struct buf *buf, const struct scenario *scenario,
                                  unsigned id, unsigned root_mount, unsigned dev_mount,
                                  const struct scenario_pod *pod, const char *container)
{
    char source[512];
    char seed[400];
    char hash[65];
    (void)snprintf(source, sizeof(source), "%s/pods/%s/etc-hosts", scenario->kubelet_root,
                   pod->uid);
    append_bind(buf, id, root_mount, source, "/etc/hosts");
    (void)snprintf(seed, sizeof(seed), "termination %s %s", pod->uid, container);
    scenario_hex(hash, 8, seed);
    (void)snprintf(source, sizeof(source), "%s/pods/%s/containers/%s/%s",
                   scenario->kubelet_root, pod->uid, container, hash);
    append_bind(buf, id + 1, dev_mount, source, "/dev/termination-log");
    node_container_id(hash, pod, NULL);
    bool is_crio = pod->runtime == RUNTIME_CRIO;
    for (unsigned i = 0; i < 2; i++) {
        const char *file = i == 0 ? "hostname" : "resolv.conf";
        char target[32];
        (void)snprintf(source, sizeof(source), "%s/%s%s/%s",
                       is_crio
                           ? "/run/containers/storage/overlay-containers"
                           : "/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes",
                       hash, is_crio ? "/userdata" : "", file);
        (void)snprintf(target, sizeof(target), "/etc/%s", file);
        append_bind(buf, id + 2 + i, root_mount, source, target);
    }
}

void node_mountinfo_render_container(struct buf *buf, const struct scenario *scenario,
                                     struct str root, const struct scenario_pod *pod,
                                     const char *container)
{
    enum { ROOT = 414, PROC, DEV, PTS, SYS, NEXT };
    CLEANUP(buf_done) struct buf path = BUF_INIT(CGROUP_PATH_BYTES_MAX);
    node_cgroup_container_path(&path, pod, container);
    buf_printf(buf,
               "%d 374 0:76 / / rw,relatime - overlay overlay "
               "rw,lowerdir=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/"
               "snapshots/1/fs,upperdir=/var/lib/containerd/"
               "io.containerd.snapshotter.v1.overlayfs/snapshots/12/fs,workdir=/var/lib/"
               "containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/12/work\n",
               ROOT);
    buf_printf(buf,
               "%d %d 0:103 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw\n",
               PROC, ROOT);
    buf_printf(
        buf,
        "%d %d 0:104 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755,inode64\n",
        DEV, ROOT);
    buf_printf(buf,
               "%d %d 0:105 / /dev/pts rw,nosuid,noexec,relatime - devpts devpts "
               "rw,gid=5,mode=620,ptmxmode=666\n",
               PTS, DEV);
    buf_printf(buf,
               "%d %d 0:21 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro\n",
               SYS, ROOT);
    unsigned next = append_cgroup_mounts(buf, scenario, NEXT, SYS, root, buf_str(&path));
    append_kubelet_mounts(buf, scenario, next, ROOT, DEV, pod, container);
}

void node_mountinfo_render_host(struct buf *buf, const struct scenario *scenario,
                                struct str root)
{
    buf_append_text(buf,
                    "22 27 0:21 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw\n"
                    "23 27 0:22 / /sys rw,nosuid,nodev,noexec,relatime - sysfs sysfs rw\n"
                    "24 27 0:6 / /dev rw,nosuid,relatime - devtmpfs udev rw,mode=755\n"
                    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n");
    (void)append_cgroup_mounts(buf, scenario, 31, 23, root, STR("/"));
}
