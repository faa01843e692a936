/*
 * A hand-written scanner of cgroup paths. Input is influenced by strangers: a container
 * with a delegated cgroup, or a user below user@.service, can make sub-cgroups of any
 * name. Rules and test vectors come from the layouts of kubelet (cgroupfs and systemd
 * drivers), containerd, CRI-O, Docker and Podman.
 */
#include "source/identity/proc_cgroup.h"

#include "base/cleanup.h"

#include <errno.h>

static bool str_contains(struct str s, struct str part)
{
    return str_find_text(s, part) >= 0;
}

static struct str without_suffix(struct str s, struct str suffix)
{
    return str_ends(s, suffix) ? str_part(s, 0, s.n - suffix.n) : s;
}

/* 8-4-4-4-12 hex digits with DASH between the groups. */
static bool is_grouped_uid(struct str s, char dash)
{
    static const size_t group_bytes[] = {8, 4, 4, 4, 12};
    size_t at = 0;
    if (s.n != 36)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(group_bytes); i++) {
        if ((i > 0 && s.p[at++] != dash) ||
            !str_is_hex(str_part(s, at, group_bytes[i]), group_bytes[i]))
            return false;
        at += group_bytes[i];
    }
    return true;
}

/* A UID chosen in a static manifest may be any text: believed only below kubepods. */
static bool is_pod_uid(struct str uid, bool is_below_kubepods)
{
    return is_grouped_uid(uid, '-') || str_is_hex(uid, 32) ||
           (is_below_kubepods && uid.n > 0 && uid.n <= POD_UID_BYTES);
}

static bool is_kubepods_segment(struct str segment)
{
    return str_equal(segment, STR("kubepods")) ||
           (str_ends(segment, STR(".slice")) && str_contains(segment, STR("kubepods")));
}

/* "pod<UID>" (cgroupfs driver) or "<parents>-pod<UID with _ for ->.slice" (systemd
 * driver, where no '-' can follow the one in front of "pod"). */
static bool pod_segment_parse(struct str segment, bool is_below_kubepods,
                              struct proc_cgroup *out)
{
    bool is_slice = str_ends(segment, STR(".slice"));
    struct str name = without_suffix(segment, STR(".slice"));
    if (is_slice) {
        ptrdiff_t dash = str_find_last(name, '-');
        if (dash < 0)
            return false;
        name = str_part(name, (size_t)dash + 1, name.n - (size_t)dash - 1);
        is_below_kubepods = is_below_kubepods || is_kubepods_segment(segment);
    }
    if (!str_starts(name, STR("pod")))
        return false;
    struct str uid = str_part(name, 3, name.n - 3);
    bool is_escaped = is_slice && is_grouped_uid(uid, '_');
    if (!is_escaped && !is_pod_uid(uid, is_below_kubepods))
        return false;
    out->pod_uid = uid;
    out->is_uid_escaped = is_escaped;
    return true;
}

/* "<64 hex>", with or without a runtime's prefix and ".scope". Monitors ("crio-conmon-…")
 * and sandboxes of other shapes ("kata_…") are no containers. */
static bool container_segment_parse(struct str segment, struct proc_cgroup *out)
{
    static const struct {
        struct str text;
        bool is_cri;
    } prefixes[] = {
        {{"cri-containerd-", 15}, true}, {{"crio-", 5}, true},
        {{"docker-", 7}, false},         {{"libpod-payload-", 15}, false},
        {{"libpod-", 7}, false},         {{"nerdctl-", 8}, false},
    };
    struct str id = without_suffix(segment, STR(".scope"));
    bool is_cri = false;
    for (size_t i = 0; i < ARRAY_LENGTH(prefixes); i++) {
        const struct str prefix = prefixes[i].text;
        if (str_starts(id, prefix)) {
            id = str_part(id, prefix.n, id.n - prefix.n);
            is_cri = prefixes[i].is_cri;
            break;
        }
    }
    if (!str_is_hex(id, CONTAINER_ID_BYTES))
        return false;
    out->container_id = id;
    out->is_cri = is_cri;
    return true;
}

/* Whoever owns the subtree below such a segment can name cgroups as he likes. */
static bool is_foreign_subtree(struct str segment)
{
    return str_equal(segment, STR("user.slice")) ||
           (str_starts(segment, STR("user@")) && str_ends(segment, STR(".service"))) ||
           str_starts(segment, STR("libpod-")) || str_starts(segment, STR("lxc.payload"));
}

/* SEGMENT names a pod: what follows in it, or the next one, is the container. A systemd
 * kubelet with a cgroupfs containerd makes "….slice:cri-containerd:<id>" of both. */
static bool pod_parse(struct str segment, struct str rest, bool is_below_kubepods,
                      struct proc_cgroup *out)
{
    struct str pod = segment, leaf = {NULL, 0};
    if (str_contains(segment, STR(".slice:"))) {
        size_t first = (size_t)str_find(segment, ':');
        size_t last = (size_t)str_find_last(segment, ':');
        pod = str_part(segment, 0, first);
        leaf = str_part(segment, last + 1, segment.n - last - 1);
    }
    if (!pod_segment_parse(pod, is_below_kubepods, out))
        return false;
    out->shape = CGROUP_POD;
    out->container_id = (struct str){NULL, 0};
    if (leaf.n || str_split(&rest, '/', &leaf))
        (void)container_segment_parse(leaf, out);
    return true;
}

/* Whether a container at the head of a path, behind CLIMBS times "..", stands beside the
 * reader's own. CRI-O with crun keeps containers one level deeper ("crio-…/container").
 */
static bool is_sibling(struct str segment, size_t climbs)
{
    return climbs == 1 || (climbs == 2 && str_starts(segment, STR("crio-")));
}

struct proc_cgroup cgroup_path_parse(struct str path)
{
    struct proc_cgroup out = {.shape = CGROUP_HOST};
    struct str rest = without_suffix(path, STR(" (deleted)"));
    struct str segment;
    bool is_below_kubepods = false, is_first = true;
    size_t climbs = 0;
    while (str_split(&rest, '/', &segment)) {
        if (!segment.n)
            continue;
        if (str_equal(segment, STR(".."))) {
            climbs++;
            continue;
        }
        if (!out.is_distrusted && pod_parse(segment, rest, is_below_kubepods, &out))
            break;
        if (!out.container_id.n && container_segment_parse(segment, &out))
            out.shape = is_first && is_sibling(segment, climbs) ? CGROUP_SIBLING
                                                                : CGROUP_CONTAINER;
        out.is_distrusted = out.is_distrusted || is_foreign_subtree(segment);
        is_below_kubepods = is_below_kubepods || is_kubepods_segment(segment);
        is_first = false;
    }
    out.is_climbing = climbs > 0;
    return out;
}

int proc_cgroup_parse(struct str text, struct proc_cgroup *out)
{
    struct proc_cgroup best = {.shape = CGROUP_NOTHING};
    bool is_climbing = false, is_empty = text.n == 0;
    struct str line, hierarchy, controllers;
    while (str_split(&text, '\n', &line)) {
        uint32_t number;
        if (!str_split(&line, ':', &hierarchy) || !str_split(&line, ':', &controllers) ||
            !line.p || !str_u32(hierarchy, &number))
            continue;
        struct proc_cgroup cgroup = cgroup_path_parse(line);
        is_climbing = is_climbing || cgroup.is_climbing;
        if (cgroup.shape > best.shape)
            best = cgroup;
    }
    if (best.shape == CGROUP_NOTHING && !is_empty)
        return -EBADMSG;
    best.is_climbing = is_climbing;
    *out = best;
    return 0;
}

void proc_cgroup_write_uid(const struct proc_cgroup *cgroup, char uid[POD_UID_BYTES + 1])
{
    size_t n = cgroup->pod_uid.n;
    for (size_t i = 0; i < n; i++) {
        uid[i] = cgroup->pod_uid.p[i];
        if (cgroup->is_uid_escaped && uid[i] == '_')
            uid[i] = '-';
    }
    uid[n] = '\0';
}
