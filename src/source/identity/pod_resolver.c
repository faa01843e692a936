/*
 * The chain of resolvers. The cgroup is the ground truth, because the workload cannot
 * leave it; the log links give names and must agree with it; mountinfo fills what is
 * left, since a workload with enough rights can shape it. Names are given only when the
 * kubelet's links confirm the pod: a path alone never makes one.
 */
#include "source/identity/pod_resolver.h"

#include "base/cleanup.h"
#include "base/fdio.h"

#include <errno.h>

/* Takes what a failed or cut read of NAME means into the counters. */
static void count_read(struct pod_resolver *resolver, int rc)
{
    if (rc == -EACCES || rc == -EPERM)
        errors_add(resolver->errors, "procfs", "permission_denied", 1);
    else if (rc == -EBADMSG)
        errors_add(resolver->errors, "procfs", "malformed", 1);
    else if (rc == FDIO_TRUNCATED)
        errors_add(resolver->errors, "procfs", "truncated", 1);
}

/* Views of *OUT point into the scratch memory. Return: 0, FDIO_TRUNCATED, -errno. */
static int cgroup_read(struct pod_resolver *resolver, int dirfd, const char *path,
                       struct proc_cgroup *out)
{
    struct str text;
    int rc =
        fdio_read_at(dirfd, path, resolver->scratch, POD_RESOLVER_SCRATCH_BYTES, &text);
    if (rc < 0)
        return rc;
    if (rc == FDIO_TRUNCATED)
        text.n = (size_t)(str_find_last(text, '\n') + 1);
    int parsed = proc_cgroup_parse(text, out);
    return parsed < 0 ? parsed : rc;
}

void own_view_read(struct pod_resolver *resolver, int procfs)
{
    struct own_view *own = &resolver->own;
    struct proc_mountinfo mounts = {0};
    struct proc_cgroup init = {0};
    own->has_mounts = proc_mountinfo_read(procfs, "self/mountinfo", &mounts) >= 0;
    memcpy(own->pod_uid, mounts.pod_uid, sizeof own->pod_uid);
    memcpy(own->container, mounts.container, sizeof own->container);
    /* The host's first process lies above the root of any private namespace. */
    bool is_init_above =
        cgroup_read(resolver, procfs, "1/cgroup", &init) >= 0 && init.is_climbing;
    own->is_private = is_init_above || mounts.sees_cgroups_above;
}

#define SET_TEXT(entry, field, text)                                                     \
    process_entry_text((entry)->field, sizeof(entry)->field, (text))

static void set_uid(struct process_entry *entry, struct str uid, bool is_sure)
{
    entry->identity.pod.uid = SET_TEXT(entry, pod_uid, uid);
    entry->identity.pod.is_uid_sure = is_sure && entry->identity.pod.uid;
}

static void set_container(struct process_entry *entry, struct str name)
{
    entry->identity.pod.container = SET_TEXT(entry, container, name);
}

static bool agrees(const char *known, struct str other)
{
    return !known || !other.n || str_equal(str_from(known), other);
}

/* Asks the table as it is. A container id counts only when the pod agrees: names are
 * reused, and a path may lie. */
static bool find_names(struct pod_resolver *resolver, struct process_entry *entry)
{
    struct pod_identity *pod = &entry->identity.pod;
    const struct pod_names *names =
        podlogs_find_container(resolver->podlogs, str_from(pod->container_id));
    entry->generation = podlogs_generation(resolver->podlogs);
    bool has_container = names && agrees(pod->uid, names->uid);
    if (!has_container)
        names = podlogs_find_pod(resolver->podlogs, str_from(pod->uid));
    if (!names)
        return false;
    pod->namespace_ = SET_TEXT(entry, namespace_, names->namespace_);
    pod->name = SET_TEXT(entry, pod, names->pod);
    if (has_container)
        set_container(entry, names->container);
    if (!pod->uid || (has_container && names->uid.n))
        set_uid(entry, names->uid, true);
    if (!pod->resolver)
        pod->resolver = "podlogs";
    pod->state = POD_RESOLVED;
    return true;
}

static bool find_names_fresh(struct pod_resolver *resolver, uint64_t round,
                             struct process_entry *entry)
{
    if (!entry->identity.pod.uid && !entry->identity.pod.container_id)
        return false;
    return find_names(resolver, entry) ||
           (podlogs_refresh(resolver->podlogs, round) && find_names(resolver, entry));
}

/* What the path tells, before any name. POD_UNRESOLVED: certainly in a pod. */
static enum pod_state place_of(const struct pod_resolver *resolver,
                               const struct proc_cgroup *cgroup,
                               struct process_entry *entry)
{
    const struct own_view *own = &resolver->own;
    char uid[POD_UID_BYTES + 1];
    entry->identity.pod.container_id =
        SET_TEXT(entry, container_id, cgroup->container_id);
    switch (cgroup->shape) {
    case CGROUP_POD:
        proc_cgroup_write_uid(cgroup, uid);
        set_uid(entry, str_from(uid), !cgroup->is_distrusted);
        return POD_UNRESOLVED;
    case CGROUP_SIBLING:
        set_uid(entry, str_from(own->pod_uid), !cgroup->is_distrusted);
        if (entry->identity.pod.uid || cgroup->is_cri)
            return POD_UNRESOLVED;
        return own->has_mounts ? POD_NONE : POD_UNKNOWN;
    case CGROUP_HOST:
        if (!own->is_private || cgroup->is_climbing)
            return POD_NONE;
        /* Not above the reader, so inside its own container. */
        set_uid(entry, str_from(own->pod_uid), !cgroup->is_distrusted);
        set_container(entry, str_from(own->container));
        if (!entry->identity.pod.uid)
            return own->has_mounts ? POD_NONE : POD_UNKNOWN;
        entry->identity.pod.resolver = "mountinfo";
        return POD_UNRESOLVED;
    case CGROUP_CONTAINER: return POD_NONE;
    case CGROUP_NOTHING: return POD_UNKNOWN;
    }
    return POD_UNKNOWN;
}

/* The process's own mounts: container name, and the pod where the cgroup named none. */
static void ask_mounts(struct pod_resolver *resolver, int process, uint64_t round,
                       struct process_entry *entry)
{
    struct pod_identity *pod = &entry->identity.pod;
    struct proc_mountinfo mounts = {0};
    int rc = proc_mountinfo_read(process, "mountinfo", &mounts);
    count_read(resolver, rc);
    struct str uid = str_from(mounts.pod_uid);
    if (rc < 0 || !uid.n || !agrees(pod->uid, uid))
        return;
    bool is_news = !pod->uid;
    if (is_news)
        set_uid(entry, uid, false);
    set_container(entry, str_from(mounts.container));
    if (pod->state != POD_RESOLVED)
        pod->resolver = "mountinfo";
    if (!is_news || find_names_fresh(resolver, round, entry))
        return;
    if (pod->state != POD_UNRESOLVED)
        /* Neither cgroup nor kubelet confirm it: a mount that anybody could have made. */
        pod->uid = pod->container = pod->resolver = NULL;
}

int pod_resolve(struct pod_resolver *resolver, int process, uint64_t round,
                struct process_entry *entry)
{
    struct pod_identity *pod = &entry->identity.pod;
    struct proc_cgroup cgroup = {0};
    int rc = cgroup_read(resolver, process, "cgroup", &cgroup);
    count_read(resolver, rc);
    enum pod_state place = place_of(resolver, &cgroup, entry);
    pod->state = place;
    if (!cgroup.is_distrusted)
        (void)find_names_fresh(resolver, round, entry);
    bool may_ask_mounts = cgroup.shape == CGROUP_POD || cgroup.shape == CGROUP_SIBLING ||
                          cgroup.shape == CGROUP_NOTHING;
    if (may_ask_mounts && !pod->container)
        ask_mounts(resolver, process, round, entry);
    entry->wants_names = pod->state != POD_RESOLVED && !cgroup.is_distrusted &&
                         (pod->uid || pod->container_id);
    if (pod->state == POD_UNRESOLVED)
        errors_add(resolver->errors, "podlogs", "unresolved", 1);
    return rc < 0 ? rc : 0;
}

void pod_resolve_again(struct pod_resolver *resolver, uint64_t round,
                       struct process_entry *entry)
{
    if (!entry->wants_names)
        return;
    (void)podlogs_refresh(resolver->podlogs, round);
    if (entry->generation != podlogs_generation(resolver->podlogs))
        entry->wants_names = !find_names(resolver, entry);
    if (entry->identity.pod.state == POD_UNRESOLVED)
        errors_add(resolver->errors, "podlogs", "unresolved", 1);
}
