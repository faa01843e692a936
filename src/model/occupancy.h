/*
 * Given and used: allocations joined with the sessions. Pods are compared by name, since
 * the kubelet's answer has no pod UID.
 */
#pragma once

#include "model/snapshot.h"

/**
 * occupancy_join() - say of each session, allocation and device what is the case
 * @devices:  with their sessions and totals; their allocations and states are filled in
 * @sessions: all of them, by device; is_allocated is filled in
 *
 * Return: 0, or -ENOMEM.
 */
int occupancy_join(struct arena *arena, const struct allocation_set *set,
                   struct device *devices, size_t device_count, struct session *sessions)
    __attribute__((warn_unused_result));
