/*
 * What is known of the node's pods, by UID.
 *
 * A UID is never given twice, so nothing here can become wrong by age: a pod that the
 * server no longer lists stays for a while, and for as long as somebody asks for it,
 * since its processes may outlive it and the list may be short (a kubelet that just
 * started). The same name with another UID is another pod. A static pod is found by its
 * UID in the cgroup, which its mirror at the API server carries as
 * kubernetes.io/config.hash.
 */
#pragma once

#include "model/facts.h"
#include "source/kube/kube_parser.h"

enum { KUBE_PODS_MAX = 10000, KUBE_TABLE_BYTES_MAX = 16 << 20 };

/* How long a pod that is gone is remembered after it was last asked for. */
#define KUBE_GRACE_NS (UINT64_C(120) * 1000000000)

struct kube_table;

/* KEYS are borrowed. NULL without memory. */
struct kube_table *kube_table_new(const struct pod_keys *keys);
void kube_table_free(struct kube_table *table);

static inline void kube_table_freep(struct kube_table **table)
{
    kube_table_free(*table);
}

/* Takes the pod in, in place of what was known of its UID. Return: 0; -EBADMSG when it
 * has no UID or no name; -ENOSPC when the table is full; -ENOMEM. */
int kube_table_put(struct kube_table *table, const struct kube_draft *draft)
    __attribute__((warn_unused_result));

/* The server no longer has the pod. */
void kube_table_mark_gone(struct kube_table *table, const char *uid, uint64_t now_ns);

/* Moves to NEXT, which holds a whole new list, what OLD has beyond it, as gone. */
void kube_table_inherit(struct kube_table *next, struct kube_table *old, uint64_t now_ns);

/* Forgets what has been gone for long. */
void kube_table_sweep(struct kube_table *table, uint64_t now_ns);

/* NULL when not known, or when two static pods claim UID. The result is valid until the
 * table changes. */
const struct pod_metadata *kube_table_find(struct kube_table *table, const char *uid,
                                           uint64_t now_ns);

size_t kube_table_count(const struct kube_table *table);
