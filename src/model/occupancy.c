/*
 * Truth has three values here: where a session's pod, the device of an id or the process
 * list is not known, what depends on it is not known either, rather than "no".
 */
#include "model/occupancy.h"

#include <errno.h>

/* One device with the part of the allocations that is about it. */
struct occupied {
    const struct allocation_set *set;
    struct allocation *allocations;
    size_t count;
    struct session *sessions;
    size_t session_count;
    bool is_whole; /* all its sessions are there */
};

static int compare_pods(const char *left_namespace, const char *left_pod,
                        const char *right_namespace, const char *right_pod)
{
    int order = strcmp(left_namespace, right_namespace);
    return order ? order : strcmp(left_pod, right_pod);
}

static bool same_pod(const struct allocation *a, const struct allocation *b)
{
    return compare_pods(a->namespace_, a->pod, b->namespace_, b->pod) == 0;
}

/* The first of the pod's allocations, or NULL. */
static struct allocation *find_pod(const struct occupied *device,
                                   const struct pod_identity *pod)
{
    size_t low = 0, high = device->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct allocation *at = &device->allocations[middle];
        if (compare_pods(at->namespace_, at->pod, pod->namespace_, pod->name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    struct allocation *found = &device->allocations[low];
    return low < device->count && compare_pods(found->namespace_, found->pod,
                                               pod->namespace_, pod->name) == 0
               ? found
               : NULL;
}

/* Whether some device was given that no allocation here tells of. */
static bool has_unplaced(const struct allocation_set *set)
{
    return set->unplaced_count || set->left_out;
}

/* Whether the pod has, or may have, a device of which it is not known which. */
static bool is_unplaced(const struct allocation_set *set, const struct pod_identity *pod)
{
    if (set->left_out)
        return true;
    size_t low = 0, high = set->unplaced_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct pod_name *at = &set->unplaced[middle];
        int order = compare_pods(at->namespace_, at->pod, pod->namespace_, pod->name);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* The container of a session is not known: only where the pod's allocation on the device
 * is the only one is it that one's. */
static void mark_some_used(struct allocation *first, const struct allocation *end)
{
    bool is_only = first + 1 == end || !same_pod(first, first + 1);
    for (struct allocation *a = first; a < end && same_pod(a, first); a++) {
        if (a->is_used != TERNARY_YES)
            a->is_used = is_only ? TERNARY_YES : TERNARY_UNKNOWN;
    }
}

/* Of the pod's allocations from FIRST on, those that the session is the use of: its
 * container's; all of them for a container that the kubelet does not list (an init
 * container, whose device the others inherit). */
static void mark_used(const struct occupied *device, struct allocation *first,
                      const char *container)
{
    struct allocation *end = device->allocations + device->count;
    if (!container) {
        mark_some_used(first, end);
        return;
    }
    for (struct allocation *a = first; a < end && same_pod(a, first); a++) {
        if (strcmp(a->container, container) == 0) {
            a->is_used = TERNARY_YES;
            return;
        }
    }
    for (struct allocation *a = first; a < end && same_pod(a, first); a++)
        a->is_used = TERNARY_YES;
}

static enum ternary join_session(const struct occupied *device,
                                 const struct pod_identity *pod)
{
    bool is_named = pod->state == POD_RESOLVED && pod->namespace_ && pod->name;
    if (!is_named && pod->state != POD_NONE)
        return device->count || has_unplaced(device->set) ? TERNARY_UNKNOWN : TERNARY_NO;
    if (!is_named)
        return TERNARY_NO;
    struct allocation *first = find_pod(device, pod);
    if (first) {
        mark_used(device, first, pod->container);
        return TERNARY_YES;
    }
    return is_unplaced(device->set, pod) ? TERNARY_UNKNOWN : TERNARY_NO;
}

static bool any_session(const struct occupied *device, enum ternary is_allocated)
{
    for (size_t i = 0; i < device->session_count; i++) {
        if (device->sessions[i].is_allocated == is_allocated)
            return true;
    }
    return false;
}

static bool any_allocation(const struct occupied *device, enum ternary is_used)
{
    for (size_t i = 0; i < device->count; i++) {
        if (device->allocations[i].is_used == is_used)
            return true;
    }
    return false;
}

/* Whether the device was given whole to several pods, one of which computes. Kubelets
 * before 1.34 go on listing pods that have ended, and a pod that was deleted by force can
 * compute on while the next has not begun: which of them has the device nobody says. */
static bool is_contended(const struct occupied *device)
{
    bool has_two_pods = false;
    for (size_t i = 0; i < device->count; i++) {
        if (device->allocations[i].is_shared)
            return false;
        has_two_pods |= !same_pod(&device->allocations[0], &device->allocations[i]);
    }
    return has_two_pods && any_allocation(device, TERNARY_YES);
}

/* NO stands only where every session is there, its pod is known, and the pod without one
 * surely has the device. */
static void settle_allocations(struct occupied *device)
{
    bool is_known = device->is_whole && !any_session(device, TERNARY_UNKNOWN) &&
                    !is_contended(device);
    for (size_t i = 0; i < device->count; i++) {
        if (device->allocations[i].is_used == TERNARY_NO && !is_known)
            device->allocations[i].is_used = TERNARY_UNKNOWN;
    }
}

/* YES where SEEN; otherwise NO, unless something that is not known MAY be it. */
static enum ternary judge(bool seen, bool may_be)
{
    return seen ? TERNARY_YES : may_be ? TERNARY_UNKNOWN : TERNARY_NO;
}

static void set_states(const struct occupied *device, enum ternary states[DEVICE_STATES])
{
    bool may_lack = has_unplaced(device->set);
    bool may_hide = !device->is_whole || any_session(device, TERNARY_UNKNOWN);
    bool is_taken = device->session_count || device->count;
    states[DEVICE_USED] =
        judge(any_session(device, TERNARY_YES), may_hide && (device->count || may_lack));
    states[DEVICE_USED_UNALLOCATED] = judge(any_session(device, TERNARY_NO), may_hide);
    states[DEVICE_ALLOCATED_UNUSED] =
        judge(any_allocation(device, TERNARY_NO),
              may_lack || any_allocation(device, TERNARY_UNKNOWN));
    states[DEVICE_FREE] =
        is_taken ? TERNARY_NO : judge(!may_lack && device->is_whole, true);
}

static void join_device(struct occupied *occupied, struct device *device)
{
    for (size_t i = 0; i < occupied->count; i++)
        occupied->allocations[i].is_used = TERNARY_NO; /* until a session says more */
    for (size_t i = 0; i < occupied->session_count; i++)
        occupied->sessions[i].is_allocated =
            join_session(occupied, &occupied->sessions[i].pod);
    settle_allocations(occupied);
    device->allocations = occupied->allocations;
    device->allocation_count = occupied->count;
    if (device->holds_sessions)
        set_states(occupied, device->states);
}

int occupancy_join(struct arena *arena, const struct allocation_set *set,
                   struct device *devices, size_t device_count, struct session *sessions)
{
    struct allocation *next = ARENA_NEW(arena, struct allocation, set->count);
    if (!next)
        return -ENOMEM;
    if (set->count)
        memcpy(next, set->entries, set->count * sizeof *next);
    const struct allocation *end = next + set->count;
    for (size_t i = 0; i < device_count; i++) {
        struct occupied occupied = {
            .set = set,
            .allocations = next,
            .sessions = sessions,
            .session_count = devices[i].session_count,
            .is_whole = devices[i].session_total.state == VALUE_OK,
        };
        while (next < end && next->device == i)
            next++;
        occupied.count = (size_t)(next - occupied.allocations);
        sessions += occupied.session_count;
        join_device(&occupied, &devices[i]);
    }
    return 0;
}
