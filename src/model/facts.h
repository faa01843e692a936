/*
 * Plain facts as the sources report them, before they are joined.
 *
 * Shape: arrays owned by the collection's arena; text is NUL-terminated, bounded by the
 * source that read it, but otherwise as it came (any bytes: outputs escape). A text that
 * was not learnt is NULL.
 */
#pragma once

#include "model/value.h"

#include <stddef.h>

/* Bounds for what the outside chooses; each is enforced by the source that reads it. */
enum {
    FACTS_MAX_GPUS = 64,
    FACTS_MAX_MIG_PER_GPU = 32,
    FACTS_DEFAULT_MAX_SESSIONS = 10000,
    FACTS_COMMAND_BYTES = 128, /* a process name is cut to this on a UTF-8 boundary */
};

/* GPU-instance or compute-instance id of something that is not a MIG device. */
#define MIG_ID_NONE UINT32_MAX

enum device_kind { DEVICE_GPU, DEVICE_MIG };

/* Who measured a utilisation; meaningful where there is one. */
enum utilization_source {
    UTILIZATION_DRIVER = 0, /* the driver's own sampling */
    UTILIZATION_GPM,        /* the driver's counters between two looks at them */
    UTILIZATION_DCGM,       /* a DCGM exporter's page */
};

/* A GPU, or a MIG device (one compute instance). The devices of one GPU stand together:
 * first the GPU, then its MIG devices by ascending MIG index. */
struct device_facts {
    enum device_kind kind;
    bool has_mig_mode; /* GPU: MIG mode is on */
    bool
        has_mig_devices; /* GPU: sessions live on the MIG devices that follow, not here */
    uint32_t index;      /* of the physical GPU, as the driver counts */
    uint32_t gi, ci;     /* MIG_ID_NONE for a GPU */
    const char *uuid;
    const char *name;
    const char *pci_bus_id;  /* as NVML prints it, "00000000:83:00.0"; parent's for MIG */
    const char *mig_profile; /* "1g.5gb"; NULL for a GPU */
    const char *parent_uuid; /* MIG device: its GPU's UUID */
    struct value_u64 minor_number; /* GPU: the N of /dev/nvidiaN */
    struct value_u64 memory_total_bytes;
    struct value_u64
        memory_used_bytes; /* without the driver's reserve where it says so */
    struct value_double utilization_percent;
    enum utilization_source utilization_source;
    struct value_double power_watts;
    struct value_double temperature_celsius;
    size_t processes_omitted; /* listed by the driver, left out by the configured bound */
    enum value_state process_list; /* VALUE_OK when the driver gave the list */
    /* MIG device: the process that is surely alone on its GPU instance; 0: none is, or it
     * is not known. */
    uint32_t sole_pid;
    const char *fault; /* why the device could not be read ("GPU is lost (NVML 15)") */
};

enum process_kind { PROCESS_COMPUTE = 1, PROCESS_MPS = 2, PROCESS_GRAPHICS = 4 };

/* One process on one device, as the driver lists it. */
struct process_facts {
    uint32_t device; /* position in driver_facts.devices */
    uint32_t pid;    /* as the driver gave it */
    unsigned kinds;  /* enum process_kind, or-ed */
    struct value_u64 memory_used_bytes;
    /* Percent of the device's time since the previous collection, as far back as the
     * driver holds samples. A listed process without a record did nothing: VALUE_OK, 0.
     */
    struct value_double sm_percent;
    struct value_double memory_bandwidth_percent;
    struct value_double encoder_percent;
    struct value_double decoder_percent;
    enum utilization_source utilization_source; /* of sm_percent */
};

/* What a driver source (NVML, nvidia-smi) learnt in one collection. */
struct driver_facts {
    const char *driver_version;
    struct device_facts *devices;
    size_t device_count;
    struct process_facts *processes; /* by device, then pid; unique in (device, pid) */
    size_t process_count;
    size_t processes_omitted; /* beyond the configured bound */
};

/* Who a process is, as far as /proc tells. */
enum identity_state {
    IDENTITY_UNKNOWN = 0, /* not looked up */
    IDENTITY_KNOWN,
    IDENTITY_INVISIBLE, /* no such /proc entry: another PID namespace, or a dead process
                         */
    IDENTITY_DENIED,    /* there, but not readable (hidepid=, SELinux) */
    IDENTITY_REUSED, /* the entry belongs to a process younger than the driver's list */
};

enum pod_state {
    POD_UNKNOWN = 0, /* nothing could be read: perhaps in a pod, perhaps not */
    POD_NONE,        /* outside any pod */
    POD_UNRESOLVED,  /* in a pod whose names are not known */
    POD_RESOLVED,
};

/* What Kubernetes itself says of a pod. */
struct pod_metadata {
    const char *namespace_;
    const char *name;
    const char *owner; /* its controller, "Deployment/llm-serve"; NULL: none */
    /* Of the wanted labels and annotations, by their places in struct pod_keys; NULL:
     * the pod has none of that key. */
    const char *const *values;
};

struct pod_identity {
    enum pod_state state;
    const char *uid; /* as in the cgroup path, systemd's '_' turned back to '-' */
    /* From the cgroup, or from the kubelet's link of the cgroup's container; not from
     * mounts, which the workload may have made. */
    bool is_uid_sure;
    const char *namespace_;
    const char *name;
    const char *container; /* may be known when the pod's names are not */
    const char
        *container_id;    /* 64 hex digits, no runtime prefix; also outside Kubernetes */
    const char *resolver; /* who answered: "podlogs", "mountinfo", "kubelet",
                             "apiserver"; NULL when nobody */
    const struct pod_metadata *metadata; /* NULL when not known, or not asked for */
};

/* A pid alone is no identity: (pid, start_ticks) is. */
struct process_identity {
    uint32_t pid;
    enum identity_state state;
    uint64_t start_ticks; /* since boot, sysconf(_SC_CLK_TCK) per second */
    bool is_mps_service;  /* MPS server or control daemon, by argv[0] and comm alike */
    const char *command; /* base name of argv[0], or the kernel's comm; never arguments */
    uint32_t uid;        /* meaningful when has_uid */
    bool has_uid;
    const char
        *unix_user; /* from the host's passwd; NULL when the uid has no name there */
    struct pod_identity pod;
};
