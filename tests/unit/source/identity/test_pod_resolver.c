/* The order of the resolvers, and what each of them is believed. */
#include "source/identity/pod_resolver.h"

#include "tree.h"

#define ID_A "65d752a38e1db784d521f48c3f1956f4f9a74ebb923377144f253f3aca9fa028"
#define ID_B "a069581483b00a498b3ba172612ffed06b3275a043bf3895c1b19e783e2793ee"
#define ID_X "2fa3e04b676df750842faf017052dd37ea0cc5bc7259a3487a1718c7fe100c94"
#define UID_A "51b64565-2b17-4d46-83ac-22e398f2f7fb"
#define UID_B "5a89bcaa-3509-4375-83e1-b9e7a5712123"
#define UID_X "404bd273-57bc-4508-a386-e2b76d3c9cfe"
#define POD(uid, id) "0::/kubepods/burstable/pod" uid "/" id "\n"
#define MOUNT(uid, name)                                                                 \
    "1 2 254:0 /k/pods/" uid "/containers/" name                                         \
    "/d127bc85 /dev/termination-log rw - x y z\n"

struct fixture {
    struct tree tree;
    char podlogs_path[PATH_MAX + 8];
    struct error_counters errors;
    struct pod_resolver resolver;
    struct process_entry entry;
};

/* Pod "a" of namespace "ml" with container "main" (ID_A), pod "b" of "ns" with "side"
 * (ID_B). */
static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->tree = tree_make();
    tree_link(&f->tree, "logs/a_ml_main-" ID_A ".log", "/l/ml_a_" UID_A "/main/0.log");
    tree_link(&f->tree, "logs/b_ns_side-" ID_B ".log", "/l/ns_b_" UID_B "/side/0.log");
    (void)snprintf(f->podlogs_path, sizeof f->podlogs_path, "%s/logs", f->tree.path);
    f->resolver.errors = &f->errors;
    f->resolver.podlogs = podlogs_new(f->podlogs_path, &f->errors);
    f->resolver.scratch = malloc(POD_RESOLVER_SCRATCH_BYTES);
    assert_non_null(f->resolver.podlogs);
    assert_non_null(f->resolver.scratch);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    podlogs_free(f->resolver.podlogs);
    free(f->resolver.scratch);
    tree_remove(&f->tree, "");
    free(f);
    return 0;
}

static const struct pod_identity *resolve(struct fixture *f, const char *cgroup,
                                          const char *mounts, uint64_t round)
{
    if (faccessat(f->tree.fd, "process", F_OK, 0) == 0)
        tree_remove(&f->tree, "process");
    assert_int_equal(mkdirat(f->tree.fd, "process", 0755), 0);
    if (cgroup)
        tree_write_text(&f->tree, "process/cgroup", cgroup);
    if (mounts)
        tree_write_text(&f->tree, "process/mountinfo", mounts);
    CLEANUP(close_fdp)
    int process = openat(f->tree.fd, "process", O_PATH | O_DIRECTORY | O_CLOEXEC);
    memset(&f->entry, 0, sizeof f->entry);
    pod_resolve(&f->resolver, process, round, &f->entry);
    return &f->entry.identity.pod;
}

static void chain(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *own_uid; /* of a reader in a private namespace; NULL: the host's */
        const char *cgroup, *mounts;
        enum pod_state expected;
        const char *uid, *namespace_, *name, *container, *container_id, *resolver;
    } rows[] = {
        /* the container id is known */
        {NULL, POD(UID_A, ID_A), NULL, POD_RESOLVED, UID_A, "ml", "a", "main", ID_A,
         "podlogs"},
        /* only the pod is; mounts tell the container, if they agree */
        {NULL, POD(UID_A, ID_X), MOUNT(UID_A, "new"), POD_RESOLVED, UID_A, "ml", "a",
         "new", ID_X, "podlogs"},
        {NULL, POD(UID_A, ID_X), MOUNT(UID_B, "side"), POD_RESOLVED, UID_A, "ml", "a", "",
         ID_X, "podlogs"},
        {NULL, POD(UID_A, ID_X), NULL, POD_RESOLVED, UID_A, "ml", "a", "", ID_X,
         "podlogs"},
        /* a link of another pod with this container id is not believed */
        {NULL, POD(UID_A, ID_B), MOUNT(UID_A, "new"), POD_RESOLVED, UID_A, "ml", "a",
         "new", ID_B, "podlogs"},
        {NULL, POD(UID_X, ID_B), NULL, POD_UNRESOLVED, UID_X, "", "", "", ID_B, ""},
        /* a pod that this node's kubelet does not know */
        {NULL, POD(UID_X, ID_X), NULL, POD_UNRESOLVED, UID_X, "", "", "", ID_X, ""},
        {NULL, POD(UID_X, ID_X), MOUNT(UID_X, "c"), POD_UNRESOLVED, UID_X, "", "", "c",
         ID_X, "mountinfo"},
        /* no pod in the path, but a container that the kubelet knows (no QoS cgroups) */
        {NULL, "0::/system.slice/cri-containerd-" ID_A ".scope\n", NULL, POD_RESOLVED,
         UID_A, "ml", "a", "main", ID_A, "podlogs"},
        {NULL, "0::/" ID_B "\n", NULL, POD_RESOLVED, UID_B, "ns", "b", "side", ID_B,
         "podlogs"},
        /* outside Kubernetes */
        {NULL, "0::/system.slice/docker-" ID_X ".scope\n", MOUNT(UID_A, "main"), POD_NONE,
         "", "", "", "", ID_X, ""},
        {NULL, "0::/system.slice/ssh.service\n", MOUNT(UID_A, "main"), POD_NONE, "", "",
         "", "", "", ""},
        {NULL, "0::/\n", NULL, POD_NONE, "", "", "", "", "", ""},
        /* a user who names his cgroup like a pod's container */
        {NULL, "0::/user.slice/user@1000.service/pod" UID_A "/" ID_A "\n",
         MOUNT(UID_A, "main"), POD_NONE, "", "", "", "", ID_A, ""},
        /* no cgroup: mounts are believed where the kubelet knows the pod */
        {NULL, NULL, MOUNT(UID_A, "main"), POD_RESOLVED, UID_A, "ml", "a", "main", "",
         "mountinfo"},
        {NULL, NULL, MOUNT(UID_X, "main"), POD_UNKNOWN, "", "", "", "", "", ""},
        {NULL, NULL, NULL, POD_UNKNOWN, "", "", "", "", "", ""},
        {NULL, "garbage", NULL, POD_UNKNOWN, "", "", "", "", "", ""},
        /* a reader in a private namespace, itself in pod a */
        {UID_A, "0::/\n", NULL, POD_RESOLVED, UID_A, "ml", "a", "own", "", "mountinfo"},
        {UID_A, "0::/init\n", NULL, POD_RESOLVED, UID_A, "ml", "a", "own", "",
         "mountinfo"},
        {UID_A, "0::/../" ID_A "\n", NULL, POD_RESOLVED, UID_A, "ml", "a", "main", ID_A,
         "podlogs"},
        {UID_A, "0::/../" ID_X "\n", MOUNT(UID_A, "new"), POD_RESOLVED, UID_A, "ml", "a",
         "new", ID_X, "podlogs"},
        {UID_A, "0::/../cri-containerd-" ID_B ".scope\n", NULL, POD_RESOLVED, UID_A, "ml",
         "a", "", ID_B, "podlogs"},
        {UID_A, "0::/../../../..\n", NULL, POD_NONE, "", "", "", "", "", ""},
        {UID_A, "0::/../../../../system.slice/ssh.service\n", NULL, POD_NONE, "", "", "",
         "", "", ""},
        /* one in a private namespace outside any pod (plain Docker) */
        {"", "0::/\n", NULL, POD_NONE, "", "", "", "", "", ""},
        {"", "0::/../" ID_X "\n", NULL, POD_NONE, "", "", "", "", ID_X, ""},
        {"", "0::/../" ID_X "\n", MOUNT(UID_X, "c"), POD_NONE, "", "", "", "", ID_X, ""},
        {"", "0::/../crio-" ID_X ".scope\n", NULL, POD_UNRESOLVED, "", "", "", "", ID_X,
         ""},
        {"", "0::/../" ID_B "\n", NULL, POD_RESOLVED, UID_B, "ns", "b", "side", ID_B,
         "podlogs"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct own_view *own = &f->resolver.own;
        memset(own, 0, sizeof *own);
        own->has_mounts = true;
        own->is_private = rows[i].own_uid != NULL;
        if (rows[i].own_uid && rows[i].own_uid[0]) {
            (void)snprintf(own->pod_uid, sizeof own->pod_uid, "%s", rows[i].own_uid);
            (void)snprintf(own->container, sizeof own->container, "own");
        }
        print_message("row %zu\n", i);
        const struct pod_identity *pod = resolve(f, rows[i].cgroup, rows[i].mounts, 1);
        assert_int_equal(pod->state, rows[i].expected);
        assert_str(str_from(pod->uid), rows[i].uid);
        /* mounts alone make no pod of which Kubernetes may be asked */
        assert_int_equal(pod->is_uid_sure, pod->uid && rows[i].cgroup);
        assert_str(str_from(pod->namespace_), rows[i].namespace_);
        assert_str(str_from(pod->name), rows[i].name);
        assert_str(str_from(pod->container), rows[i].container);
        assert_str(str_from(pod->container_id), rows[i].container_id);
        assert_str(str_from(pod->resolver), rows[i].resolver);
    }
}

/* Without its own mounts, a reader cannot tell its own pod's containers from others. */
static void unreadable_self(void **state)
{
    struct fixture *f = *state;
    f->resolver.own = (struct own_view){.is_private = true};
    assert_int_equal(resolve(f, "0::/\n", NULL, 1)->state, POD_UNKNOWN);
    assert_int_equal(resolve(f, "0::/../" ID_X "\n", NULL, 1)->state, POD_UNKNOWN);
}

static void own_view(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *init_cgroup, *mounts;
        bool is_private, has_mounts;
        const char *uid, *container;
    } rows[] = {
        {"0::/init.scope\n", "1 2 0:26 / / rw - ext4 x y\n", false, true, "", ""},
        {"0::/../../../../init.scope\n", MOUNT(UID_A, "agent"), true, true, UID_A,
         "agent"},
        {NULL, MOUNT(UID_A, "agent") "1 2 0:26 /../../.. /h/cgroup ro - cgroup2 c rw\n",
         true, true, UID_A, "agent"},
        {"0::/init.scope\n", MOUNT(UID_A, "agent"), false, true, UID_A, "agent"},
        {NULL, NULL, false, false, "", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct tree proc = tree_make();
        if (rows[i].init_cgroup)
            tree_write_text(&proc, "1/cgroup", rows[i].init_cgroup);
        if (rows[i].mounts)
            tree_write_text(&proc, "self/mountinfo", rows[i].mounts);
        own_view_read(&f->resolver, proc.fd);
        const struct own_view *own = &f->resolver.own;
        assert_int_equal(own->is_private, rows[i].is_private);
        assert_int_equal(own->has_mounts, rows[i].has_mounts);
        assert_string_equal(own->pod_uid, rows[i].uid);
        assert_string_equal(own->container, rows[i].container);
        tree_remove(&proc, "");
    }
}

static uint64_t counted(const struct fixture *f, const char *reason)
{
    for (size_t i = 0; i < f->errors.count; i++) {
        if (strcmp(f->errors.entries[i].reason, reason) == 0)
            return f->errors.entries[i].value;
    }
    return 0;
}

static void names_that_come_later(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(resolve(f, POD(UID_X, ID_X), NULL, 1)->state, POD_UNRESOLVED);
    assert_int_equal(counted(f, "unresolved"), 1);
    pod_resolve_again(&f->resolver, 2, &f->entry);
    assert_int_equal(f->entry.identity.pod.state, POD_UNRESOLVED);
    assert_int_equal(counted(f, "unresolved"), 2);
    tree_link(&f->tree, "logs/x_ml_c-" ID_X ".log", "/l/ml_x_" UID_X "/c/0.log");
    pod_resolve_again(&f->resolver, 3, &f->entry);
    const struct pod_identity *pod = &f->entry.identity.pod;
    assert_int_equal(pod->state, POD_RESOLVED);
    assert_string_equal(pod->name, "x");
    assert_string_equal(pod->container, "c");
    /* Nothing more is wanted: a link that goes away takes no name away. */
    tree_remove(&f->tree, "logs");
    pod_resolve_again(&f->resolver, 4, &f->entry);
    assert_int_equal(pod->state, POD_RESOLVED);
    assert_int_equal(counted(f, "unresolved"), 2);
}

static void huge_cgroup_file(void **state)
{
    struct fixture *f = *state;
    size_t n = 2 * (size_t)POD_RESOLVER_SCRATCH_BYTES;
    char *text = malloc(n + 1);
    assert_non_null(text);
    memset(text, 'x', n);
    text[n] = '\0';
    /* One line of it: nothing whole was read. */
    memcpy(text, "0::/", 4);
    assert_int_equal(resolve(f, text, NULL, 1)->state, POD_UNKNOWN);
    /* The head tells the pod, the rest is left. */
    memcpy(text, POD(UID_A, ID_A), strlen(POD(UID_A, ID_A)));
    assert_int_equal(resolve(f, text, NULL, 1)->state, POD_RESOLVED);
    assert_int_equal(counted(f, "truncated"), 2);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unreadable_self, set_up, tear_down),
        cmocka_unit_test_setup_teardown(own_view, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_that_come_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(huge_cgroup_file, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
