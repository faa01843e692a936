/*
 * A scenario as it is written: what libcyaml loads, before names are resolved and copies
 * are made. Absent text is NULL, an absent number 0, an absent switch YAML_UNSET.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum yaml_switch { YAML_UNSET = 0, YAML_TRUE, YAML_FALSE };

enum yaml_mig_mode {
    MIG_MODE_UNSET = 0,
    MIG_ENABLED,
    MIG_DISABLED,
    MIG_ENABLING,
    MIG_DISABLING
};

struct yaml_driver {
    enum yaml_switch present, unprivileged;
    char *generation, *version, *cuda, *empty_slot_code;
    char **absent_symbols;
    unsigned absent_symbols_count;
    unsigned latency_us, sample_window_seconds;
};

struct yaml_node {
    int runtime;       /* enum container_runtime */
    int cgroup_driver; /* enum cgroup_driver */
    int agent_view;    /* enum agent_view */
    unsigned cgroup_version;
    char *agent_pod, *uptime, *kubelet_root;
};

struct yaml_user {
    char *name;
    unsigned uid;
};

struct yaml_gpu {
    char *name, *uuid, *pci_bus_id, *memory, *reserved, *power, *temperature, *lost,
        *lost_after;
    unsigned count, mig_slots;
    enum yaml_mig_mode mig_mode;
    char **mig;
    unsigned mig_count;
    enum yaml_switch mig_capable, gpm, utilization, memory_info;
};

struct yaml_pod {
    char *namespace, *name, *uid;
    int qos, cgroup_driver, runtime;
    char **containers;
    unsigned containers_count, replicate;
    enum yaml_switch is_static, log_links;
};

struct yaml_process {
    char *command, *command_hex, *arguments, *user, *pod, *container, *cgroup, *pid, *gpu,
        *mig, *memory, *sm, *memory_bandwidth, *encoder, *decoder, *started, *starts,
        *ends, *repeat;
    unsigned command_length, garbage, replicate;
    int kind; /* bits of enum sim_process_kind, 0: unset */
    enum yaml_switch samples, in_proc;
};

struct yaml_fault {
    char *call, *gpu, *code;
    int action; /* enum sim_fault_action */
    unsigned after, times;
};

struct yaml_scenario {
    char *description;
    struct yaml_driver *driver;
    struct yaml_node *node;
    struct yaml_user *users;
    struct yaml_gpu *gpus;
    struct yaml_pod *pods;
    struct yaml_process *processes;
    struct yaml_fault *faults;
    unsigned users_count, gpus_count, pods_count, processes_count, faults_count;
    unsigned host_processes;
};

/**
 * scenario_yaml_load() - text → structure, against a strict schema
 * @label: how the text is called in messages: a file's path, or the scenario's name
 *
 * Unknown keys, wrong types, repeated keys, aliases and counts over their bounds are
 * refused; the message names @label, the line, the field and the cause.
 *
 * Return: 0 and *out, to be released with scenario_yaml_free(); negative otherwise.
 */
int scenario_yaml_load(struct str text, const char *label, struct yaml_scenario **out,
                       struct err *err);

/* Accepts NULL. */
void scenario_yaml_free(struct yaml_scenario *yaml);

static inline void scenario_yaml_freep(struct yaml_scenario **yaml)
{
    scenario_yaml_free(*yaml);
}
