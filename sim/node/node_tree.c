/*
 * Writes /proc/<pid> for every process of a scenario, the node's own files, the user
 * table and the kubelet's log links.
 *
 * Thousands of host processes that only fill the tree share all files but stat and status
 * through hard links: a dense node is written in a fraction of a second and takes little
 * memory on tmpfs.
 */
#include "sim/node/node_tree.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "sim/node/directory.h"
#include "sim/node/node_cgroup.h"
#include "sim/node/node_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 1 << 20, LOG_LINK_BYTES_MAX = 251, PID_NAME_BYTES = 16 };

/* One line of thought for all renderers: fill BUF, then write it under NAME and empty it.
 */
static int write_buf(int dirfd, const char *name, struct buf *buf)
{
    int rc =
        buf_is_full(buf) ? -ENOMEM : directory_write(dirfd, name, buf_str(buf), 0644);
    buf_reset(buf);
    return rc;
}

/* Where the agent's cgroup namespace begins: "" for the host's. */
static void agent_root(struct buf *root, const struct scenario *scenario)
{
    if (scenario->agent_view == AGENT_PRIVATE)
        node_cgroup_agent_path(root, scenario);
}

static int write_stat_and_status(int fd, const struct node_proc *proc, struct buf *buf)
{
    node_proc_render_stat(buf, proc);
    int rc = write_buf(fd, "stat", buf);
    node_proc_render_status(buf, proc);
    return rc ? rc : write_buf(fd, "status", buf);
}

/* What runs in a process, and where. */
struct workload {
    const char *command;
    const char *arguments;
    struct str cgroup;
    const struct scenario_pod *pod; /* NULL: a process of the host */
    const char *container;
};

/* The files that say what runs there and where. */
static int write_identity(int fd, const struct scenario *scenario,
                          const struct node_proc *proc, const struct workload *workload,
                          struct buf *buf)
{
    CLEANUP(buf_done) struct buf root = BUF_INIT(CGROUP_PATH_BYTES_MAX);
    agent_root(&root, scenario);
    node_proc_render_comm(buf, proc);
    int rc = write_buf(fd, "comm", buf);
    if (!proc->is_kernel_thread)
        node_proc_render_cmdline(buf, workload->command, workload->arguments);
    rc = rc ? rc : write_buf(fd, "cmdline", buf);
    node_cgroup_render(buf, scenario, buf_str(&root), workload->cgroup);
    rc = rc ? rc : write_buf(fd, "cgroup", buf);
    if (workload->pod)
        node_mountinfo_render_container(buf, scenario, buf_str(&root), workload->pod,
                                        workload->container);
    else
        node_mountinfo_render_host(buf, scenario, buf_str(&root));
    return rc ? rc : write_buf(fd, "mountinfo", buf);
}

static void print_pid(char name[PID_NAME_BYTES], uint32_t pid)
{
    (void)snprintf(name, PID_NAME_BYTES, "%u", pid);
}

int node_tree_add_process(int procfd, const struct scenario *scenario,
                          const struct scenario_process *process, double start_seconds)
{
    char name[PID_NAME_BYTES];
    print_pid(name, process->pid);
    CLEANUP(close_fdp) int fd = directory_make(procfd, name);
    if (fd < 0)
        return fd;
    CLEANUP(buf_done) struct buf buf = BUF_INIT(FILE_BYTES_MAX);
    CLEANUP(buf_done) struct buf path = BUF_INIT(CGROUP_PATH_BYTES_MAX);
    node_cgroup_process_path(&path, scenario, process);
    struct node_proc proc = {
        .pid = process->pid,
        .ppid = 1,
        .uid = process->uid,
        .comm = node_proc_comm(process->command),
        .start_ticks = node_proc_ticks(start_seconds),
        .is_in_container = process->pod != NULL,
    };
    int rc = write_stat_and_status(fd, &proc, &buf);
    return rc ? rc
              : write_identity(fd, scenario, &proc,
                               &(struct workload){process->command, process->arguments,
                                                  buf_str(&path), process->pod,
                                                  process->container},
                               &buf);
}

int node_tree_remove_process(int procfd, const struct scenario_process *process)
{
    char name[PID_NAME_BYTES];
    print_pid(name, process->pid);
    return directory_remove(procfd, name);
}

int node_tree_set_uptime(int procfd, double seconds)
{
    CLEANUP(buf_done) struct buf buf = BUF_INIT(FILE_BYTES_MAX);
    node_proc_render_uptime(&buf, seconds);
    return buf_is_full(&buf)
               ? -ENOMEM
               : directory_replace(procfd, "uptime", ".uptime.new", buf_str(&buf));
}

/* What else runs on a node; kernel threads have no command line. */
static const struct host_kind {
    const char *command, *arguments, *cgroup;
    uint32_t uid;
    bool is_kernel_thread;
} host_kinds[] = {
    {"kworker/0:1-eve", "", "/", 0, true},
    {"/usr/bin/containerd-shim-runc-v2", "-namespace k8s.io -id 5f",
     "/system.slice/containerd.service", 0, false},
    {"/usr/sbin/sshd", "-D", "/system.slice/ssh.service", 0, false},
    {"/usr/bin/bash", "", "/user.slice/user-1000.slice/session-2.scope", 1000, false},
    {"ksoftirqd/1", "", "/", 0, true},
    {"/usr/bin/node_exporter", "--web.listen-address=:9100",
     "/system.slice/node-exporter.service", 998, false},
    {"/usr/bin/python3", "/opt/batch/worker.py --shard 3",
     "/user.slice/user-1001.slice/session-7.scope", 1001, false},
    {"/usr/bin/kubelet", "--config=/etc/kubernetes/kubelet.yaml",
     "/system.slice/kubelet.service", 0, false},
};

static const char *const shared_files[] = {"comm", "cmdline", "cgroup", "mountinfo"};

/* The files all processes of a kind share: links to those of the first, FIRST_FD. */
static int link_shared_files(int first_fd, int fd)
{
    for (size_t i = 0; i < ARRAY_LENGTH(shared_files); i++) {
        if (linkat(first_fd, shared_files[i], fd, shared_files[i], 0) != 0)
            return -errno;
    }
    return 0;
}

/* FIRST_FD: of the first process of that kind, -1 until there is one; then it is set. */
static int add_host_process(int procfd, const struct scenario *scenario,
                            const struct host_kind *kind, uint32_t pid, int *first_fd,
                            struct buf *buf)
{
    char name[PID_NAME_BYTES];
    print_pid(name, pid);
    CLEANUP(close_fdp) int fd = directory_make(procfd, name);
    if (fd < 0)
        return fd;
    struct node_proc proc = {
        .pid = pid,
        .ppid = kind->is_kernel_thread ? 2 : 1,
        .uid = kind->uid,
        .comm = kind->is_kernel_thread ? str_from(kind->command)
                                       : node_proc_comm(kind->command),
        .start_ticks = node_proc_ticks((double)pid / 100),
        .is_kernel_thread = kind->is_kernel_thread,
    };
    int rc = write_stat_and_status(fd, &proc, buf);
    if (rc)
        return rc;
    if (*first_fd >= 0)
        return link_shared_files(*first_fd, fd);
    rc = write_identity(fd, scenario, &proc,
                        &(struct workload){kind->command, kind->arguments,
                                           str_from(kind->cgroup), NULL, NULL},
                        buf);
    *first_fd = take_fd(&fd);
    return rc;
}

static int add_host_processes(int procfd, const struct scenario *scenario)
{
    int first_fds[ARRAY_LENGTH(host_kinds)];
    int rc = 0;
    CLEANUP(buf_done) struct buf buf = BUF_INIT(FILE_BYTES_MAX);
    for (size_t i = 0; i < ARRAY_LENGTH(host_kinds); i++)
        first_fds[i] = -1;
    for (size_t i = 0; !rc && i < scenario->host_pid_count; i++) {
        size_t kind = i % ARRAY_LENGTH(host_kinds);
        rc = add_host_process(procfd, scenario, &host_kinds[kind], scenario->host_pids[i],
                              &first_fds[kind], &buf);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(host_kinds); i++)
        close_fdp(&first_fds[i]);
    return rc;
}

/* Process 1: readers learn from its cgroup whether they are in a namespace of their own.
 */
static int add_init(int procfd, const struct scenario *scenario, struct buf *buf)
{
    CLEANUP(close_fdp) int fd = directory_make(procfd, "1");
    if (fd < 0)
        return fd;
    bool is_systemd = scenario->cgroup_driver == CGROUP_SYSTEMD;
    struct node_proc proc = {
        .pid = 1, .comm = is_systemd ? STR("systemd") : STR("init"), .start_ticks = 1};
    int rc = write_stat_and_status(fd, &proc, buf);
    return rc ? rc
              : write_identity(
                    fd, scenario, &proc,
                    &(struct workload){"/sbin/init", "",
                                       is_systemd ? STR("/init.scope") : STR("/"), NULL,
                                       NULL},
                    buf);
}

/* What the agent reads about itself. */
static int add_self(int procfd, const struct scenario *scenario, struct buf *buf)
{
    CLEANUP(close_fdp) int fd = directory_make(procfd, "self");
    if (fd < 0)
        return fd;
    CLEANUP(buf_done) struct buf root = BUF_INIT(CGROUP_PATH_BYTES_MAX);
    CLEANUP(buf_done) struct buf path = BUF_INIT(CGROUP_PATH_BYTES_MAX);
    const struct scenario_pod *pod = scenario->agent_pod;
    agent_root(&root, scenario);
    node_cgroup_agent_path(&path, scenario);
    node_cgroup_render(buf, scenario, buf_str(&root), buf_str(&path));
    int rc = write_buf(fd, "cgroup", buf);
    if (pod)
        node_mountinfo_render_container(buf, scenario, buf_str(&root), pod,
                                        pod->containers[0]);
    else
        node_mountinfo_render_host(buf, scenario, buf_str(&root));
    return rc ? rc : write_buf(fd, "mountinfo", buf);
}

static int write_proc(int procfd, const struct scenario *scenario,
                      const struct node_clock *clock)
{
    CLEANUP(buf_done) struct buf buf = BUF_INIT(FILE_BYTES_MAX);
    node_proc_render_kernel_stat(&buf, clock);
    int rc = write_buf(procfd, "stat", &buf);
    node_proc_render_uptime(&buf, clock->uptime_seconds);
    rc = rc ? rc : write_buf(procfd, "uptime", &buf);
    rc = rc ? rc : add_init(procfd, scenario, &buf);
    rc = rc ? rc : add_self(procfd, scenario, &buf);
    rc = rc ? rc : add_host_processes(procfd, scenario);
    for (size_t i = 0; !rc && i < scenario->process_count; i++) {
        const struct scenario_process *process = &scenario->processes[i];
        double born;
        if (scenario_process_lives(process, 0, &born) && process->in_proc)
            rc = node_tree_add_process(procfd, scenario, process,
                                       clock->uptime_seconds + born);
    }
    return rc;
}

static int write_users(int rootfd, const struct scenario *scenario)
{
    CLEANUP(close_fdp) int fd = directory_make(rootfd, "etc");
    if (fd < 0)
        return fd;
    CLEANUP(buf_done) struct buf buf = BUF_INIT(FILE_BYTES_MAX);
    buf_append_text(&buf, "root:x:0:0:root:/root:/bin/bash\n"
                          "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
                          "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    for (size_t i = 0; i < scenario->user_count; i++) {
        const struct scenario_user *user = &scenario->users[i];
        buf_printf(&buf, "%s:x:%u:%u::/home/%s:/bin/bash\n", user->name, user->uid,
                   user->uid, user->name);
    }
    return write_buf(fd, "passwd", &buf);
}

/* /var/log/containers/<pod>_<namespace>_<container>-<id>.log, cut like the kubelet's when
 * the pod's name is long. */
static int add_log_link(int fd, const struct scenario_pod *pod, const char *container)
{
    char id[65];
    char name[512];
    char target[1024];
    node_container_id(id, pod, container);
    (void)snprintf(name, sizeof(name), "%s_%s_%s-%s", pod->name, pod->namespace,
                   container, id);
    size_t length = strnlen(name, LOG_LINK_BYTES_MAX);
    memcpy(name + length, ".log", sizeof(".log"));
    (void)snprintf(target, sizeof(target), "/var/log/pods/%s_%s_%s/%s/0.log",
                   pod->namespace, pod->name, pod->uid, container);
    return symlinkat(target, fd, name) == 0 || errno == EEXIST ? 0 : -errno;
}

static int write_log_links(int rootfd, const struct scenario *scenario)
{
    CLEANUP(close_fdp) int var = directory_make(rootfd, "var");
    CLEANUP(close_fdp) int log = var < 0 ? var : directory_make(var, "log");
    CLEANUP(close_fdp) int fd = log < 0 ? log : directory_make(log, "containers");
    if (fd < 0)
        return fd;
    for (size_t i = 0; i < scenario->pod_count; i++) {
        const struct scenario_pod *pod = &scenario->pods[i];
        for (size_t c = 0; pod->has_log_links && c < pod->container_count; c++) {
            int rc = add_log_link(fd, pod, pod->containers[c]);
            if (rc)
                return rc;
        }
    }
    return 0;
}

int node_tree_write(int dirfd, const struct scenario *scenario,
                    const struct node_clock *clock, struct err *err)
{
    CLEANUP(close_fdp) int procfd = directory_make(dirfd, "proc");
    int rc = procfd < 0 ? procfd : write_proc(procfd, scenario, clock);
    if (rc)
        return err_errno(err, -rc, "writing proc/ of the simulated node");
    CLEANUP(close_fdp) int rootfd = directory_make(dirfd, "rootfs");
    rc = rootfd < 0 ? rootfd : write_users(rootfd, scenario);
    rc = rc ? rc : write_log_links(rootfd, scenario);
    return rc ? err_errno(err, -rc, "writing rootfs/ of the simulated node") : 0;
}
