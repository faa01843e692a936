/*
 * Which labels and annotations of pods are wanted, and by which names they are shown.
 *
 * Nothing else of a pod's labels and annotations is ever kept. Text is borrowed: keys
 * view the command line or literals.
 */
#pragma once

#include "base/str.h"

enum {
    POD_KEYS_MAX = 64,
    POD_KEY_BYTES = 317,   /* 253 of a DNS prefix, '/', 63 of a name */
    POD_VALUE_BYTES = 256, /* a longer value is cut on a character boundary */
    LABEL_NAMES_MAX = 16,
};

struct pod_key {
    bool is_annotation; /* otherwise a label */
    struct str name;
};

struct pod_keys {
    struct pod_key entries[POD_KEYS_MAX];
    size_t count;
};

/* Adds the key, unless it is there. Return: its place; negative when NAME is not a key of
 * Kubernetes or there is no room. */
ptrdiff_t pod_keys_add(struct pod_keys *keys, bool is_annotation, struct str name);

/* Its place, or -1. */
ptrdiff_t pod_keys_find(const struct pod_keys *keys, bool is_annotation, struct str name);

/* "label_" and at most two bytes for each of the key's. */
enum { LABEL_NAME_BYTES = 6 + 2 * POD_KEY_BYTES };

/* A pod label that is shown as a label of a metric. */
struct label_name {
    size_t key; /* place in the pod_keys */
    char text[LABEL_NAME_BYTES + 1];
};

struct label_names {
    struct label_name entries[LABEL_NAMES_MAX];
    size_t count;
};

/* Names pod label KEY as kube-state-metrics does: "label_", what no label name may have
 * becomes '_', camelCase becomes camel_case. Asking twice for one key is asking once.
 * Return: 0; -EINVAL no key; -ENOSPC too many; -EEXIST another key has that name. */
int label_names_add(struct label_names *names, struct pod_keys *keys, struct str key);
