/*
 * What has to be remembered from one snapshot to the next: when each session last worked,
 * and how many sessions began and ended on each device.
 *
 * A tracker is one block of memory of fixed size without pointers, so that it can lie in
 * memory shared with the supervisor and outlive a collecting process that crashed. What
 * is read back from it is bounded: a crashing process may have damaged it.
 */
#pragma once

#include "model/snapshot.h"

#include <stddef.h>
#include <stdint.h>

struct tracker;

/* Bytes of a tracker for MAX_SESSIONS sessions. Untouched pages cost no memory. */
size_t tracker_bytes(size_t max_sessions);

/* MEMORY: tracker_bytes(MAX_SESSIONS) bytes, aligned for any type; zeroed, or those of a
 * tracker that a crashed process left behind: what that one remembered is kept as far as
 * it is sound. To be called in each process that is going to follow.
 * IDLE_WINDOW_NS: a session is active when it worked within this time. */
struct tracker *tracker_init(void *memory, size_t max_sessions, uint64_t idle_window_ns);

/**
 * tracker_follow() - take in a snapshot that is being built
 * @devices:  joined, with totals
 * @sessions: the array that the devices' runs are of, with `status` as this collection
 *            alone sees it
 * @now_ns:   monotonic
 *
 * Turns the status of sessions that worked within the idle window to SESSION_ACTIVE, and
 * fills sessions_started and sessions_ended of each device. The sessions of the first
 * snapshot, and those of a device whose list is read for the first time, did not begin
 * under the tracker's eyes and are not counted as started. On a device whose list was not
 * read, or not in full, nothing began and nothing ended; its counters are unset until it
 * was read once.
 *
 * A session is known by its device's UUID (the label where there is none), its pid and
 * its start time; where one of two sightings has no start time, the pid decides.
 */
void tracker_follow(struct tracker *tracker, struct device *devices, size_t device_count,
                    struct session *sessions, uint64_t now_ns);
