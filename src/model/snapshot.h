/*
 * Everything one collection saw, joined, immutable.
 *
 * snapshot_build() is a pure function: no I/O, no clock. The result and all it points to
 * live in the caller's arena; nobody frees a part. Outputs are pure functions of it.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/allocation.h"
#include "model/facts.h"
#include "model/gpu_selection.h"
#include "model/user.h"

struct tracker;       /* model/tracker.h */
struct daemon_status; /* model/daemon_status.h */

enum session_status { SESSION_UNKNOWN = 0, SESSION_ACTIVE, SESSION_IDLE };

/* One process on one device. */
struct session {
    const struct device *device;
    uint32_t pid;
    uint64_t start_ticks;       /* with the pid: who it is; 0 when not known */
    unsigned kinds;             /* enum process_kind, or-ed */
    enum session_status status; /* SESSION_UNKNOWN where the driver has no utilisation */
    enum identity_state identity;
    const char *command;                    /* "" when not known */
    struct value_double start_time_seconds; /* Unix time */
    struct value_double age_seconds; /* by the clock of the same /proc, not the wall's */
    bool has_uid;
    uint32_t uid;
    const char *unix_user; /* "" when not known */
    struct pod_identity pod;
    const char *user;         /* by the chain of --user.from; "" when not known */
    enum user_kind user_kind; /* where in the chain: USER_NOBODY when not known */
    const char *user_from;    /* likewise in words, "annotation:KEY"; "" */
    struct value_u64 memory_used_bytes;
    struct value_double memory_percent; /* of the device's total */
    struct value_double sm_percent;
    struct value_double memory_bandwidth_percent;
    struct value_double encoder_percent;
    struct value_double decoder_percent;
    enum utilization_source utilization_source; /* of sm_percent */
    /* Whether Kubernetes gave the session's pod this device. Not known without its
     * answer, and of a session whose pod is not known. */
    enum ternary is_allocated;
};

/* What is the case on a device; several are at a time on one that is shared. */
enum device_state {
    DEVICE_USED,             /* a session of a pod that was given it */
    DEVICE_ALLOCATED_UNUSED, /* a container was given it and has no session on it */
    DEVICE_USED_UNALLOCATED, /* a session of somebody who was not given it */
    DEVICE_FREE,             /* neither session nor allocation */
    DEVICE_STATES
};

struct device {
    const struct device_facts *facts;
    const char *label;   /* the `gpu` label: "0", or "0_7_0" for a MIG device */
    bool holds_sessions; /* false for a GPU whose MIG devices hold them */
    const struct session *sessions; /* session_count entries, ordered by pid */
    size_t session_count;
    size_t user_count; /* distinct known users */
    /* The counts as measured: missing when the list was not read, or not all of it, or
     * when it is not known of somebody who he is. */
    struct value_u64 session_total, user_total;
    /* Since the daemon began to follow; unset in one-shot mode. */
    struct value_u64 sessions_started, sessions_ended;
    const struct allocation *allocations; /* allocation_count entries, ordered by name */
    size_t allocation_count;
    enum ternary states[DEVICE_STATES]; /* all unknown without Kubernetes' answer */
};

/* The driver gave this device's process list. A device with a fault has no rows, not even
 * those that were read before it showed. */
static inline bool device_is_counted(const struct device *device)
{
    return device->holds_sessions && !device->facts->fault &&
           device->facts->process_list == VALUE_OK;
}

/* Whether a source answered. Sources that do not apply on this node are not listed. */
struct source_status {
    const char *name; /* "nvml", "nvidia-smi", "procfs", "podlogs" */
    bool is_up;
    const char *reason; /* words for a person when down or limited; NULL otherwise */
};

/* What went wrong, counted since the program started. */
struct error_count {
    const char *source;
    const char *reason; /* a word of a bounded set: "gpu_is_lost", "hidden" … */
    uint64_t count;
};

struct snapshot {
    const char *node; /* NULL when no node name is configured */
    const char *driver_version;
    double
        taken_at_seconds; /* Unix time at the end of the collection; 0: none has ended */
    double duration_seconds;
    const struct device *devices;
    size_t device_count;
    bool has_driver; /* one answered; otherwise nothing is known of devices */
    const struct session *sessions; /* all of them, by device, then pid */
    size_t session_count;
    size_t user_count; /* distinct known users */
    /* As in struct device, over all devices whose list was read; missing when none was.
     */
    struct value_u64 session_total, user_total;
    size_t sessions_omitted; /* beyond the configured bound */
    bool has_allocations;    /* Kubernetes told what it gave to whom */
    const struct source_status *sources;
    size_t source_count;
    const struct error_count *errors;
    size_t error_count;
    const struct daemon_status *daemon; /* NULL in one-shot mode */
    const struct label_names *labels;   /* pod labels to show; never NULL */
};

/* The value of a pod label to show; NULL when the pod has none, or is not known. */
static inline const char *session_label(const struct session *session,
                                        const struct label_name *label)
{
    return session->pod.metadata ? session->pod.metadata->values[label->key] : NULL;
}

/* The clock of the /proc that the identities were read from. */
struct process_clock {
    bool is_known;
    uint64_t ticks_per_second;
    uint64_t now_ticks;         /* since boot, when the collection began */
    uint64_t boot_time_seconds; /* Unix time of boot */
};

struct snapshot_input {
    const struct driver_facts *driver;         /* NULL when no driver answered */
    const struct process_identity *identities; /* process_count entries, same order as
                                                  driver->processes */
    const struct allocation_set *allocations;  /* of `driver`; NULL: not known */
    const bool *is_dropped; /* per process: gone meanwhile, makes no session; or NULL */
    struct process_clock clock;
    const char *node;
    double taken_at_seconds;
    double duration_seconds;
    const struct source_status *sources;
    size_t source_count;
    const struct error_count *errors;
    size_t error_count;
    const struct gpu_selection *gpus;   /* to be reported; NULL: all */
    struct tracker *tracker;            /* takes the snapshot in; NULL in one-shot mode */
    uint64_t now_ns;                    /* monotonic, for the tracker */
    const struct daemon_status *daemon; /* NULL in one-shot mode */
    const struct user_chain *users;     /* NULL: USER_FROM_DEFAULT */
    const struct label_names *labels;   /* NULL: none */
};

/**
 * snapshot_build() - join facts into a snapshot
 * @arena: owns the result; @input's facts must live as long as it
 * @out:   written only on success
 *
 * Return: 0, or -ENOMEM when the arena is exhausted.
 */
int snapshot_build(struct arena *arena, const struct snapshot_input *input,
                   const struct snapshot **out, struct err *err)
    __attribute__((warn_unused_result));

/* Whether a driver source and procfs answered: the collection counts as done. */
bool snapshot_is_complete(const struct snapshot *snapshot);
