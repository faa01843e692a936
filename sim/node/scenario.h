/*
 * One simulated node, resolved: every copy made, every name looked up, every number
 * there.
 *
 * Scenarios are YAML (docs/simulate.md). The text is untrusted: it is bounded in size,
 * each count in it has a limit, and all memory comes from the caller's arena.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "sim/node_state.h"

enum {
    SCENARIO_FILE_BYTES_MAX = 1 << 20,
    SCENARIO_GPUS_MAX = 64,
    SCENARIO_MIG_PER_GPU_MAX = 16,
    SCENARIO_PODS_MAX = 5000,
    SCENARIO_CONTAINERS_MAX = 32, /* of one pod */
    SCENARIO_PROCESSES_MAX = 20000,
    SCENARIO_ENTRIES_MAX = 50000, /* process × device */
    SCENARIO_HOST_PROCESSES_MAX = 100000,
    SCENARIO_FAULTS_MAX = 256,
    SCENARIO_SYMBOLS_MAX = 256,
    SCENARIO_USERS_MAX = 1000,
    SCENARIO_COMMAND_BYTES_MAX = 4096,
    SCENARIO_PID_MAX = 4194304, /* the kernel's pid_max at most */
    SCENARIO_ARENA_BYTES = 256 << 20,
};

enum cgroup_driver { CGROUP_DRIVER_UNSET = 0, CGROUP_SYSTEMD, CGROUP_CGROUPFS };
enum container_runtime {
    RUNTIME_UNSET = 0,
    RUNTIME_CONTAINERD,
    RUNTIME_CRIO,
    RUNTIME_DOCKER
};
enum pod_qos { QOS_BURSTABLE = 0, QOS_GUARANTEED, QOS_BESTEFFORT };
enum agent_view { AGENT_HOST = 0, AGENT_PRIVATE };

struct scenario_user {
    const char *name;
    uint32_t uid;
};

struct scenario_gpu {
    struct sim_gpu sim;
    uint32_t first_mig, mig_count; /* in the scenario's migs */
    double lost_after_seconds;     /* with --hold: when `lost_code` begins; < 0: never */
    uint32_t lost_code;
};

struct scenario_pod {
    const char *namespace, *name, *uid;
    enum pod_qos qos;
    enum cgroup_driver cgroup_driver;
    enum container_runtime runtime;
    const char **containers;
    size_t container_count;
    bool has_log_links;
};

struct scenario_target {
    uint32_t gpu;
    uint32_t mig; /* position in the scenario's migs, SIM_ID_NONE: the GPU itself */
};

struct scenario_process {
    uint32_t pid;
    uint32_t uid;
    const char *command;            /* argv[0]: any bytes but NUL */
    const char *arguments;          /* blank-separated, "" without */
    const struct scenario_pod *pod; /* NULL: a process of the host */
    const char *container;          /* one of pod->containers */
    const char *cgroup;             /* of a host process; NULL: the node's usual place */
    struct sim_process sim;         /* load, memory, kinds; device and alive are unset */
    const struct scenario_target *targets;
    size_t target_count;
    size_t first_entry; /* in the state's process array, target_count of them */
    bool in_proc;
    double started_seconds; /* before the beginning; negative: after it */
    double starts_seconds;  /* from the beginning */
    double ends_seconds;    /* infinite: never */
    double repeat_seconds;  /* 0: once */
};

struct scenario {
    const char *label;
    const char *description;
    struct {
        bool is_present;
        const char *version;
        const char **absent_symbols;
        size_t absent_count;
        uint32_t cuda_version, latency_us, empty_slot_code, process_v3_stride,
            sample_window_ms;
        bool is_unprivileged;
    } driver;
    enum agent_view agent_view;
    const struct scenario_pod *agent_pod; /* NULL: a service of the host */
    enum cgroup_driver cgroup_driver;
    unsigned cgroup_version; /* 1 or 2 */
    double uptime_seconds;
    const char *kubelet_root;
    const struct scenario_user *users;
    struct scenario_gpu *gpus;
    const struct sim_mig_device *migs;
    const struct scenario_pod *pods;
    struct scenario_process *processes;
    const uint32_t *host_pids; /* processes that use no GPU and fill /proc */
    const struct sim_fault *faults;
    size_t user_count, gpu_count, mig_count, pod_count, process_count, host_pid_count,
        fault_count, entry_count;
};

/**
 * scenario_parse() - YAML text → scenario
 * @arena: owns everything in @out
 * @label: names the text in messages, kept in @out
 *
 * Return: 0; -EINVAL with a message that names label, place, cause and remedy; -ENOMEM.
 */
int scenario_parse(struct arena *arena, struct str text, const char *label,
                   struct scenario *out, struct err *err)
    __attribute__((warn_unused_result));

/* Loads a built-in scenario by NAME, or the file of that path when it holds a '/' or ends
 * in ".yaml" or ".yml". Errors as above, and when there is no such scenario. */
int scenario_load(struct arena *arena, const char *name, struct scenario *out,
                  struct err *err) __attribute__((warn_unused_result));

/* Whether PROCESS lives SECONDS after the beginning. *BORN: when this incarnation of it
 * began, in seconds from the beginning (negative: before). */
bool scenario_process_lives(const struct scenario_process *process, double seconds,
                            double *born);

/* True when PROCESS comes or goes after the beginning. */
bool scenario_process_changes(const struct scenario_process *process);

/* Deterministic ids: a function of SEED text alone. UUID is 8-4-4-4-12 hex, 36 bytes and
 * NUL; hex is COUNT digits (at most 64) and NUL. */
void scenario_uuid(char uuid[37], const char *seed);
void scenario_hex(char *hex, size_t count, const char *seed);
