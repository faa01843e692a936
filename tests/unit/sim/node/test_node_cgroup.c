/* Cgroup paths and what a reader in a namespace of its own sees of them. */
#include "sim/node/node_cgroup.h"

#include "base/cleanup.h"
#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define UID "51b64565-2b17-4d46-83ac-22e398f2f7fb"
#define SLICE_UID "51b64565_2b17_4d46_83ac_22e398f2f7fb"

/* Every combination; ID stands for the container's id. */
static void container_paths(void **state)
{
    (void)state;
    static const struct {
        enum cgroup_driver driver;
        enum container_runtime runtime;
        enum pod_qos qos;
        const char *before, *after; /* the id */
    } cases[] = {
        {CGROUP_CGROUPFS, RUNTIME_CONTAINERD, QOS_GUARANTEED, "/kubepods/pod" UID "/",
         ""},
        {CGROUP_CGROUPFS, RUNTIME_DOCKER, QOS_BURSTABLE,
         "/kubepods/burstable/pod" UID "/", ""},
        {CGROUP_CGROUPFS, RUNTIME_CRIO, QOS_BESTEFFORT,
         "/kubepods/besteffort/pod" UID "/crio-", ""},
        {CGROUP_SYSTEMD, RUNTIME_CONTAINERD, QOS_GUARANTEED,
         "/kubepods.slice/kubepods-pod" SLICE_UID ".slice/cri-containerd-", ".scope"},
        {CGROUP_SYSTEMD, RUNTIME_CRIO, QOS_BURSTABLE,
         "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" SLICE_UID
         ".slice/crio-",
         ".scope"},
        {CGROUP_SYSTEMD, RUNTIME_DOCKER, QOS_BESTEFFORT,
         "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" SLICE_UID
         ".slice/docker-",
         ".scope"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct scenario_pod pod = {.namespace = "a",
                                   .name = "b",
                                   .uid = UID,
                                   .qos = cases[i].qos,
                                   .cgroup_driver = cases[i].driver,
                                   .runtime = cases[i].runtime};
        char id[65];
        CLEANUP(buf_done) struct buf path = BUF_INIT(CGROUP_PATH_BYTES_MAX);
        CLEANUP(buf_done) struct buf expected = BUF_INIT(CGROUP_PATH_BYTES_MAX);
        node_container_id(id, &pod, "main");
        buf_printf(&expected, "%s%s%s", cases[i].before, id, cases[i].after);
        node_cgroup_container_path(&path, &pod, "main");
        assert_true(str_equal(buf_str(&path), buf_str(&expected)));
    }
}

static void views(void **state)
{
    (void)state;
    static const struct {
        const char *root, *path, *seen;
    } cases[] = {
        {"", "/a/b", "/a/b"},
        {"/", "/a/b", "/a/b"},
        {"/k/b/p/c", "/k/b/p/c", "/"},
        {"/k/b/p/c", "/k/b/p/c/init", "/init"},
        {"/k/b/p/c", "/k/b/p/d", "/../d"},
        {"/k/b/p/c", "/k/b/p2/c", "/../../p2/c"},
        {"/k/b/p/c", "/k/p2/c", "/../../../p2/c"},
        {"/k/p/c", "/k/b/p2/c", "/../../b/p2/c"},
        {"/k/b/p/c", "/system.slice/ssh.service",
         "/../../../../system.slice/ssh.service"},
        {"/k/b/p/c", "/", "/../../../.."},
        {"/k/b/p/c", "/k/b/p/cc", "/../cc"}, /* a common head is no common folder */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(buf_done) struct buf buf = BUF_INIT(1000);
        node_cgroup_view(&buf, str_from(cases[i].root), str_from(cases[i].path));
        assert_true(str_equal(buf_str(&buf), str_from(cases[i].seen)));
    }
}

static void lines(void **state)
{
    (void)state;
    struct scenario v2 = {.cgroup_version = 2};
    struct scenario v1 = {.cgroup_version = 1};
    CLEANUP(buf_done) struct buf buf = BUF_INIT(4096);
    node_cgroup_render(&buf, &v2, STR(""), STR("/a"));
    assert_true(str_equal(buf_str(&buf), STR("0::/a\n")));
    buf_reset(&buf);
    node_cgroup_render(&buf, &v1, STR(""), STR("/a"));
    assert_true(str_equal(buf_str(&buf),
                          STR("9:name=systemd:/a\n8:pids:/a\n7:blkio:/a\n6:freezer:/a\n"
                              "5:devices:/a\n4:memory:/a\n3:cpuset:/a\n2:cpuacct:/a\n"
                              "1:cpu:/a\n0::/a\n")));
}

static void host_paths(void **state)
{
    (void)state;
    struct scenario s = support_parse("processes:\n"
                                      "  - {command: a}\n"
                                      "  - {command: b, user: \"1000\", pid: 207}\n"
                                      "  - {command: c, cgroup: /machine.slice/x}\n");
    static const char *const expected[] = {"/user.slice/user-1000.slice/session-7.scope",
                                           "/system.slice/gpu-job.service",
                                           "/machine.slice/x"};
    for (size_t i = 0; i < s.process_count; i++) {
        CLEANUP(buf_done) struct buf path = BUF_INIT(CGROUP_PATH_BYTES_MAX);
        node_cgroup_process_path(&path, &s, &s.processes[i]);
        assert_true(str_equal(buf_str(&path), str_from(expected[i])));
    }
}

static void mounts(void **state)
{
    (void)state;
    struct scenario s =
        support_parse("node: {cgroup_version: 1, kubelet_root: /data/kubelet}\n"
                      "pods: [{name: p, uid: " UID ", runtime: crio}]\n");
    CLEANUP(buf_done) struct buf buf = BUF_INIT(1 << 16);
    node_mountinfo_render_container(&buf, &s, STR(""), &s.pods[0], "main");
    struct str text = buf_str(&buf);
    assert_true(
        str_find_text(text, STR(" /data/kubelet/pods/" UID "/etc-hosts /etc/hosts "
                                "rw,")) > 0);
    assert_true(str_find_text(text, STR(" /data/kubelet/pods/" UID "/containers/main/")) >
                0);
    assert_true(str_find_text(text, STR(" /dev/termination-log ")) > 0);
    assert_true(str_find_text(text, STR("/overlay-containers/")) > 0);
    assert_true(str_find_text(text, STR(" /sys/fs/cgroup/memory ")) > 0);
    struct str line;
    while (text.n && str_split(&text, '\n', &line) && line.n) {
        /* id parent major:minor root point options - type source super */
        assert_true(str_find_text(line, STR(" - ")) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(container_paths), cmocka_unit_test(views),
        cmocka_unit_test(lines),           cmocka_unit_test(host_paths),
        cmocka_unit_test(mounts),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    support_free();
    return failed;
}
