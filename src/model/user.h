/*
 * Who a session belongs to: an ordered chain of places to look at (--user.from).
 *
 * Kubernetes records no user of a pod; platforms write one into a label or an annotation.
 * The first place of the chain that has a value wins, and which one it was is kept with
 * the session.
 */
#pragma once

#include "base/arena.h"
#include "model/facts.h"
#include "model/pod_keys.h"

enum { USER_RULES_MAX = 32, USER_BYTES = 128 };

#define USER_FROM_DEFAULT "namespace,unix"

enum user_kind {
    USER_NOBODY = 0,
    USER_ANNOTATION,
    USER_LABEL,
    USER_NAMESPACE,
    USER_OWNER, /* the pod's controller, "Kind/name" */
    USER_UNIX,  /* of a process outside pods: inside, the uid is the image's affair */
};

struct user_rule {
    enum user_kind kind;
    bool is_escaped; /* JupyterHub's escaping in a label: "-5f" for "_" */
    size_t key;      /* of a label or annotation: its place in the pod_keys */
    struct str word; /* as it was written, or as the preset has it */
};

struct user_chain {
    struct user_rule rules[USER_RULES_MAX];
    size_t count;
};

/**
 * user_chain_parse() - read "annotation:KEY,label:KEY,namespace,owner,unix"
 * @spec:  words separated by commas; "label-escaped:KEY" undoes JupyterHub's escaping,
 *         "preset:NAME" stands for the keys of a known platform. Borrowed.
 * @chain: written only on success
 * @keys:  the chain's keys are added
 * @wrong: on failure the word at fault, or empty for an empty chain
 *
 * Return: 0; -EINVAL; -ENOSPC too many.
 */
int user_chain_parse(struct str spec, struct user_chain *chain, struct pod_keys *keys,
                     struct str *wrong) __attribute__((warn_unused_result));

/* Whether a rule needs what only Kubernetes tells. */
bool user_chain_needs_metadata(const struct user_chain *chain);

/* What is known of one session's process. */
struct user_facts {
    const struct pod_identity *pod;
    const char *unix_user; /* "" when the uid has no name, or none is known */
    bool has_uid;
    uint32_t uid;
};

struct user {
    const char *name;             /* "" when nobody is known */
    const struct user_rule *from; /* NULL when nobody is known */
};

/* The first that the chain finds, trimmed and cut to USER_BYTES. Return: 0, or -ENOMEM
 * when ARENA, which owns the name, is exhausted. */
int user_find(const struct user_chain *chain, const struct user_facts *facts,
              struct arena *arena, struct user *out) __attribute__((warn_unused_result));

/* Undoes JupyterHub's escaping where all of TEXT is in it: '-' and two lower-case hex
 * digits for a byte that is no letter or digit. Otherwise TEXT as it is. In ARENA; NULL
 * when that is exhausted. */
const char *user_unescape(struct arena *arena, const char *text);
