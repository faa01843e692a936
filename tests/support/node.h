/*
 * A small node for tests of the model and the outputs: four GPUs, GPU 1 in MIG mode with
 * two MIG devices, pods, a host process, a process nobody knows, an empty GPU and a lost
 * one. A test changes what it wants and then calls node_build().
 */
#pragma once

#include "base/arena.h"
#include "base/cleanup.h"
#include "model/snapshot.h"

#include <stdlib.h>

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)

enum { NODE_DEVICES = 6, NODE_PROCESSES = 5, NODE_BOOT = 1767225600, NODE_HZ = 100 };

struct node {
    struct arena *arena;
    struct device_facts devices[NODE_DEVICES];
    struct process_facts processes[NODE_PROCESSES];
    struct process_identity identities[NODE_PROCESSES];
    struct source_status sources[3];
    struct error_count errors[2];
    struct driver_facts driver;
    struct snapshot_input input;
};

static inline struct device_facts node_gpu(uint32_t index, const char *uuid)
{
    return (struct device_facts){
        .kind = DEVICE_GPU,
        .index = index,
        .gi = MIG_ID_NONE,
        .ci = MIG_ID_NONE,
        .uuid = uuid,
        .name = "NVIDIA A100-SXM4-40GB",
        .pci_bus_id = "00000000:83:00.0",
        .memory_total_bytes = value_u64_ok(40 * GIB),
        .memory_used_bytes = value_u64_ok(10 * GIB),
        .utilization_percent = value_double_ok(71),
        .power_watts = value_double_ok(250.25),
        .temperature_celsius = value_double_ok(60),
        .process_list = VALUE_OK,
    };
}

static inline struct device_facts node_mig(uint32_t index, uint32_t gi)
{
    return (struct device_facts){
        .kind = DEVICE_MIG,
        .index = index,
        .gi = gi,
        .ci = 0,
        .uuid = gi == 7 ? "MIG-b" : "MIG-c",
        .name = "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        .pci_bus_id = "00000000:83:00.0",
        .mig_profile = "1g.5gb",
        .parent_uuid = "GPU-1",
        .memory_total_bytes = value_u64_ok(5 * GIB),
        .memory_used_bytes = value_u64_ok(1 * GIB),
        .utilization_percent = {.state = VALUE_UNSUPPORTED},
        .power_watts = {.state = VALUE_UNSUPPORTED},
        .temperature_celsius = {.state = VALUE_UNSUPPORTED},
        .process_list = VALUE_OK,
    };
}

static inline struct process_facts node_process(uint32_t device, uint32_t pid,
                                                uint64_t memory_mib, double sm)
{
    return (struct process_facts){
        .device = device,
        .pid = pid,
        .kinds = PROCESS_COMPUTE,
        .memory_used_bytes = value_u64_ok(memory_mib * MIB),
        .sm_percent = value_double_ok(sm),
        .memory_bandwidth_percent = value_double_ok(sm / 2),
        .encoder_percent = value_double_ok(0),
        .decoder_percent = value_double_ok(0),
    };
}

static inline struct process_identity node_identity(uint32_t pid, const char *command,
                                                    const char *namespace_,
                                                    const char *pod)
{
    return (struct process_identity){
        .pid = pid,
        .state = IDENTITY_KNOWN,
        .start_ticks = pid * NODE_HZ,
        .command = command,
        .uid = 1000,
        .has_uid = true,
        .unix_user = "alice",
        .pod = {.state = pod ? POD_RESOLVED : POD_NONE,
                .uid = pod ? "2b0a4a4e-6a5e-4f0e-9d7c-0d4a5e0f1c2d" : NULL,
                .namespace_ = namespace_,
                .name = pod,
                .container = pod ? "main" : NULL,
                .resolver = pod ? "podlogs" : NULL},
    };
}

static inline void node_set_driver(struct node *node)
{
    node->devices[0] = node_gpu(0, "GPU-0");
    node->devices[1] = node_gpu(1, "GPU-1");
    node->devices[1].has_mig_mode = node->devices[1].has_mig_devices = true;
    node->devices[1].process_list = VALUE_UNSET;
    node->devices[1].utilization_percent.state = VALUE_UNSUPPORTED;
    node->devices[2] = node_mig(1, 7);
    node->devices[3] = node_mig(1, 8);
    node->devices[4] = node_gpu(2, "GPU-2");
    node->devices[4].memory_used_bytes = value_u64_ok(0);
    node->devices[4].utilization_percent = value_double_ok(0);
    node->devices[5] = (struct device_facts){.kind = DEVICE_GPU,
                                             .index = 3,
                                             .gi = MIG_ID_NONE,
                                             .ci = MIG_ID_NONE,
                                             .uuid = "GPU-3",
                                             .process_list = VALUE_ERROR,
                                             .fault = "GPU is lost (NVML 15)"};
    node->processes[0] = node_process(0, 4242, 4096, 70);
    node->processes[1] = node_process(0, 5151, 2048, 0);
    node->processes[2] = node_process(2, 6000, 512, 0);
    node->processes[2].sm_percent.state = VALUE_UNSUPPORTED;
    node->processes[2].memory_bandwidth_percent.state = VALUE_UNSUPPORTED;
    node->processes[3] = node_process(2, 6001, 100, 12.5);
    node->processes[4] = node_process(3, 7000, 0, 0);
    node->processes[4].memory_used_bytes.state = VALUE_DENIED;
}

static inline void node_set_identities(struct node *node)
{
    node->identities[0] = node_identity(4242, "python3", "ml-team", "train-0");
    node->identities[1] = node_identity(5151, "jupyter", "research", "nb-1");
    node->identities[2] = node_identity(6000, "bench", NULL, NULL);
    node->identities[3] = node_identity(6001, "infer", NULL, NULL);
    node->identities[3].pod =
        (struct pod_identity){.state = POD_UNRESOLVED, .uid = "0-1", .container = "web"};
    node->identities[4] =
        (struct process_identity){.pid = 7000, .state = IDENTITY_INVISIBLE};
}

static inline void node_init(struct node *node)
{
    *node = (struct node){.arena = arena_new(1 << 24)};
    node_set_driver(node);
    node_set_identities(node);
    node->sources[0] = (struct source_status){"nvml", true, NULL};
    node->sources[1] = (struct source_status){"procfs", true, NULL};
    node->sources[2] = (struct source_status){"podlogs", false, "no such directory"};
    node->errors[0] = (struct error_count){"nvml", "gpu_is_lost", 1};
    node->errors[1] = (struct error_count){"procfs", "process_invisible", 1};
    node->driver = (struct driver_facts){"550.54.15",     node->devices,  NODE_DEVICES,
                                         node->processes, NODE_PROCESSES, 0};
    node->input = (struct snapshot_input){
        .driver = &node->driver,
        .identities = node->identities,
        .clock = {true, NODE_HZ, UINT64_C(10000) * NODE_HZ, NODE_BOOT},
        .taken_at_seconds = NODE_BOOT + 10000.5,
        .duration_seconds = 0.0125,
        .sources = node->sources,
        .source_count = ARRAY_LENGTH(node->sources),
        .errors = node->errors,
        .error_count = ARRAY_LENGTH(node->errors),
    };
}

/* GPU 0 given to a pod that uses it and to one that does not, GPU 2 to one that does not:
 * entries for node->input.allocations. */
static inline const struct allocation_set *node_allocations(void)
{
    static const struct allocation entries[] = {
        {0, true, "ml-team", "train-0", "main", TERNARY_UNKNOWN},
        {0, true, "web", "search-0", "main", TERNARY_UNKNOWN},
        {4, false, "web", "search-1", "main", TERNARY_UNKNOWN},
    };
    static const struct allocation_set set = {.entries = entries,
                                              .count = ARRAY_LENGTH(entries)};
    return &set;
}

/* The snapshot, or NULL when it could not be built. */
static inline const struct snapshot *node_build(struct node *node)
{
    const struct snapshot *snapshot = NULL;
    return snapshot_build(node->arena, &node->input, &snapshot, NULL) == 0 ? snapshot
                                                                           : NULL;
}

static inline void node_done(struct node *node)
{
    arena_free(node->arena);
}
