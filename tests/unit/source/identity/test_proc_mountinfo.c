/* Pod UID and container name out of the mounts that the kubelet makes. */
#include "source/identity/proc_mountinfo.h"

#include "tree.h"

#define UID_A "46eb2cea-0ce3-415e-a797-78fe8fb9ce24"
#define UID_B "5a89bcaa-3509-4375-83e1-b9e7a5712123"
#define LINE(root, point) "1 2 254:0 " root " " point " rw,relatime - ext4 /dev/vda rw\n"
#define TERMINATION(uid, name)                                                           \
    "/var/lib/kubelet/pods/" uid "/containers/" name "/d127bc85"

static struct proc_mountinfo parse(const char *text)
{
    struct proc_mountinfo facts = {0};
    struct str rest = str_from(text), line;
    while (str_split(&rest, '\n', &line))
        proc_mountinfo_parse_line(line, &facts);
    return facts;
}

static void roots(void **state)
{
    (void)state;
    static const struct {
        const char *text, *uid, *container;
        enum mountinfo_evidence evidence;
    } rows[] = {
        {LINE(TERMINATION(UID_A, "work"), "/dev/termination-log"), UID_A, "work",
         MOUNTINFO_CONTAINER},
        {LINE("/pods/" UID_A "/containers/work/0123abcd", "/custom/log"), UID_A, "work",
         MOUNTINFO_CONTAINER},
        {LINE(TERMINATION(UID_A, "work") "//deleted", "/dev/termination-log"), UID_A,
         "work", MOUNTINFO_CONTAINER},
        {LINE("/with\\040blank/pods/" UID_A "/containers/work/0123abcd", "/x"), UID_A,
         "work", MOUNTINFO_CONTAINER},
        {LINE("/a/pods/" UID_A "/etc-hosts", "/etc/hosts"), UID_A, "", MOUNTINFO_HOSTS},
        {LINE("/a/pods/" UID_A "/etc-hosts", "/data"), "", "", MOUNTINFO_NOTHING},
        {LINE("/a/pods/" UID_A "/volumes/kubernetes.io~empty-dir/cache", "/cache"), UID_A,
         "", MOUNTINFO_VOLUME},
        {LINE("/a/pods/" UID_A "/volume-subpaths/v/c/0", "/x"), UID_A, "",
         MOUNTINFO_VOLUME},
        /* a sandbox has mounts of its runtime only */
        {LINE(
             "/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/476384/resolv.conf",
             "/etc/resolv.conf"),
         "", "", MOUNTINFO_NOTHING},
        /* the kubelet's directory as a volume of a node agent */
        {LINE("/var/lib/kubelet/pods", "/pods"), "", "", MOUNTINFO_NOTHING},
        {LINE("/var/lib/kubelet/pods/" UID_A, "/x"), "", "", MOUNTINFO_NOTHING},
        {LINE("/var/lib/kubelet/pods/" UID_A "/containers/work", "/x"), "", "",
         MOUNTINFO_NOTHING},
        {LINE("/a/pods/" UID_A "/containers/work/notahash", "/x"), "", "",
         MOUNTINFO_NOTHING},
        {LINE("/a/pods/" UID_A "/containers/work/0123abcd/x", "/x"), "", "",
         MOUNTINFO_NOTHING},
        {LINE("/a/pods/" UID_A "/containers//0123abcd", "/x"), "", "", MOUNTINFO_NOTHING},
        /* a directory that the workload named like another pod's */
        {LINE("/a/pods/" UID_A "/volumes/kubernetes.io~empty-dir/v/pods/" UID_B
              "/containers/c/0123abcd",
              "/dev/termination-log"),
         UID_A, "", MOUNTINFO_VOLUME},
        {"", "", "", MOUNTINFO_NOTHING},
        {"1 2 3", "", "", MOUNTINFO_NOTHING},
        {"1 2 254:0 /pods/" UID_A "/etc-hosts", "", "", MOUNTINFO_NOTHING},
        {"1 2 254:0 /pods/" UID_A "/etc-hosts /etc/hosts", UID_A, "", MOUNTINFO_HOSTS},
        {LINE("/x\\04", "/y"), "", "", MOUNTINFO_NOTHING},
        {LINE("/x\\", "/y"), "", "", MOUNTINFO_NOTHING},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct proc_mountinfo facts = parse(rows[i].text);
        assert_string_equal(facts.pod_uid, rows[i].uid);
        assert_string_equal(facts.container, rows[i].container);
        assert_int_equal(facts.evidence, rows[i].evidence);
    }
}

static void better_evidence_wins(void **state)
{
    (void)state;
    struct proc_mountinfo facts =
        parse(LINE("/a/pods/" UID_B "/volumes/kubernetes.io~csi/v", "/v") //
              LINE("/a/pods/" UID_A "/etc-hosts", "/etc/hosts")           //
              LINE(TERMINATION(UID_A, "first"), "/dev/termination-log")   //
              LINE(TERMINATION(UID_B, "second"), "/dev/termination-log")  //
              LINE("/a/pods/" UID_B "/etc-hosts", "/etc/hosts"));
    assert_string_equal(facts.pod_uid, UID_A);
    assert_string_equal(facts.container, "first");
    assert_false(facts.is_ambiguous);
}

static void volumes_of_many_pods_tell_nothing(void **state)
{
    (void)state;
    struct tree tree = tree_make();
    struct proc_mountinfo facts;
    tree_write_text(&tree, "mountinfo",
                    LINE("/a/pods/" UID_A "/volumes/kubernetes.io~csi/v", "/v") //
                    LINE("/a/pods/" UID_B "/volumes/kubernetes.io~csi/v", "/w"));
    assert_int_equal(proc_mountinfo_read(tree.fd, "mountinfo", &facts), 0);
    assert_true(facts.is_ambiguous);
    assert_string_equal(facts.pod_uid, "");
    tree_remove(&tree, "");
}

static void cgroups_above(void **state)
{
    (void)state;
    assert_true(parse("1 2 0:26 /../../.. /host/cgroup ro - cgroup2 cgroup rw\n")
                    .sees_cgroups_above);
    assert_false(
        parse("1 2 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n").sees_cgroups_above);
    assert_false(parse("1 2 0:26 /../x /y ro - ext4 /dev/vda rw\n").sees_cgroups_above);
}

static void bounds(void **state)
{
    (void)state;
    struct tree tree = tree_make();
    struct proc_mountinfo facts;
    const struct str wanted =
        STR(LINE(TERMINATION(UID_A, "work"), "/dev/termination-log"));
    assert_int_equal(proc_mountinfo_read(tree.fd, "mountinfo", &facts), -ENOENT);

    /* A line longer than the buffer, then the one that is wanted. */
    char *text = malloc(TREE_FILE_BYTES + 1);
    assert_non_null(text);
    memset(text, 'x', TREE_FILE_BYTES);
    text[40000] = '\n';
    memcpy(text + 40001, wanted.p, wanted.n);
    tree_write(&tree, "mountinfo", (struct str){text, 40001 + wanted.n});
    assert_int_equal(proc_mountinfo_read(tree.fd, "mountinfo", &facts), 0);
    assert_string_equal(facts.container, "work");

    /* More than the budget: what the head tells is kept, and that it was cut. */
    text[TREE_FILE_BYTES] = '\n';
    tree_write(&tree, "mountinfo", (struct str){text, TREE_FILE_BYTES + 1});
    assert_int_equal(proc_mountinfo_read(tree.fd, "mountinfo", &facts), FDIO_TRUNCATED);
    assert_string_equal(facts.container, "work");
    free(text);

    char long_uid[400];
    (void)snprintf(long_uid, sizeof long_uid,
                   "1 2 3:4 /pods/%0*d/etc-hosts /etc/hosts rw", POD_UID_BYTES + 1, 0);
    assert_int_equal(parse(long_uid).evidence, MOUNTINFO_NOTHING);
    (void)snprintf(long_uid, sizeof long_uid,
                   "1 2 3:4 /pods/%0*d/etc-hosts /etc/hosts rw", POD_UID_BYTES, 0);
    assert_int_equal(strlen(parse(long_uid).pod_uid), POD_UID_BYTES);
    (void)snprintf(long_uid, sizeof long_uid,
                   "1 2 3:4 /pods/u/containers/%0*d/0123abcd /x rw",
                   CONTAINER_NAME_BYTES + 1, 0);
    assert_int_equal(parse(long_uid).evidence, MOUNTINFO_NOTHING);
    tree_remove(&tree, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots),
        cmocka_unit_test(better_evidence_wins),
        cmocka_unit_test(volumes_of_many_pods_tell_nothing),
        cmocka_unit_test(cgroups_above),
        cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
