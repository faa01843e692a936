/*
 * What Kubernetes gave to whom: grants (container, device id) matched with the devices
 * that the driver lists.
 */
#pragma once

#include "base/arena.h"
#include "model/device_id.h"
#include "model/facts.h"

/* One device id that the kubelet says a container has. */
struct grant {
    const char *namespace_, *pod, *container;
    struct device_id id; /* never DEVICE_ID_FOREIGN */
};

/* Whether a container that was given a device uses it, and the like: what a source did
 * not tell is not known, never "no". */
enum ternary { TERNARY_UNKNOWN = 0, TERNARY_NO, TERNARY_YES };

/* One container that was given one device, by however many ids. */
struct allocation {
    uint32_t device; /* position in driver_facts.devices */
    bool is_shared;  /* other pods may have been given the device at the same time */
    const char *namespace_, *pod, *container;
    enum ternary is_used; /* a session of the container runs on the device */
};

struct pod_name {
    const char *namespace_, *pod;
};

struct allocation_set {
    const struct allocation *entries; /* ordered by device, namespace, pod, container */
    size_t count;
    /* Pods that have a device of which the id does not say which, ordered by name. */
    const struct pod_name *unplaced;
    size_t unplaced_count;
    size_t left_out; /* grants that the source could not keep: any pod's, any device's */
    size_t absent_ids; /* name a device that the driver does not list */
    size_t opaque_ids; /* do not say which device they mean */
};

/* Finds the device of each grant. All in ARENA, names as in GRANTS.
 * Return: 0, or -ENOMEM. */
int allocation_match(struct arena *arena, const struct driver_facts *driver,
                     const struct grant *grants, size_t count, struct allocation_set *out)
    __attribute__((warn_unused_result));
