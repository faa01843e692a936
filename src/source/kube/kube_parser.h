/*
 * Pod lists and watch events as the kubelet and the API server write them (v1.Pod or
 * PartialObjectMetadata, JSON), read in pieces.
 *
 * Of each pod its names, its UID, its controller and the wanted labels and annotations
 * are kept for the length of one call; specs, which hold environments and commands,
 * never.
 */
#pragma once

#include "base/err.h"
#include "base/json_scan.h"
#include "model/pod_keys.h"
#include "source/identity/proc_cgroup.h"

enum {
    KUBE_NAMESPACE_BYTES = 63,
    KUBE_NAME_BYTES = 253,
    KUBE_WORD_BYTES = 63,
    KUBE_MESSAGE_BYTES = 160,
    KUBE_EVENT_BYTES_MAX =
        16 << 20, /* of one watch event; the API's objects have < 3 MiB */
};

struct kube_owner {
    char kind[KUBE_WORD_BYTES + 1];
    char name[KUBE_NAME_BYTES + 1];
    bool is_controller;
};

/* One pod as it was read; "" for what it has not. */
struct kube_draft {
    char uid[POD_UID_BYTES + 1];
    char namespace_[KUBE_NAMESPACE_BYTES + 1];
    char name[KUBE_NAME_BYTES + 1];
    char version[KUBE_WORD_BYTES + 1];       /* resourceVersion */
    char config_hash[POD_UID_BYTES + 1];     /* static pod: the UID in its cgroup */
    char template_hash[KUBE_WORD_BYTES + 1]; /* pod-template-hash */
    struct kube_owner owner;                 /* its controller */
    struct kube_owner reference;             /* the one being read */
    bool has_long_text; /* a field above did not fit: nothing that a server makes */
    bool has_value[POD_KEYS_MAX];
    char values[POD_KEYS_MAX][POD_VALUE_BYTES + 1];
};

enum kube_form { KUBE_LIST, KUBE_WATCH };

enum kube_change {
    KUBE_PRESENT, /* in the list, added or changed */
    KUBE_GONE,
    KUBE_BOOKMARK, /* only the version is news */
    KUBE_ERROR,    /* parser->code and parser->message say what */
};

typedef void kube_seen(void *context, enum kube_change change,
                       const struct kube_draft *draft);

struct kube_parser {
    const struct pod_keys *keys;
    enum kube_form form;
    kube_seen *seen;
    void *context;
    struct json_scan scan;
    unsigned char places[SCAN_DEPTH_MAX];
    char key[POD_KEY_BYTES + 1];
    size_t key_bytes; /* 0: none, or too long to be one of ours */
    bool has_items;
    bool is_unknown_event;
    size_t event_bytes;             /* read since the last event */
    char kind[KUBE_WORD_BYTES + 1]; /* of the document: "PodList" */
    char type[KUBE_WORD_BYTES + 1]; /* of the event */
    char list_version[KUBE_WORD_BYTES + 1];
    uint32_t code; /* of a Status */
    char message[KUBE_MESSAGE_BYTES + 1];
    struct kube_draft draft;
};

/* KEYS are borrowed. */
void kube_parser_init(struct kube_parser *parser, enum kube_form form,
                      const struct pod_keys *keys, kube_seen *seen, void *context);

/* Return: 0; -EBADMSG; -EMSGSIZE for an event that does not end. */
int kube_parser_feed(struct kube_parser *parser, struct str piece, struct err *err)
    __attribute__((warn_unused_result));

/* At the end of the body. Return: 0; -EBADMSG when it broke off, or was no list. */
int kube_parser_finish(struct kube_parser *parser, struct err *err)
    __attribute__((warn_unused_result));
