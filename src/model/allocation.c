/*
 * A device is found by its UUID through a sorted index, since a node can have two
 * thousand MIG devices and a pod list some thousand ids; by its minor number by looking
 * at each GPU.
 */
#include "model/allocation.h"

#include <errno.h>
#include <stdlib.h>

enum found { FOUND, NOT_HERE, NOT_TOLD };

struct matcher {
    struct arena *arena;
    const struct driver_facts *driver;
    const struct device_facts **by_uuid; /* the devices that have one */
    size_t uuid_count;
    struct allocation *entries;
    size_t count, capacity;
    struct pod_name *unplaced;
    size_t unplaced_count;
    size_t absent_ids, opaque_ids;
};

static int compare_uuids(const void *a, const void *b)
{
    const struct device_facts *const *left = a, *const *right = b;
    return strcmp((*left)->uuid, (*right)->uuid);
}

static int compare_to_uuid(const void *key, const void *element)
{
    const struct str *uuid = key;
    const struct device_facts *const *device = element;
    size_t n = strlen((*device)->uuid);
    int order = memcmp(uuid->p, (*device)->uuid, uuid->n < n ? uuid->n : n);
    return order ? order : (uuid->n > n) - (uuid->n < n);
}

static const struct device_facts *find_uuid(const struct matcher *m, struct str uuid)
{
    const struct device_facts **found = NULL;
    if (m->uuid_count)
        found =
            bsearch(&uuid, m->by_uuid, m->uuid_count, sizeof(void *), compare_to_uuid);
    return found ? *found : NULL;
}

/* Entries double; what they leave behind in the arena is less than what is used. */
static int add_entry(struct matcher *m, const struct grant *grant,
                     const struct device_facts *device)
{
    if (m->count == m->capacity) {
        size_t capacity = m->capacity ? 2 * m->capacity : 64;
        struct allocation *entries = ARENA_NEW(m->arena, struct allocation, capacity);
        if (!entries)
            return -ENOMEM;
        if (m->count)
            memcpy(entries, m->entries, m->count * sizeof *entries);
        m->entries = entries;
        m->capacity = capacity;
    }
    m->entries[m->count++] = (struct allocation){
        .device = (uint32_t)(device - m->driver->devices),
        .is_shared = grant->id.is_shared,
        .namespace_ = grant->namespace_,
        .pod = grant->pod,
        .container = grant->container,
    };
    return 0;
}

/* Letters and digits of A and B are the same: "1g.5gb+me", "1g5gb-me". */
static bool same_profile(const char *a, struct str b)
{
    struct str left = str_from(a);
    for (;;) {
        while (left.n && strchr(".+-_", left.p[0]))
            left = str_part(left, 1, left.n - 1);
        while (b.n && strchr(".+-_", b.p[0]))
            b = str_part(b, 1, b.n - 1);
        if (!left.n || !b.n)
            return left.n == b.n;
        if (left.p[0] != b.p[0])
            return false;
        left = str_part(left, 1, left.n - 1);
        b = str_part(b, 1, b.n - 1);
    }
}

/* The GPU with minor number MINOR. Return: NOT_TOLD when a GPU keeps its own secret. */
static enum found find_minor(const struct matcher *m, uint32_t minor,
                             const struct device_facts **out)
{
    enum found outcome = NOT_HERE;
    for (size_t i = 0; i < m->driver->device_count; i++) {
        const struct device_facts *device = &m->driver->devices[i];
        if (device->kind != DEVICE_GPU)
            continue;
        if (device->minor_number.state != VALUE_OK) {
            outcome = NOT_TOLD;
        } else if (device->minor_number.v == minor) {
            *out = device;
            return FOUND;
        }
    }
    return outcome;
}

/* The MIG device behind GPU that follows PREVIOUS (NULL: the first), or NULL. */
static const struct device_facts *next_mig(const struct matcher *m,
                                           const struct device_facts *gpu,
                                           const struct device_facts *previous)
{
    const struct device_facts *next = previous ? previous + 1 : gpu + 1;
    const struct device_facts *end = m->driver->devices + m->driver->device_count;
    return next < end && next->kind == DEVICE_MIG ? next : NULL;
}

/* Adds the MIG devices in GPU instance id.gi; with WITH_CI only that compute instance. */
static int add_instance(struct matcher *m, const struct grant *grant,
                        const struct device_facts *gpu, bool with_ci, enum found *found)
{
    *found = NOT_HERE;
    for (const struct device_facts *mig = NULL; (mig = next_mig(m, gpu, mig));) {
        if (mig->gi != grant->id.gi || (with_ci && mig->ci != grant->id.ci))
            continue;
        *found = FOUND;
        if (add_entry(m, grant, mig) != 0)
            return -ENOMEM;
    }
    return 0;
}

/* The claim's name has the profile's and the placement's numbers, which the driver tells
 * root alone: it names a device only where the profile is there once. */
static int add_profile(struct matcher *m, const struct grant *grant,
                       const struct device_facts *gpu, enum found *found)
{
    const struct device_facts *only = NULL;
    size_t count = 0;
    for (const struct device_facts *mig = NULL; (mig = next_mig(m, gpu, mig));) {
        if (!mig->mig_profile || !same_profile(mig->mig_profile, grant->id.profile))
            continue;
        only = mig;
        count++;
    }
    *found = count == 1 ? FOUND : count ? NOT_TOLD : NOT_HERE;
    return count == 1 ? add_entry(m, grant, only) : 0;
}

static int add_by_uuid(struct matcher *m, const struct grant *grant, enum found *found)
{
    const struct device_facts *device = find_uuid(m, grant->id.uuid);
    *found = device ? FOUND : NOT_HERE;
    if (!device)
        return 0;
    if (grant->id.kind == DEVICE_ID_UUID_INSTANCE)
        return add_instance(m, grant, device, true, found);
    return add_entry(m, grant, device);
}

static int add_by_minor(struct matcher *m, const struct grant *grant, enum found *found)
{
    const struct device_facts *gpu = NULL;
    *found = find_minor(m, grant->id.minor, &gpu);
    if (*found != FOUND)
        return 0;
    if (grant->id.kind == DEVICE_ID_MINOR_INSTANCE)
        return add_instance(m, grant, gpu, false, found);
    if (grant->id.kind == DEVICE_ID_MINOR_PROFILE)
        return add_profile(m, grant, gpu, found);
    return add_entry(m, grant, gpu);
}

static int add_only_gpu(struct matcher *m, const struct grant *grant, enum found *found)
{
    const struct driver_facts *driver = m->driver;
    *found = driver->device_count == 1 ? FOUND
             : driver->device_count    ? NOT_TOLD
                                       : NOT_HERE;
    return *found == FOUND ? add_entry(m, grant, &driver->devices[0]) : 0;
}

static int add_grant(struct matcher *m, const struct grant *grant)
{
    enum found found = NOT_TOLD;
    int rc = 0;
    switch (grant->id.kind) {
    case DEVICE_ID_FOREIGN: return 0;
    case DEVICE_ID_OPAQUE: break;
    case DEVICE_ID_UUID:
    case DEVICE_ID_UUID_INSTANCE: rc = add_by_uuid(m, grant, &found); break;
    case DEVICE_ID_MINOR:
    case DEVICE_ID_MINOR_INSTANCE:
    case DEVICE_ID_MINOR_PROFILE: rc = add_by_minor(m, grant, &found); break;
    case DEVICE_ID_ONLY_GPU: rc = add_only_gpu(m, grant, &found); break;
    }
    if (found == NOT_HERE)
        m->absent_ids++;
    if (found == NOT_TOLD) {
        m->opaque_ids++;
        m->unplaced[m->unplaced_count++] =
            (struct pod_name){grant->namespace_, grant->pod};
    }
    return rc;
}

static int compare_entries(const void *a, const void *b)
{
    const struct allocation *left = a, *right = b;
    if (left->device != right->device)
        return left->device < right->device ? -1 : 1;
    int order = strcmp(left->namespace_, right->namespace_);
    if (!order)
        order = strcmp(left->pod, right->pod);
    return order ? order : strcmp(left->container, right->container);
}

static int compare_pods(const void *a, const void *b)
{
    const struct pod_name *left = a, *right = b;
    int order = strcmp(left->namespace_, right->namespace_);
    return order ? order : strcmp(left->pod, right->pod);
}

/* Orders the entries; several ids of one device for one container become one: replicas,
 * and ids that are listed once per NUMA node. */
static void merge(struct matcher *m)
{
    size_t kept = 0;
    if (m->count)
        qsort(m->entries, m->count, sizeof *m->entries, compare_entries);
    for (size_t i = 0; i < m->count; i++) {
        if (kept && compare_entries(&m->entries[kept - 1], &m->entries[i]) == 0)
            m->entries[kept - 1].is_shared |= m->entries[i].is_shared;
        else
            m->entries[kept++] = m->entries[i];
    }
    m->count = kept;
    if (m->unplaced_count)
        qsort(m->unplaced, m->unplaced_count, sizeof *m->unplaced, compare_pods);
}

static int index_uuids(struct matcher *m)
{
    size_t count = m->driver->device_count;
    m->by_uuid = ARENA_NEW(m->arena, const struct device_facts *, count);
    if (!m->by_uuid)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (m->driver->devices[i].uuid)
            m->by_uuid[m->uuid_count++] = &m->driver->devices[i];
    }
    if (m->uuid_count)
        qsort(m->by_uuid, m->uuid_count, sizeof(void *), compare_uuids);
    return 0;
}

int allocation_match(struct arena *arena, const struct driver_facts *driver,
                     const struct grant *grants, size_t count, struct allocation_set *out)
{
    struct matcher m = {.arena = arena, .driver = driver};
    m.unplaced = ARENA_NEW(arena, struct pod_name, count);
    if (!m.unplaced || index_uuids(&m) != 0)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (add_grant(&m, &grants[i]) != 0)
            return -ENOMEM;
    }
    merge(&m);
    *out = (struct allocation_set){
        .entries = m.entries,
        .count = m.count,
        .unplaced = m.unplaced,
        .unplaced_count = m.unplaced_count,
        .absent_ids = m.absent_ids,
        .opaque_ids = m.opaque_ids,
    };
    return 0;
}
