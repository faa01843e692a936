/*
 * The kubelet's list of pods and devices, from its protobuf bytes.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/allocation.h"

/* Bounds on one answer: 5,000 pods are ten times what a kubelet is built for. */
enum { PODRESOURCES_MAX_GRANTS = 16384, PODRESOURCES_SCRATCH_BYTES = 64 << 20 };

/* What an answer says; lives in the arena that it was decoded into. */
struct grant_list {
    struct grant *grants; /* in the order of the answer; may repeat */
    size_t count;
    size_t omitted;   /* grants beyond the bound */
    size_t bad_names; /* grants left out: a name that Kubernetes does not allow */
    size_t pod_count; /* all pods, with devices or without */
};

/**
 * podresources_decode() - read the NVIDIA devices out of an answer
 * @arena: owns the result
 *
 * Return: 0; -EPROTO when the bytes are not such an answer, or need more than
 * PODRESOURCES_SCRATCH_BYTES to unpack; -ENOMEM without memory.
 */
int podresources_decode(struct str bytes, struct arena *arena, struct grant_list *out,
                        struct err *err) __attribute__((warn_unused_result));
