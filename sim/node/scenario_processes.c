/*
 * The `processes` section: copies of each entry with pids, places, loads and life times;
 * then the pids of the host's other processes.
 */
#include "sim/node/scenario_build.h"

#include "base/cleanup.h"
#include "sim/node/scenario_text.h"

#include <math.h>

enum { FIRST_PID = 10000, PID_STEP = 17, FIRST_HOST_PID = 300 };

/* One bit per pid. */
struct pid_set {
    uint8_t *bits;
    uint32_t next;      /* where to look for the next free one */
    uint32_t next_host; /* the same for host processes */
};

static bool pid_take(struct pid_set *set, uint32_t pid)
{
    uint8_t mask = (uint8_t)(1U << (pid % 8));
    if (set->bits[pid / 8] & mask)
        return false;
    set->bits[pid / 8] |= mask;
    return true;
}

/* The counts are far below the number of pids: there is always a free one. */
static uint32_t pid_take_free(struct pid_set *set, uint32_t *next, uint32_t step)
{
    for (;;) {
        uint32_t pid = *next;
        *next += step;
        if (*next > SCENARIO_PID_MAX)
            *next = FIRST_HOST_PID;
        if (pid_take(set, pid))
            return pid;
    }
}

static int read_load(const struct scenario_build *build, const char *field,
                     const char *text, uint64_t copy, struct sim_load *load)
{
    if (!text)
        return 0;
    const char *expanded = scenario_expand_copy(build, text, copy);
    if (!expanded)
        return scenario_out_of_memory(build);
    return scenario_text_load(str_from(expanded), load)
               ? 0
               : scenario_field_error(build, field,
                                      "\"%.40s\" is no load; write for example 55 or 55 "
                                      "amplitude 20 period 40 phase 0.5",
                                      expanded);
}

static int read_loads(const struct scenario_build *build, const struct yaml_process *yaml,
                      uint64_t copy, struct sim_process *sim)
{
    int rc = read_load(build, "sm", yaml->sm, copy, &sim->sm);
    rc = rc ? rc
            : read_load(build, "memory_bandwidth", yaml->memory_bandwidth, copy,
                        &sim->memory_bandwidth);
    rc = rc ? rc : read_load(build, "encoder", yaml->encoder, copy, &sim->encoder);
    rc = rc ? rc : read_load(build, "decoder", yaml->decoder, copy, &sim->decoder);
    if (rc)
        return rc;
    sim->memory_bytes = 0;
    if (yaml->memory && !scenario_text_size(str_from(yaml->memory), &sim->memory_bytes))
        return scenario_field_error(
            build, "memory", "\"%.40s\" is no size; write for example 2GiB, or none",
            yaml->memory);
    sim->kinds = yaml->kind ? (uint32_t)yaml->kind : SIM_COMPUTE;
    sim->has_samples = yaml->samples != YAML_FALSE;
    sim->garbage_samples = yaml->garbage;
    return yaml->garbage > 1000 ? scenario_field_error(build, "garbage", "more than 1000")
                                : 0;
}

static int read_time(const struct scenario_build *build, const char *field,
                     const char *text, uint64_t copy, double *seconds)
{
    if (!text)
        return 0;
    const char *expanded = scenario_expand_copy(build, text, copy);
    if (!expanded)
        return scenario_out_of_memory(build);
    return scenario_text_seconds(str_from(expanded), seconds)
               ? 0
               : scenario_field_error(
                     build, field, "\"%.40s\" is no time; write for example 90, 5m or 2h",
                     expanded);
}

static int read_times(const struct scenario_build *build, const struct yaml_process *yaml,
                      uint64_t copy, struct scenario_process *process)
{
    process->started_seconds = 3600;
    process->ends_seconds = HUGE_VAL;
    int rc = read_time(build, "started", yaml->started, copy, &process->started_seconds);
    rc = rc ? rc
            : read_time(build, "starts", yaml->starts, copy, &process->starts_seconds);
    rc = rc ? rc : read_time(build, "ends", yaml->ends, copy, &process->ends_seconds);
    rc = rc ? rc
            : read_time(build, "repeat", yaml->repeat, copy, &process->repeat_seconds);
    if (rc)
        return rc;
    if (process->starts_seconds < 0 || process->ends_seconds <= process->starts_seconds)
        return scenario_field_error(build, "ends",
                                    "`starts` is 0 or more, `ends` comes after it");
    if (yaml->repeat && (!yaml->ends || process->repeat_seconds < process->ends_seconds))
        return scenario_field_error(build, "repeat",
                                    "needs `ends`, and must not be shorter than it");
    return 0;
}

static int read_command(const struct scenario_build *build,
                        const struct yaml_process *yaml, uint64_t copy,
                        struct scenario_process *process)
{
    CLEANUP(buf_done) struct buf buf = BUF_INIT(SCENARIO_COMMAND_BYTES_MAX);
    if (!yaml->command == !yaml->command_hex)
        return scenario_field_error(build, "command",
                                    "every process needs one, or command_hex, not both");
    if (yaml->command)
        scenario_text_expand(&buf, str_from(yaml->command), copy);
    else if (!scenario_text_bytes(&buf, str_from(yaml->command_hex)))
        return scenario_field_error(build, "command_hex",
                                    "pairs of hex digits, none of them 00");
    if (yaml->command_length > SCENARIO_COMMAND_BYTES_MAX)
        return scenario_field_error(build, "command_length", "more than %d",
                                    SCENARIO_COMMAND_BYTES_MAX);
    for (size_t i = 0; buf.len > 0 && buf.len < yaml->command_length && !buf.full; i++)
        buf_append_char(&buf, buf.p[i]); /* repeated until it is long enough */
    if (buf_is_full(&buf) || buf.len == 0)
        return scenario_field_error(build, "command", "empty, or longer than %d bytes",
                                    SCENARIO_COMMAND_BYTES_MAX);
    process->command = arena_copy(build->arena, buf_str(&buf));
    process->arguments =
        yaml->arguments ? scenario_expand_copy(build, yaml->arguments, copy) : "";
    return process->command && process->arguments ? 0 : scenario_out_of_memory(build);
}

static int read_user(const struct scenario_build *build, const struct yaml_process *yaml,
                     struct scenario_process *process)
{
    process->uid = 0;
    if (!yaml->user || strcmp(yaml->user, "root") == 0 ||
        str_u32(str_from(yaml->user), &process->uid))
        return 0;
    for (size_t i = 0; i < build->out->user_count; i++) {
        if (strcmp(build->out->users[i].name, yaml->user) == 0) {
            process->uid = build->out->users[i].uid;
            return 0;
        }
    }
    return scenario_field_error(build, "user",
                                "no user \"%.40s\"; add it under `users` or write a uid",
                                yaml->user);
}

static int read_container(const struct scenario_build *build,
                          const struct yaml_process *yaml,
                          struct scenario_process *process)
{
    process->container = process->pod->containers[0];
    if (!yaml->container)
        return 0;
    for (size_t i = 0; i < process->pod->container_count; i++) {
        if (strcmp(process->pod->containers[i], yaml->container) == 0) {
            process->container = process->pod->containers[i];
            return 0;
        }
    }
    return scenario_field_error(
        build, "container", "the pod %.60s/%.60s has no \"%.40s\"",
        process->pod->namespace, process->pod->name, yaml->container);
}

/* Who runs it and where: user, pod and container, or cgroup. */
static int read_place(const struct scenario_build *build, const struct yaml_process *yaml,
                      uint64_t copy, struct scenario_process *process)
{
    int rc = read_user(build, yaml, process);
    if (rc)
        return rc;
    process->in_proc = yaml->in_proc != YAML_FALSE;
    if (yaml->cgroup) {
        process->cgroup = scenario_expand_copy(build, yaml->cgroup, copy);
        if (!process->cgroup)
            return scenario_out_of_memory(build);
        if (yaml->pod || process->cgroup[0] != '/' || strchr(process->cgroup, '\n'))
            return scenario_field_error(
                build, "cgroup",
                "a path from / in one line, and not together with `pod`");
    }
    if (!yaml->pod)
        return yaml->container ? scenario_field_error(build, "container", "needs `pod`")
                               : 0;
    const char *path = scenario_expand_copy(build, yaml->pod, copy);
    if (!path)
        return scenario_out_of_memory(build);
    process->pod = scenario_find_pod(build->out, path);
    if (!process->pod)
        return scenario_field_error(build, "pod",
                                    "no pod \"%.80s\"; write namespace/name of one under "
                                    "`pods`",
                                    path);
    return read_container(build, yaml, process);
}

static int expand_positions(const struct scenario_build *build, const char *field,
                            const char *text, uint64_t copy, uint32_t limit,
                            uint32_t *positions, size_t *count)
{
    const char *expanded = scenario_expand_copy(build, text, copy);
    if (!expanded)
        return scenario_out_of_memory(build);
    if (scenario_text_positions(str_from(expanded), limit, positions, SCENARIO_GPUS_MAX,
                                count))
        return 0;
    return scenario_field_error(
        build, field,
        "\"%.40s\" is none of the %u there are; write 0, 0-3, 0,2 or "
        "all",
        expanded, limit);
}

/* GPUs times MIG devices: every device that this process holds. */
static int read_targets(const struct scenario_build *build,
                        const struct yaml_process *yaml, uint64_t copy,
                        struct scenario_process *process)
{
    uint32_t gpus[SCENARIO_GPUS_MAX];
    uint32_t migs[SCENARIO_GPUS_MAX];
    size_t gpu_count = 0;
    if (!yaml->gpu)
        return yaml->mig ? scenario_field_error(build, "mig", "needs `gpu`") : 0;
    int rc = expand_positions(build, "gpu", yaml->gpu, copy,
                              (uint32_t)build->out->gpu_count, gpus, &gpu_count);
    if (rc)
        return rc;
    struct scenario_target *targets = ARENA_NEW(build->arena, struct scenario_target,
                                                gpu_count * SCENARIO_MIG_PER_GPU_MAX);
    if (!targets)
        return scenario_out_of_memory(build);
    for (size_t i = 0; i < gpu_count; i++) {
        const struct scenario_gpu *gpu = &build->out->gpus[gpus[i]];
        size_t mig_count = 0;
        if (yaml->mig)
            rc = expand_positions(build, "mig", yaml->mig, copy, gpu->mig_count, migs,
                                  &mig_count);
        else
            targets[process->target_count++] =
                (struct scenario_target){.gpu = gpus[i], .mig = SIM_ID_NONE};
        for (size_t m = 0; !rc && m < mig_count; m++) {
            if (process->target_count == gpu_count * SCENARIO_MIG_PER_GPU_MAX)
                return scenario_field_error(build, "mig", "a device is named twice");
            targets[process->target_count++] =
                (struct scenario_target){gpus[i], gpu->first_mig + migs[m]};
        }
        if (rc)
            return rc;
    }
    process->targets = targets;
    return 0;
}

static int read_pid(const struct scenario_build *build, const struct yaml_process *yaml,
                    uint64_t copy, struct pid_set *pids, uint32_t *pid)
{
    if (!yaml->pid) {
        *pid = pid_take_free(pids, &pids->next, PID_STEP);
        return 0;
    }
    const char *text = scenario_expand_copy(build, yaml->pid, copy);
    if (!text)
        return scenario_out_of_memory(build);
    if (!str_u32(str_from(text), pid) || *pid < 2 || *pid > SCENARIO_PID_MAX)
        return scenario_field_error(build, "pid", "\"%.40s\" is not between 2 and %d",
                                    text, SCENARIO_PID_MAX);
    return pid_take(pids, *pid)
               ? 0
               : scenario_field_error(build, "pid",
                                      "%u is taken; for one process on several devices "
                                      "write `gpu: 0,1`",
                                      *pid);
}

static int add_process(const struct scenario_build *build,
                       const struct yaml_process *yaml, uint64_t copy,
                       struct pid_set *pids)
{
    struct scenario *out = build->out;
    struct scenario_process *process = &out->processes[out->process_count++];
    int rc = read_pid(build, yaml, copy, pids, &process->pid);
    rc = rc ? rc : read_command(build, yaml, copy, process);
    rc = rc ? rc : read_place(build, yaml, copy, process);
    rc = rc ? rc : read_targets(build, yaml, copy, process);
    rc = rc ? rc : read_loads(build, yaml, copy, &process->sim);
    rc = rc ? rc : read_times(build, yaml, copy, process);
    if (rc)
        return rc;
    process->first_entry = out->entry_count;
    out->entry_count += process->target_count;
    return out->entry_count > SCENARIO_ENTRIES_MAX
               ? scenario_field_error(build, "gpu",
                                      "more than %d (process, device) pairs",
                                      SCENARIO_ENTRIES_MAX)
               : 0;
}

/* Explicit pids first, so that an automatic one cannot take them. */
static int add_processes(struct scenario_build *build, struct pid_set *pids,
                         bool with_explicit_pid)
{
    const struct yaml_scenario *yaml = build->yaml;
    for (unsigned i = 0; i < yaml->processes_count; i++) {
        const struct yaml_process *process = &yaml->processes[i];
        uint64_t copies = scenario_copies(process->replicate);
        if (!process->pid == with_explicit_pid)
            continue;
        build->position = i;
        for (uint64_t copy = 0; copy < copies; copy++) {
            int rc = add_process(build, process, copy, pids);
            if (rc)
                return rc;
        }
    }
    return 0;
}

static int add_host_processes(struct scenario_build *build, struct pid_set *pids)
{
    unsigned count = build->yaml->host_processes;
    build->section = "host_processes";
    if (count > SCENARIO_HOST_PROCESSES_MAX)
        return scenario_field_error(build, NULL, "more than %d",
                                    SCENARIO_HOST_PROCESSES_MAX);
    uint32_t *host_pids = ARENA_NEW(build->arena, uint32_t, count);
    if (!host_pids)
        return scenario_out_of_memory(build);
    for (unsigned i = 0; i < count; i++)
        host_pids[i] = pid_take_free(pids, &pids->next_host, 1);
    build->out->host_pids = host_pids;
    build->out->host_pid_count = count;
    return 0;
}

static int allocate_processes(struct scenario_build *build)
{
    const struct yaml_scenario *yaml = build->yaml;
    uint64_t total = 0;
    for (unsigned i = 0; i < yaml->processes_count; i++) {
        total += scenario_copies(yaml->processes[i].replicate);
        build->position = i;
        if (total > SCENARIO_PROCESSES_MAX)
            return scenario_field_error(build, "replicate",
                                        "more than %d processes in all",
                                        SCENARIO_PROCESSES_MAX);
    }
    build->out->processes = ARENA_NEW(build->arena, struct scenario_process, total);
    return build->out->processes ? 0 : scenario_out_of_memory(build);
}

int scenario_build_processes(struct scenario_build *build)
{
    struct pid_set pids = {
        .bits = arena_alloc(build->arena, SCENARIO_PID_MAX / 8 + 1, 1),
        .next = FIRST_PID,
        .next_host = FIRST_HOST_PID,
    };
    if (!pids.bits)
        return scenario_out_of_memory(build);
    build->section = "processes";
    int rc = allocate_processes(build);
    rc = rc ? rc : add_processes(build, &pids, true);
    rc = rc ? rc : add_processes(build, &pids, false);
    return rc ? rc : add_host_processes(build, &pids);
}
