/*
 * Every process of four captured nodes gets its pod, namespace, container and UID: as the
 * host sees /proc, as an agent in a cgroup namespace of its own sees it, and with the
 * fallbacks alone.
 */
#include "source/identity.h"

#include "tree.h"

#include "base/cleanup.h"

enum { MAX_PROCESSES = 64, COLUMNS = 7 };

struct truth {
    uint32_t pid;
    struct str container_id, namespace_, pod, uid, container; /* "" for a sandbox */
};

/* Which cgroup file the reader of /proc sees. */
enum view { VIEW_HOST, VIEW_PRIVATE };

/* How much of the kubelet's links there is. */
enum links { LINKS_AS_CAPTURED, LINKS_CUT, LINKS_NONE };

struct node {
    struct tree tree;
    struct str texts[4]; /* loaded files, to be freed */
    size_t text_count;
    struct truth truths[MAX_PROCESSES];
    size_t truth_count;
    struct str links;
    uint32_t self; /* pid of the agent; 0 in the host's view */
};

static struct str load(struct node *node, const char *name, const char *file)
{
    char path[256];
    (void)snprintf(path, sizeof path, "tests/data/nodes/%s/%s", name, file);
    struct str *text = &node->texts[node->text_count++];
    (void)file_load(path, text);
    return *text;
}

static bool is_data_file(const char *name, const char *file)
{
    char path[256];
    (void)snprintf(path, sizeof path, "tests/data/nodes/%s/%s", name, file);
    return access(path, R_OK) == 0;
}

static struct str dash_is_empty(struct str s)
{
    return str_equal(s, STR("-")) ? STR("") : s;
}

static void load_truth(struct node *node, const char *name)
{
    struct str rest = load(node, name, "pids.tsv"), line;
    while (str_split(&rest, '\n', &line)) {
        struct str columns[COLUMNS];
        if (!line.n || line.p[0] == '#')
            continue;
        for (size_t i = 0; i < COLUMNS; i++)
            assert_true(str_split(&line, '\t', &columns[i]));
        assert_true(node->truth_count < MAX_PROCESSES);
        struct truth *truth = &node->truths[node->truth_count++];
        assert_true(str_u32(columns[0], &truth->pid));
        truth->container_id = columns[1];
        truth->namespace_ = columns[3];
        truth->pod = columns[4];
        truth->uid = columns[5];
        truth->container = dash_is_empty(columns[6]);
    }
}

/* Takes a section "=== <title>\n<body>" off REST. */
static bool next_section(struct str *rest, struct str *title, struct str *body)
{
    const struct str mark = STR("=== ");
    if (!rest->n)
        return false;
    assert_true(str_starts(*rest, mark));
    *rest = str_part(*rest, mark.n, rest->n - mark.n);
    assert_true(str_split(rest, '\n', title));
    ptrdiff_t end = str_find_text(*rest, STR("\n=== "));
    size_t n = end < 0 ? rest->n : (size_t)end + 1;
    *body = str_part(*rest, 0, n);
    *rest = str_part(*rest, n, rest->n - n);
    return true;
}

static void write_cmdline(struct node *node, const char *path, struct str body)
{
    char text[4096];
    size_t n = 0;
    assert_true(body.n > 0 && body.n < sizeof text);
    for (size_t i = 0; i + 1 < body.n; i++) {
        bool is_nul = body.p[i] == '\\' && body.p[i + 1] == '0';
        text[n++] = is_nul ? '\0' : body.p[i];
        i += is_nul;
    }
    tree_write(&node->tree, path, (struct str){text, n});
}

static void write_processes(struct node *node, const char *name)
{
    struct str rest = load(node, name, "processes.txt"), title, body;
    while (next_section(&rest, &title, &body)) {
        char path[128];
        (void)snprintf(path, sizeof path, "proc/%.*s", (int)title.n, title.p);
        if (str_ends(title, STR("/cmdline")))
            write_cmdline(node, path, body);
        else
            tree_write(&node->tree, path, body);
    }
}

/* Replaces the cgroup files by what the agent read, and makes the reader the agent. */
static void write_private_view(struct node *node, const char *name)
{
    bool is_v2 = is_data_file(name, "agent-cgroup.txt");
    struct str rest =
        load(node, name, is_v2 ? "agent-cgroup.txt" : "cgroupns-cgroup.txt");
    struct str title, body, self_mounts = {NULL, 0};
    char path[128], mounts_path[PATH_MAX + 64];
    while (next_section(&rest, &title, &body)) {
        (void)snprintf(path, sizeof path, "proc/%.*s/cgroup", (int)title.n, title.p);
        tree_write(&node->tree, path, body);
        uint32_t pid;
        if (str_u32(title, &pid) && str_ends(body, STR("0::/\n")))
            node->self = pid;
    }
    assert_true(node->self != 0);
    tree_write_text(&node->tree, "proc/1/cgroup", "0::/../../../../init.scope\n");
    if (is_v2)
        (void)snprintf(mounts_path, sizeof mounts_path, "%s/proc/%u/mountinfo",
                       node->tree.path, node->self);
    else
        (void)snprintf(mounts_path, sizeof mounts_path,
                       "tests/data/nodes/%s/self-mountinfo.txt", name);
    char *loaded = file_load(mounts_path, &self_mounts);
    tree_write(&node->tree, "proc/self/mountinfo", self_mounts);
    free(loaded);
}

static void write_links(struct node *node, const char *name, enum links links)
{
    struct str rest = load(node, name, "containers.tsv"), line, link;
    node->links = rest;
    assert_int_equal(mkdirat(node->tree.fd, "logs", 0755), 0);
    for (unsigned i = 0; links != LINKS_NONE && str_split(&rest, '\n', &line); i++) {
        char path[512], target[512];
        if (!line.n)
            continue;
        assert_true(str_split(&line, '\t', &link));
        if (links == LINKS_CUT)
            (void)snprintf(path, sizeof path, "logs/%u.log", i);
        else
            (void)snprintf(path, sizeof path, "logs/%.*s", (int)link.n, link.p);
        (void)snprintf(target, sizeof target, "%.*s", (int)line.n, line.p);
        tree_link(&node->tree, path, target);
    }
}

static struct node *node_make(const char *name, enum view view, enum links links)
{
    struct node *node = calloc(1, sizeof *node);
    assert_non_null(node);
    node->tree = tree_make();
    tree_write_text(&node->tree, "proc/stat", "cpu 0\nbtime 1767225600\n");
    tree_write_text(&node->tree, "proc/uptime", "1000000.00 0.00\n");
    load_truth(node, name);
    write_processes(node, name);
    if (view == VIEW_PRIVATE)
        write_private_view(node, name);
    write_links(node, name, links);
    return node;
}

static void node_free(struct node *node)
{
    tree_remove(&node->tree, "");
    for (size_t i = 0; i < node->text_count; i++)
        free((void *)(uintptr_t)node->texts[i].p);
    free(node);
}

static struct identity_source *node_open(const struct node *node,
                                         struct error_counters *errors)
{
    char procfs[PATH_MAX + 8], podlogs[PATH_MAX + 8];
    (void)snprintf(procfs, sizeof procfs, "%s/proc", node->tree.path);
    (void)snprintf(podlogs, sizeof podlogs, "%s/logs", node->tree.path);
    static struct call_progress progress;
    const struct identity_config config = {.progress = &progress,
                                           .procfs = procfs,
                                           .rootfs = node->tree.path,
                                           .podlogs = podlogs,
                                           .errors = errors};
    struct identity_source *source = NULL;
    struct err err = {0};
    assert_int_equal(identity_open(&config, &source, &err), 0);
    return source;
}

static void node_collect(const struct node *node, struct identity_source *source,
                         struct process_identity *out)
{
    struct process_clock clock;
    uint32_t pids[MAX_PROCESSES];
    for (size_t i = 0; i < node->truth_count; i++)
        pids[i] = node->truths[i].pid;
    assert_int_equal(identity_clock(source, &clock, NULL), 0);
    assert_int_equal(identity_collect(source, &clock, pids, node->truth_count, out, NULL),
                     0);
}

static void check_pod(const struct node *node, const struct truth *truth,
                      enum links links, const struct process_identity *identity)
{
    const struct pod_identity *pod = &identity->pod;
    print_message("#   %u %.*s/%.*s\n", truth->pid, (int)truth->namespace_.n,
                  truth->namespace_.p, (int)truth->pod.n, truth->pod.p);
    assert_int_equal(identity->pid, truth->pid);
    assert_int_equal(identity->state, IDENTITY_KNOWN);
    assert_true(identity->has_uid && identity->uid == 0);
    assert_non_null(identity->command);
    assert_str(truth->uid, pod->uid);
    /* Of itself, an agent in a private namespace sees no container id. */
    if (truth->pid == node->self)
        assert_null(pod->container_id);
    else
        assert_str(truth->container_id, pod->container_id);

    /* The one pod of which no container ever started: see tests/data/nodes/README.md. */
    bool has_names = links != LINKS_NONE && str_find_text(node->links, truth->uid) >= 0;
    assert_true(has_names || links == LINKS_NONE ||
                str_equal(truth->pod, STR("no-such-image")));
    assert_int_equal(pod->state, has_names ? POD_RESOLVED : POD_UNRESOLVED);
    assert_str(has_names ? truth->namespace_ : STR(""), pod->namespace_);
    assert_str(has_names ? truth->pod : STR(""), pod->name);
    assert_str(truth->container, pod->container);
}

static void check_node(const char *name, enum view view, enum links links)
{
    print_message("# %s, view %u, links %u\n", name, (unsigned)view, (unsigned)links);
    struct node *node = node_make(name, view, links);
    struct error_counters errors = {0};
    struct process_identity out[MAX_PROCESSES];
    struct identity_source *source = node_open(node, &errors);
    /* The second collection answers from what the first one learnt. */
    for (int i = 0; i < 2; i++) {
        node_collect(node, source, out);
        for (size_t j = 0; j < node->truth_count; j++)
            check_pod(node, &node->truths[j], links, &out[j]);
    }
    identity_close(source);
    node_free(node);
}

static const char *const v1_nodes[] = {"v1-cgroupfs-api", "v1-cgroupfs-static"};
static const char *const v2_nodes[] = {"v2-systemd-api", "v2-systemd-static"};

static void host_view(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(v1_nodes); i++) {
        check_node(v1_nodes[i], VIEW_HOST, LINKS_AS_CAPTURED);
        check_node(v2_nodes[i], VIEW_HOST, LINKS_AS_CAPTURED);
    }
}

static void private_view(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(v1_nodes); i++) {
        check_node(v1_nodes[i], VIEW_PRIVATE, LINKS_AS_CAPTURED);
        check_node(v2_nodes[i], VIEW_PRIVATE, LINKS_AS_CAPTURED);
    }
}

/* Without container ids in the links, or without links, the mounts tell the container. */
static void fallbacks(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(v2_nodes); i++) {
        for (enum view view = VIEW_HOST; view <= VIEW_PRIVATE; view++) {
            check_node(v2_nodes[i], view, LINKS_CUT);
            check_node(v2_nodes[i], view, LINKS_NONE);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_view),
        cmocka_unit_test(private_view),
        cmocka_unit_test(fallbacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
