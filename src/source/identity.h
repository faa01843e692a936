/*
 * Who each process is: /proc joined with the pod names that the node keeps in its log
 * directory. Needs no credential, no root, no ptrace right.
 *
 * Identity is (pid, start time). Identities of processes already known are kept between
 * collections and only confirmed, not read again: by the kernel, which tells who has
 * ended (pidfds), or one by one where this /proc is not that of our own PID namespace.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/facts.h"
#include "model/snapshot.h"
#include "source/errors.h"
#include "source/progress.h"

struct identity_config {
    const char *procfs;  /* the host's /proc as this program sees it */
    const char *rootfs;  /* the host's root: <rootfs>/etc/passwd names the users */
    const char *podlogs; /* the kubelet's link directory, <rootfs>/var/log/containers */
    int max_held; /* descriptors below this number are kept per process; 0: none are */
    struct error_counters *errors;  /* counted into, never NULL */
    struct call_progress *progress; /* told of each process that is read, never NULL */
};

struct identity_source;

/* Return: 0, or negative when @procfs is not a readable proc file system (message names
 * the path, the cause and the remedy). */
int identity_open(const struct identity_config *config, struct identity_source **out,
                  struct err *err) __attribute__((warn_unused_result));

void identity_close(struct identity_source *source);

/* The clock of this /proc, to be read before the driver's list is taken: a process that
 * started later than this is not the one the driver listed.
 * Return: 0, or negative (clock->is_known is false then). */
int identity_clock(struct identity_source *source, struct process_clock *clock,
                   struct err *err);

/**
 * identity_collect() - look up the processes of one collection
 * @clock: as read before the driver's list was taken
 * @pids:  @count pids, may repeat (one process on several devices)
 * @out:   @count entries, same order; a process that cannot be identified has a state
 *         that says why. Text lives in @source and stays until the next call.
 *
 * What fails is counted in the errors, except IDENTITY_INVISIBLE and IDENTITY_REUSED:
 * only the driver's second list tells what these were, see identity_collect_again().
 *
 * Return: 0, or -ENOMEM.
 */
int identity_collect(struct identity_source *source, const struct process_clock *clock,
                     const uint32_t *pids, size_t count, struct process_identity *out,
                     struct err *err) __attribute__((warn_unused_result));

/**
 * identity_collect_again() - a second look, within the same collection
 * @clock: as read before the driver's second list was taken
 * @pids:  processes that were invisible or younger than the first list, and that the
 *         driver still listed afterwards
 *
 * All that the last identity_collect() gave out stays valid. Return: as there.
 */
int identity_collect_again(struct identity_source *source,
                           const struct process_clock *clock, const uint32_t *pids,
                           size_t count, struct process_identity *out, struct err *err)
    __attribute__((warn_unused_result));

/* Status of "procfs" and, when this node has pods, of "podlogs" after the last
 * collection. Writes at most 2 entries to OUT; return: how many. Text lives in @arena. */
size_t identity_status(const struct identity_source *source, struct arena *arena,
                       struct source_status *out);
