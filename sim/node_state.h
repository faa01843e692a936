/*
 * The simulated node as the simulated driver sees it: one file, mapped shared.
 *
 * `gpu-sessions simulate` compiles a scenario into this file; libnvidia-ml.so.1 maps the
 * file "node.state" that lies beside the library itself (or the one named by the
 * environment variable GPU_SESSIONS_NODE_STATE) at nvmlInit. Plain data, no pointers,
 * fixed sizes: header, then gpu_count GPUs, mig_count MIG devices, process_count
 * processes, fault_count faults, each array at its offset.
 *
 * The holder (`simulate --hold`) and tests change a running node by writing through the
 * mapping: `alive` of a process, `lost` of a GPU.
 */
#pragma once

#include <stdint.h>

#define NODE_STATE_MAGIC UINT64_C(0x31304D4953555047) /* "GPUSIM01" */
#define NODE_STATE_ENV "GPU_SESSIONS_NODE_STATE"
#define NODE_STATE_FILE "node.state"
#define SIM_ID_NONE UINT32_MAX

/* percent(t) = base + amplitude × sin(2π (t / period_seconds + phase)), clamped to 0–100.
 * t is seconds since node_state.epoch_us, or 0 while the node is frozen. */
struct sim_load {
    double base_percent;
    double amplitude_percent;
    double period_seconds; /* 0: constant */
    double phase;          /* fraction of a period */
};

enum sim_process_kind { SIM_COMPUTE = 1, SIM_MPS = 2, SIM_GRAPHICS = 4 };

/* One entry of a driver's process list: one process on one device. */
struct sim_process {
    uint32_t pid;
    uint32_t alive; /* 0: the driver does not list it (and the tree has no /proc entry) */
    uint32_t kinds;
    uint32_t gpu;          /* position in the GPU array */
    uint32_t gi, ci;       /* SIM_ID_NONE without MIG */
    uint64_t memory_bytes; /* UINT64_MAX: the driver says "not available" */
    struct sim_load sm, memory_bandwidth, encoder, decoder;
    uint32_t has_samples;     /* 0: ProcessUtilization has no record of it */
    uint32_t garbage_samples; /* further records with values over 100 or old timestamps */
};

struct sim_mig_device {
    uint32_t gpu;
    uint32_t slot; /* MIG index; slots without a device are empty */
    uint32_t gi, ci;
    char uuid[96];
    char profile[32]; /* "1g.5gb" */
    uint64_t memory_total_bytes;
    uint64_t memory_base_bytes; /* used by the driver itself when idle */
    uint32_t multiprocessors;
    uint32_t gpu_slices, compute_slices;
};

struct sim_gpu {
    char uuid[96];
    char name[96];
    char pci_bus_id[32]; /* "00000000:83:00.0" */
    uint32_t minor;
    uint32_t mig_capable;
    uint32_t mig_enabled;
    uint32_t mig_pending;
    uint32_t max_mig_devices;
    uint32_t gpm_supported;
    uint32_t lost;            /* 0, or the nvmlReturn_t every call on this GPU answers */
    uint32_t has_memory_info; /* 0: NOT_SUPPORTED, as on unified-memory systems */
    uint64_t memory_total_bytes;
    uint64_t memory_reserved_bytes;
    struct sim_load power_watts; /* base and amplitude are watts here, not clamped */
    struct sim_load temperature_celsius;
    uint32_t has_power, has_temperature, has_utilization;
};

enum sim_fault_action { SIM_FAULT_RETURN = 0, SIM_FAULT_STALL, SIM_FAULT_CRASH };

struct sim_fault {
    char call[64];   /* symbol, "nvmlDeviceGetMemoryInfo_v2"; a trailing '*' matches a
                        prefix */
    uint32_t gpu;    /* position, SIM_ID_NONE: any (or a call that is about no GPU) */
    uint32_t action; /* enum sim_fault_action */
    uint32_t code;   /* nvmlReturn_t for SIM_FAULT_RETURN */
    uint32_t after;  /* let this many matching calls pass first (counted per process) */
    uint32_t times;  /* act this often, then pass again; 0: always */
};

struct node_state {
    uint64_t magic;
    uint64_t size_bytes;
    char driver_version[80];
    uint32_t cuda_version; /* 12040 */
    uint32_t frozen;       /* loads stand at t = 0 */
    uint64_t epoch_us;     /* Unix time at which the scenario's time began */
    uint32_t latency_us;   /* each call spins this long in addition */
    uint32_t unprivileged; /* parent's process list and memory under MIG: NO_PERMISSION */
    uint32_t empty_slot_code;   /* nvmlReturn_t for an empty MIG slot: 6 or 2 */
    uint32_t process_v3_stride; /* 24, or 32 as on some 535 drivers */
    uint32_t sample_window_ms;  /* how far back process samples reach, 10000 */
    uint32_t open_sessions; /* processes × nvmlInit now open, counted by the library */
    uint64_t total_calls;   /* of all processes, counted by the library */
    uint32_t gpu_count, mig_count, process_count, fault_count;
    uint64_t gpu_offset, mig_offset, process_offset,
        fault_offset; /* bytes from the start */
};
