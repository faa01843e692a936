/*
 * The state that the NVML source keeps between collections, shared by the files of this
 * folder. Nothing outside it includes this header, but for the unit tests.
 *
 * One collection runs: device scan (handles, UUIDs, MIG slots) → positions → process
 * lists → first GPM samples → readings → process utilisation → second GPM samples →
 * results into the caller's arena. Scratch memory is kept and reused; a steady collection
 * allocates nothing here.
 */
#pragma once

#include "source/driver.h"
#include "source/nvml/nvml_call.h"

enum {
    NVML_UUID_BYTES = NVML_DEVICE_UUID_V2_BUFFER_SIZE,
    NVML_PROFILE_BYTES = 48,
    /* A GPU's process list longer than this is not believed (the kernel ends at 950). */
    NVML_LIST_MAX = 16384,
    NVML_SAMPLES_MAX = 4096,
};

/* Time as a parameter, so that a test can turn it. */
struct nvml_clock {
    uint64_t (*monotonic_ns)(void *context);
    uint64_t (*wall_us)(void *context); /* Unix time */
    void (*sleep_ns)(void *context, uint64_t ns);
    void *context;
};

/* A GPM sample: the driver's memory, kept until nvml_gpm_drop(). */
struct nvml_gpm_sample {
    nvmlGpmSample_t handle; /* NULL: not allocated */
    bool is_filled;
    uint64_t taken_ns;
    uint32_t sole_pid; /* of the MIG device when it was taken */
};

/* One MIG slot of a GPU. */
struct nvml_mig {
    bool is_present; /* in this collection */
    nvmlDevice_t handle;
    uint32_t gi, ci;
    char uuid[NVML_UUID_BYTES]; /* "" when not known */
    char
        profile[NVML_PROFILE_BYTES]; /* of the device with this UUID; "" when not known */
    size_t position;                 /* in this collection's devices */
    enum value_state process_list;
    size_t omitted;       /* processes left out by the bound */
    size_t session_count; /* distinct pids listed, before any bound */
    uint32_t sole_pid;    /* the one process that is surely alone here; 0: none is */
    bool has_strangers;   /* the list names processes on this GI that are left out */
    enum value_state first_sample; /* of GPM; UNSET: not measured in this collection */
    struct nvml_gpm_sample kept, fresh;
};

enum nvml_support { NVML_SUPPORT_UNKNOWN = 0, NVML_SUPPORT_YES, NVML_SUPPORT_NO };

struct nvml_gpu {
    struct nvml_health health;
    bool is_skipped;            /* by the supervisor: no call is made */
    nvmlDevice_t handle;        /* of this collection; NULL when it could not be had */
    char uuid[NVML_UUID_BYTES]; /* "" when not known; what follows belongs to it */
    bool has_names;
    char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE];
    char pci_bus_id[NVML_DEVICE_PCI_BUS_ID_BUFFER_SIZE];
    struct value_u64 minor_number;
    bool memory_is_v1; /* the driver refuses nvmlDeviceGetMemoryInfo_v2 */
    bool has_mig_mode;
    bool mig_is_unknown;   /* asking for the mode failed, and no MIG device shows */
    struct nvml_mig *migs; /* FACTS_MAX_MIG_PER_GPU slots; NULL until MIG was met */
    size_t mig_count;      /* present in this collection */
    uint64_t mig_layout;   /* fingerprint of slots, ids and UUIDs */
    enum nvml_support gpm;
    /* Samples are asked for that are newer than this; 0: all that the driver holds. By
     * the driver's clock, as is what follows. */
    unsigned long long window_from_us;
    unsigned long long newest_sample_us; /* where the next window may begin */
    uint64_t newest_seen_ns;      /* monotonic time of the collection that saw it */
    unsigned int sample_capacity; /* of the driver's ring; 0: not asked yet */
    size_t position;              /* in this collection's devices */
    enum value_state process_list;
    size_t omitted;                      /* processes left out by the bound */
    size_t first_process, process_count; /* in nvml_source.processes */
};

/* One process of one GPU's lists, before bounds. */
struct nvml_entry {
    uint32_t device; /* position */
    uint32_t pid;
    uint32_t gi; /* as the driver named it, MIG_ID_NONE for none */
    unsigned kinds;
    struct value_u64 memory_bytes;
};

struct nvml_source {
    struct driver driver;
    struct arena *memory; /* owns this struct and the scratch below */
    struct nvml_link link;
    struct nvml_clock clock;
    bool with_graphics;
    size_t max_sessions;
    bool is_initialized;
    char driver_version[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE];

    struct nvml_gpu gpus[FACTS_MAX_GPUS];
    size_t gpu_count;
    size_t device_count;

    unsigned char *list; /* list_capacity entries as the driver writes them */
    size_t list_capacity;
    struct nvml_entry *entries; /* of the GPU at hand */
    size_t entry_count, entry_capacity;
    struct process_facts *processes; /* of this collection */
    size_t process_count, process_capacity;
    size_t processes_omitted;
    nvmlProcessUtilizationSample_t *samples;
    size_t sample_capacity;
    unsigned long long *newest; /* timestamp per process of the GPU at hand */
    size_t newest_capacity;
    nvmlGpmMetricsGet_t *metrics; /* too large for the stack; NULL until GPM was met */
};

/* Opens a source on API, which it owns from a successful return on (nvml_api_unload() at
 * close). CLOCK NULL: the system's. */
int nvml_source_open(const struct nvml_api *api, const struct nvml_clock *clock,
                     const struct driver_config *config, struct driver **out,
                     struct err *err) __attribute__((warn_unused_result));

/* Makes *ITEMS hold at least WANTED items of SIZE bytes, the first KEPT of which are
 * kept. Return: false when memory is exhausted (counted; nothing changed). */
bool nvml_scratch_reserve(struct nvml_source *source, void **items, size_t *capacity,
                          size_t wanted, size_t size, size_t kept)
    __attribute__((warn_unused_result));
#define NVML_RESERVE(source, items, capacity, wanted, kept)                              \
    __extension__({                                                                      \
        void *memory_ = (items);                                                         \
        bool is_reserved_ = nvml_scratch_reserve((source), &memory_, &(capacity),        \
                                                 (wanted), sizeof *(items), (kept));     \
        (items) = memory_;                                                               \
        is_reserved_;                                                                    \
    })

/* The present MIG devices of GPU: for (struct nvml_mig *mig = NULL; (mig =
 * nvml_mig_next(gpu, mig));). */
static inline struct nvml_mig *nvml_mig_next(const struct nvml_gpu *gpu,
                                             const struct nvml_mig *mig)
{
    size_t slot = mig ? (size_t)(mig - gpu->migs) + 1 : 0;
    while (gpu->mig_count && slot < FACTS_MAX_MIG_PER_GPU && !gpu->migs[slot].is_present)
        slot++;
    return gpu->mig_count && slot < FACTS_MAX_MIG_PER_GPU ? &gpu->migs[slot] : NULL;
}
