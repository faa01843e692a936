/* The trees on disk, read back. */
#include "sim/node/node_tree.h"

#include "base/cleanup.h"
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct node_clock frozen = {
    .epoch_us = UINT64_C(1768225600000000), .uptime_seconds = 1000000, .is_frozen = true};

static bool exists(int fd, const char *path)
{
    struct stat stat;
    return fstatat(fd, path, &stat, AT_SYMLINK_NOFOLLOW) == 0;
}

static void write_tree(int fd, const struct scenario *scenario)
{
    struct err err = {0};
    if (node_tree_write(fd, scenario, &frozen, &err) != 0)
        fail_msg("%s", err.message);
}

static void process_files(void **state)
{
    (void)state;
    struct scenario s = support_parse(
        "users: [{name: jiwoo, uid: 1001}]\n"
        "pods: [{namespace: ml, name: train-0, uid: u-1, containers: [main]}]\n"
        "processes:\n"
        "  - {command: /usr/bin/python3, arguments: x.py, pid: 20, pod: ml/train-0,\n"
        "     started: 100}\n"
        "  - {command: hidden, pid: 21, in_proc: false}\n"
        "  - {command: later, pid: 22, starts: 5}\n"
        "  - {command: born-in-the-future, pid: 23, started: -60}\n");
    char path[64];
    int fd = support_make_directory(path);
    write_tree(fd, &s);
    assert_non_null(strstr(support_read(fd, "proc/20/stat"), " 0 99990000 "));
    assert_string_equal(support_read(fd, "proc/20/comm"), "python3\n");
    assert_non_null(
        strstr(support_read(fd, "proc/20/cgroup"), "/kubepods-burstable-podu_1."));
    assert_non_null(
        strstr(support_read(fd, "proc/20/mountinfo"), "/pods/u-1/containers/main/"));
    assert_memory_equal(support_read(fd, "proc/20/cmdline"), "/usr/bin/python3\0x.py",
                        22);
    assert_false(exists(fd, "proc/21"));
    assert_false(exists(fd, "proc/22"));
    assert_non_null(strstr(support_read(fd, "proc/23/stat"), " 0 100006000 "));
    assert_string_equal(support_read(fd, "proc/uptime"), "1000000.00 1750000.00\n");
    assert_string_equal(support_read(fd, "proc/1/cgroup"), "0::/init.scope\n");
    assert_string_equal(support_read(fd, "proc/self/cgroup"),
                        "0::/system.slice/gpu-sessions.service\n");
    assert_non_null(strstr(support_read(fd, "rootfs/etc/passwd"),
                           "\njiwoo:x:1001:1001::/home/jiwoo:"));
    support_remove_directory(fd, path);
}

static void log_links(void **state)
{
    (void)state;
    char long_name[254];
    char yaml[600];
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    (void)snprintf(
        yaml, sizeof(yaml),
        "pods:\n  - {namespace: ml, name: a.b, uid: u1, containers: [c1, c2]}\n"
        "  - {namespace: ml, name: %s, uid: u2}\n"
        "  - {namespace: ml, name: quiet, log_links: false}\n",
        long_name);
    struct scenario s = support_parse(yaml);
    char path[64];
    int fd = support_make_directory(path);
    write_tree(fd, &s);
    int links = openat(fd, "rootfs/var/log/containers", O_RDONLY | O_DIRECTORY);
    DIR *dir = fdopendir(links);
    assert_non_null(dir);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char target[600] = "";
        if (entry->d_name[0] == '.')
            continue;
        count++;
        assert_true(readlinkat(links, entry->d_name, target, sizeof(target) - 1) > 0);
        if (entry->d_name[0] == 'a') {
            assert_true(str_starts(str_from(target), STR("/var/log/pods/ml_a.b_u1/c")));
            assert_true(str_ends(str_from(target), STR("/0.log")));
            /* name, namespace, container, then 64 digits: what the kubelet writes */
            assert_int_equal(strlen(entry->d_name), strlen("a.b_ml_c1-") + 64 + 4);
        } else {
            assert_int_equal(strlen(entry->d_name), 255); /* cut, with the id gone */
        }
    }
    assert_int_equal(count, 3);
    closedir(dir);
    support_remove_directory(fd, path);
}

static void private_agent(void **state)
{
    (void)state;
    struct scenario s =
        support_parse("node: {agent: private, agent_pod: mon/agent}\n"
                      "pods:\n  - {namespace: mon, name: agent, uid: ua}\n"
                      "  - {namespace: ml, name: train, uid: ut, qos: guaranteed}\n"
                      "processes: [{command: a, pid: 30, pod: ml/train}]\n");
    char path[64];
    int fd = support_make_directory(path);
    write_tree(fd, &s);
    assert_string_equal(support_read(fd, "proc/self/cgroup"), "0::/\n");
    assert_string_equal(support_read(fd, "proc/1/cgroup"),
                        "0::/../../../../init.scope\n");
    assert_true(str_starts(str_from(support_read(fd, "proc/30/cgroup")),
                           STR("0::/../../../kubepods-podut.slice/cri-containerd-")));
    assert_non_null(
        strstr(support_read(fd, "proc/self/mountinfo"), "/pods/ua/etc-hosts"));
    support_remove_directory(fd, path);
}

static void host_processes(void **state)
{
    (void)state;
    struct scenario s = support_parse("host_processes: 100\n");
    char path[64];
    int fd = support_make_directory(path);
    write_tree(fd, &s);
    static const char *const files[] = {"stat",    "status", "comm",
                                        "cmdline", "cgroup", "mountinfo"};
    for (uint32_t i = 0; i < 100; i++) {
        for (size_t f = 0; f < ARRAY_LENGTH(files); f++) {
            char name[64];
            (void)snprintf(name, sizeof(name), "proc/%u/%s", s.host_pids[i], files[f]);
            assert_true(exists(fd, name));
        }
    }
    assert_string_equal(support_read(fd, "proc/300/cmdline"), ""); /* a kernel thread */
    assert_string_equal(support_read(fd, "proc/308/comm"), "kworker/0:1-eve\n");
    support_remove_directory(fd, path);
}

static void changes(void **state)
{
    (void)state;
    struct scenario s = support_parse("processes: [{command: a, pid: 40, starts: 3}]\n");
    char path[64];
    int fd = support_make_directory(path);
    write_tree(fd, &s);
    CLEANUP(close_fdp) int procfd = openat(fd, "proc", O_RDONLY | O_DIRECTORY);
    assert_int_equal(node_tree_add_process(procfd, &s, &s.processes[0], 50), 0);
    assert_non_null(strstr(support_read(procfd, "40/stat"), " 0 5000 "));
    assert_true(node_tree_add_process(procfd, &s, &s.processes[0], 50) <
                0); /* is there */
    assert_int_equal(node_tree_remove_process(procfd, &s.processes[0]), 0);
    assert_false(exists(procfd, "40"));
    assert_int_equal(node_tree_remove_process(procfd, &s.processes[0]), 0);
    assert_int_equal(node_tree_set_uptime(procfd, 1.5), 0);
    assert_true(str_starts(str_from(support_read(procfd, "uptime")), STR("1.50 ")));
    support_remove_directory(fd, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(process_files), cmocka_unit_test(log_links),
        cmocka_unit_test(private_agent), cmocka_unit_test(host_processes),
        cmocka_unit_test(changes),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    support_free();
    return failed;
}
