/* One block of memory per pod, in two hash tables: by UID, and by a static pod's hash. */
#include "source/kube/kube_table.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>

enum { BUCKETS = 1024, OWNER_BYTES = KUBE_WORD_BYTES + 1 + KUBE_NAME_BYTES };

struct kube_pod {
    struct kube_pod *next, *next_static; /* in their buckets */
    struct pod_metadata metadata;        /* its texts lie behind this struct */
    const char *uid;
    const char *config_hash; /* NULL: no static pod's mirror */
    uint64_t gone_ns;        /* 0: the server has it */
    uint64_t asked_ns;
    size_t bytes;
    const char *values[];
};

struct kube_table {
    const struct pod_keys *keys;
    size_t count;
    size_t bytes;
    struct kube_pod *by_uid[BUCKETS];
    struct kube_pod *by_hash[BUCKETS];
};

struct kube_table *kube_table_new(const struct pod_keys *keys)
{
    struct kube_table *table = calloc(1, sizeof *table);
    if (table)
        table->keys = keys;
    return table;
}

void kube_table_free(struct kube_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct kube_pod *pod = table->by_uid[i], *next; pod; pod = next) {
            next = pod->next;
            free(pod);
        }
    }
    free(table);
}

static size_t bucket_of(const char *text)
{
    return str_hash(str_from(text)) % BUCKETS;
}

static struct kube_pod *find_uid(const struct kube_table *table, const char *uid)
{
    struct kube_pod *pod = table->by_uid[bucket_of(uid)];
    while (pod && strcmp(pod->uid, uid) != 0)
        pod = pod->next;
    return pod;
}

static void link_pod(struct kube_table *table, struct kube_pod *pod)
{
    struct kube_pod **bucket = &table->by_uid[bucket_of(pod->uid)];
    pod->next = *bucket;
    *bucket = pod;
    if (pod->config_hash) {
        bucket = &table->by_hash[bucket_of(pod->config_hash)];
        pod->next_static = *bucket;
        *bucket = pod;
    }
    table->count++;
    table->bytes += pod->bytes;
}

static void unlink_pod(struct kube_table *table, struct kube_pod *pod)
{
    struct kube_pod **at = &table->by_uid[bucket_of(pod->uid)];
    while (*at != pod)
        at = &(*at)->next;
    *at = pod->next;
    if (pod->config_hash) {
        at = &table->by_hash[bucket_of(pod->config_hash)];
        while (*at != pod)
            at = &(*at)->next_static;
        *at = pod->next_static;
    }
    table->count--;
    table->bytes -= pod->bytes;
}

/* The controller as a person knows it: of a ReplicaSet the Deployment that made it. A
 * static pod's mirror is "controlled" by the node, which is nobody. */
static void write_owner(const struct kube_draft *draft, char text[OWNER_BYTES + 1])
{
    const struct kube_owner *owner = &draft->owner;
    struct str name = str_from(owner->name), hash = str_from(draft->template_hash);
    const char *kind = owner->kind;
    text[0] = '\0';
    if (!name.n || !kind[0] || strcmp(kind, "Node") == 0)
        return;
    if (strcmp(kind, "ReplicaSet") == 0 && hash.n && name.n > hash.n + 1 &&
        str_ends(name, hash) && name.p[name.n - hash.n - 1] == '-') {
        kind = "Deployment";
        name.n -= hash.n + 1;
    }
    (void)snprintf(text, OWNER_BYTES + 1, "%s/%.*s", kind, (int)name.n, name.p);
}

/* The UID in a static pod's cgroup is a hash of 32 digits, which no UID of the API server
 * is: with this annotation alone no pod can pass for another one of those. */
static const char *static_hash(const struct kube_draft *draft)
{
    bool is_mirror = str_is_hex(str_from(draft->config_hash), 32) &&
                     strcmp(draft->config_hash, draft->uid) != 0;
    return is_mirror ? draft->config_hash : "";
}

/* Copies TEXT to *AT and moves *AT behind it; NULL for the empty text. */
static const char *place_text(char **at, const char *text)
{
    size_t n = strlen(text) + 1;
    if (n == 1)
        return NULL;
    char *copy = memcpy(*at, text, n);
    *at += n;
    return copy;
}

static size_t text_bytes(const char *text)
{
    return text[0] ? strlen(text) + 1 : 0;
}

static size_t draft_bytes(const struct kube_draft *draft, const char *owner,
                          size_t key_count)
{
    size_t n = sizeof(struct kube_pod) + key_count * sizeof(char *);
    n += text_bytes(draft->uid) + text_bytes(draft->namespace_) +
         text_bytes(draft->name) + text_bytes(static_hash(draft)) + text_bytes(owner);
    for (size_t i = 0; i < key_count; i++)
        n += draft->has_value[i] ? text_bytes(draft->values[i]) : 0;
    return n;
}

/* NULL without memory. */
static struct kube_pod *pod_new(const struct kube_table *table,
                                const struct kube_draft *draft)
{
    size_t key_count = table->keys->count;
    char owner[OWNER_BYTES + 1];
    write_owner(draft, owner);
    size_t bytes = draft_bytes(draft, owner, key_count);
    struct kube_pod *pod = calloc(1, bytes);
    if (!pod)
        return NULL;
    char *at = (char *)&pod->values[key_count];
    pod->bytes = bytes;
    pod->uid = place_text(&at, draft->uid);
    pod->config_hash = place_text(&at, static_hash(draft));
    pod->metadata.namespace_ = place_text(&at, draft->namespace_);
    pod->metadata.name = place_text(&at, draft->name);
    pod->metadata.owner = place_text(&at, owner);
    pod->metadata.values = pod->values;
    for (size_t i = 0; i < key_count; i++)
        pod->values[i] = draft->has_value[i] ? place_text(&at, draft->values[i]) : NULL;
    return pod;
}

/* Return: whether one was there. */
static bool drop_one_gone(struct kube_table *table)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct kube_pod *pod = table->by_uid[i]; pod; pod = pod->next) {
            if (!pod->gone_ns)
                continue;
            unlink_pod(table, pod);
            free(pod);
            return true;
        }
    }
    return false;
}

static bool has_room(const struct kube_table *table, size_t bytes)
{
    return table->count < KUBE_PODS_MAX && bytes <= KUBE_TABLE_BYTES_MAX - table->bytes;
}

int kube_table_put(struct kube_table *table, const struct kube_draft *draft)
{
    if (draft->has_long_text || !draft->uid[0] || !draft->name[0] ||
        !draft->namespace_[0])
        return -EBADMSG;
    struct kube_pod *pod = pod_new(table, draft);
    if (!pod)
        return -ENOMEM;
    struct kube_pod *old = find_uid(table, draft->uid);
    if (old) {
        pod->asked_ns = old->asked_ns;
        unlink_pod(table, old);
        free(old);
    }
    while (!has_room(table, pod->bytes)) {
        if (!drop_one_gone(table)) {
            free(pod);
            return -ENOSPC;
        }
    }
    link_pod(table, pod);
    return 0;
}

void kube_table_mark_gone(struct kube_table *table, const char *uid, uint64_t now_ns)
{
    struct kube_pod *pod = find_uid(table, uid);
    if (pod && !pod->gone_ns)
        pod->gone_ns = now_ns;
}

void kube_table_inherit(struct kube_table *next, struct kube_table *old, uint64_t now_ns)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct kube_pod *pod = old->by_uid[i], *after; pod; pod = after) {
            after = pod->next;
            struct kube_pod *known = find_uid(next, pod->uid);
            if (known)
                known->asked_ns = pod->asked_ns;
            if (known || !has_room(next, pod->bytes))
                continue;
            unlink_pod(old, pod);
            if (!pod->gone_ns)
                pod->gone_ns = now_ns;
            link_pod(next, pod);
        }
    }
}

void kube_table_sweep(struct kube_table *table, uint64_t now_ns)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct kube_pod *pod = table->by_uid[i], *after; pod; pod = after) {
            after = pod->next;
            uint64_t since = pod->asked_ns > pod->gone_ns ? pod->asked_ns : pod->gone_ns;
            if (!pod->gone_ns || now_ns - since < KUBE_GRACE_NS)
                continue;
            unlink_pod(table, pod);
            free(pod);
        }
    }
}

/* The one static pod of HASH that the server has, else the one that is gone; NULL when
 * there are two: then either may be an impostor. */
static struct kube_pod *find_static(const struct kube_table *table, const char *hash)
{
    struct kube_pod *best = NULL;
    bool is_doubtful = false;
    for (struct kube_pod *pod = table->by_hash[bucket_of(hash)]; pod;
         pod = pod->next_static) {
        if (strcmp(pod->config_hash, hash) != 0)
            continue;
        bool is_better = best && best->gone_ns && !pod->gone_ns;
        bool is_equal = best && !best->gone_ns == !pod->gone_ns;
        is_doubtful = is_equal || (is_doubtful && !is_better);
        if (!best || is_better)
            best = pod;
    }
    return is_doubtful ? NULL : best;
}

const struct pod_metadata *kube_table_find(struct kube_table *table, const char *uid,
                                           uint64_t now_ns)
{
    struct kube_pod *pod = find_uid(table, uid);
    if (!pod)
        pod = find_static(table, uid);
    if (!pod)
        return NULL;
    pod->asked_ns = now_ns;
    return &pod->metadata;
}

size_t kube_table_count(const struct kube_table *table)
{
    return table->count;
}
