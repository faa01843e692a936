/*
 * From YAML to one resolved node: the small sections, and the order in which the larger
 * ones are built (pods and GPUs before the processes that name them).
 */
#include "sim/node/scenario.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "sim/node/builtin.h"
#include "sim/node/scenario_build.h"
#include "sim/node/scenario_text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* "12.4" → 12040, as the driver encodes it. */
static bool parse_cuda(struct str text, uint32_t *version)
{
    ptrdiff_t dot = str_find(text, '.');
    uint32_t major;
    uint32_t minor;
    if (dot < 0 || !str_u32(str_part(text, 0, (size_t)dot), &major) ||
        !str_u32(str_part(text, (size_t)dot + 1, text.n - (size_t)dot - 1), &minor) ||
        major > 99 || minor > 99)
        return false;
    *version = major * 1000 + minor * 10;
    return true;
}

/* The generation's symbols and the scenario's own, in one list. */
static int list_absent_symbols(struct scenario_build *build,
                               const struct yaml_driver *yaml)
{
    size_t count = 0;
    const char **names =
        ARENA_NEW(build->arena, const char *, (size_t)2 * SCENARIO_SYMBOLS_MAX);
    if (!names)
        return scenario_out_of_memory(build);
    for (size_t i = 0; generation_symbol(i); i++) {
        if (generation_lacks(build->generation, str_from(generation_symbol(i))))
            names[count++] = generation_symbol(i);
    }
    for (unsigned i = 0; yaml && i < yaml->absent_symbols_count; i++) {
        names[count] = arena_copy(build->arena, str_from(yaml->absent_symbols[i]));
        if (!names[count++])
            return scenario_out_of_memory(build);
    }
    build->out->driver.absent_symbols = names;
    build->out->driver.absent_count = count;
    return 0;
}

static int build_driver(struct scenario_build *build)
{
    static const struct yaml_driver nothing = {0};
    const struct yaml_driver *yaml = build->yaml->driver ? build->yaml->driver : &nothing;
    struct scenario *out = build->out;
    build->section = "driver";
    const char *name = yaml->generation ? yaml->generation : "550";
    build->generation = generation_find(str_from(name));
    if (!build->generation)
        return scenario_field_error(build, NULL, "generation \"%.20s\" is none of %s",
                                    name, generation_names());
    out->driver.is_present = yaml->present != YAML_FALSE;
    out->driver.is_unprivileged = yaml->unprivileged == YAML_TRUE;
    out->driver.version = arena_copy(
        build->arena,
        str_from(yaml->version ? yaml->version : build->generation->driver_version));
    out->driver.cuda_version = build->generation->cuda_version;
    out->driver.process_v3_stride = generation_process_v3_stride(build->generation);
    out->driver.latency_us = yaml->latency_us;
    out->driver.sample_window_ms =
        yaml->sample_window_seconds ? yaml->sample_window_seconds * 1000 : 10000;
    if (!out->driver.version)
        return scenario_out_of_memory(build);
    if (strlen(out->driver.version) >=
        sizeof(((struct node_state *)NULL)->driver_version))
        return scenario_field_error(build, NULL, "version is too long");
    if (yaml->latency_us > 10000000 || yaml->sample_window_seconds > 3600)
        return scenario_field_error(
            build, NULL,
            "latency_us is at most 10000000, sample_window_seconds "
            "3600");
    if (yaml->cuda && !parse_cuda(str_from(yaml->cuda), &out->driver.cuda_version))
        return scenario_field_error(build, NULL, "cuda \"%.20s\" is not like 12.4",
                                    yaml->cuda);
    const char *code = yaml->empty_slot_code ? yaml->empty_slot_code : "NOT_FOUND";
    if (!scenario_text_code(str_from(code), &out->driver.empty_slot_code))
        return scenario_field_error(build, NULL,
                                    "empty_slot_code \"%.40s\" is no driver code", code);
    return list_absent_symbols(build, yaml);
}

static int build_node(struct scenario_build *build)
{
    static const struct yaml_node nothing = {0};
    const struct yaml_node *yaml = build->yaml->node ? build->yaml->node : &nothing;
    struct scenario *out = build->out;
    build->section = "node";
    out->cgroup_driver =
        yaml->cgroup_driver ? (enum cgroup_driver)yaml->cgroup_driver : CGROUP_SYSTEMD;
    out->cgroup_version = yaml->cgroup_version ? yaml->cgroup_version : 2;
    out->agent_view = (enum agent_view)yaml->agent_view;
    out->uptime_seconds = 1000000;
    if (out->cgroup_version > 2)
        return scenario_field_error(build, NULL, "cgroup_version is 1 or 2");
    if (yaml->uptime &&
        (!scenario_text_seconds(str_from(yaml->uptime), &out->uptime_seconds) ||
         out->uptime_seconds < 1))
        return scenario_field_error(build, NULL,
                                    "uptime \"%.40s\" is no time; write for example 12d",
                                    yaml->uptime);
    const char *root = yaml->kubelet_root ? yaml->kubelet_root : "/var/lib/kubelet";
    out->kubelet_root = arena_copy(build->arena, str_from(root));
    if (!out->kubelet_root)
        return scenario_out_of_memory(build);
    if (root[0] != '/' || strpbrk(root, " \t\n\\"))
        return scenario_field_error(build, NULL,
                                    "kubelet_root is a path from / without blanks");
    return 0;
}

/* After the pods: the agent may be one of them. */
static int build_agent(struct scenario_build *build)
{
    const struct yaml_node *yaml = build->yaml->node;
    build->section = "node";
    if (yaml && yaml->agent_pod) {
        build->out->agent_pod = scenario_find_pod(build->out, yaml->agent_pod);
        if (!build->out->agent_pod)
            return scenario_field_error(build, NULL,
                                        "agent_pod \"%.80s\" is none of the pods; write "
                                        "namespace/name",
                                        yaml->agent_pod);
    }
    if (build->out->agent_view == AGENT_PRIVATE && !build->out->agent_pod)
        return scenario_field_error(
            build, NULL,
            "agent: private needs agent_pod: namespace/name of the "
            "pod it runs in");
    return 0;
}

static int build_users(struct scenario_build *build)
{
    const struct yaml_scenario *yaml = build->yaml;
    struct scenario_user *users =
        ARENA_NEW(build->arena, struct scenario_user, yaml->users_count);
    if (!users)
        return scenario_out_of_memory(build);
    build->section = "users";
    for (unsigned i = 0; i < yaml->users_count; i++) {
        build->position = i;
        users[i].uid = yaml->users[i].uid;
        users[i].name = arena_copy(build->arena, str_from(yaml->users[i].name));
        if (!users[i].name)
            return scenario_out_of_memory(build);
        if (strpbrk(users[i].name, ":\n"))
            return scenario_field_error(build, "name", "no colon and no line break");
    }
    build->out->users = users;
    build->out->user_count = yaml->users_count;
    return 0;
}

static int build_fault(const struct scenario_build *build, const struct yaml_fault *yaml,
                       struct sim_fault *fault)
{
    fault->gpu = SIM_ID_NONE;
    fault->action = (uint32_t)yaml->action;
    fault->after = yaml->after;
    fault->times = yaml->times;
    if (strlen(yaml->call) >= sizeof(fault->call) ||
        !str_starts(str_from(yaml->call), STR("nvml")))
        return scenario_field_error(build, "call",
                                    "\"%.40s\" is no driver call; write for example "
                                    "nvmlDeviceGetName or nvmlGpm*",
                                    yaml->call);
    memcpy(fault->call, yaml->call, strlen(yaml->call));
    if (yaml->gpu && (!str_u32(str_from(yaml->gpu), &fault->gpu) ||
                      fault->gpu >= build->out->gpu_count))
        return scenario_field_error(build, "gpu",
                                    "\"%.40s\" is none of the %zu there are", yaml->gpu,
                                    build->out->gpu_count);
    if ((fault->action == SIM_FAULT_RETURN) != (yaml->code != NULL))
        return scenario_field_error(build, "code",
                                    "the action return needs one, the others have none");
    return !yaml->code || scenario_text_code(str_from(yaml->code), &fault->code)
               ? 0
               : scenario_field_error(build, "code",
                                      "\"%.40s\" is no driver code; write for example "
                                      "GPU_IS_LOST or 999",
                                      yaml->code);
}

static int build_faults(struct scenario_build *build)
{
    const struct yaml_scenario *yaml = build->yaml;
    struct sim_fault *faults =
        ARENA_NEW(build->arena, struct sim_fault, yaml->faults_count);
    if (!faults)
        return scenario_out_of_memory(build);
    build->section = "faults";
    for (unsigned i = 0; i < yaml->faults_count; i++) {
        build->position = i;
        int rc = build_fault(build, &yaml->faults[i], &faults[i]);
        if (rc)
            return rc;
    }
    build->out->faults = faults;
    build->out->fault_count = yaml->faults_count;
    return 0;
}

int scenario_parse(struct arena *arena, struct str text, const char *label,
                   struct scenario *out, struct err *err)
{
    CLEANUP(scenario_yaml_freep) struct yaml_scenario *yaml = NULL;
    int rc = scenario_yaml_load(text, label, &yaml, err);
    if (rc)
        return rc;
    struct scenario scenario = {.label = label};
    struct scenario_build build = {
        .arena = arena, .yaml = yaml, .out = &scenario, .err = err};
    scenario.description =
        scenario_expand_copy(&build, yaml->description ? yaml->description : "", 0);
    rc = scenario.description ? 0 : scenario_out_of_memory(&build);
    rc = rc ? rc : build_driver(&build);
    rc = rc ? rc : build_node(&build);
    rc = rc ? rc : build_users(&build);
    rc = rc ? rc : scenario_build_gpus(&build);
    rc = rc ? rc : scenario_build_pods(&build);
    rc = rc ? rc : build_agent(&build);
    rc = rc ? rc : scenario_build_processes(&build);
    rc = rc ? rc : build_faults(&build);
    if (!rc)
        *out = scenario;
    return rc;
}

static int load_file(struct arena *arena, const char *path, struct scenario *out,
                     struct err *err)
{
    CLEANUP(freep) char *memory = calloc(1, SCENARIO_FILE_BYTES_MAX + 1);
    struct str text;
    if (!memory)
        return err_errno(err, ENOMEM, "scenario %s", path);
    int rc = fdio_read_at(AT_FDCWD, path, memory, SCENARIO_FILE_BYTES_MAX + 1, &text);
    if (rc < 0)
        return err_errno(err, -rc, "scenario file %s", path);
    const char *label = arena_copy(arena, str_from(path));
    return label ? scenario_parse(arena, text, label, out, err)
                 : err_errno(err, ENOMEM, "scenario %s", path);
}

static bool looks_like_file(struct str name)
{
    return str_find(name, '/') >= 0 || str_ends(name, STR(".yaml")) ||
           str_ends(name, STR(".yml"));
}

int scenario_load(struct arena *arena, const char *name, struct scenario *out,
                  struct err *err)
{
    if (looks_like_file(str_from(name)))
        return load_file(arena, name, out, err);
    for (size_t i = 0; i < builtin_scenario_count; i++) {
        const struct builtin_scenario *builtin = &builtin_scenarios[i];
        if (strcmp(builtin->name, name) == 0)
            return scenario_parse(arena, (struct str){builtin->text, builtin->size},
                                  builtin->name, out, err);
    }
    return err_set(
        err, ENOENT, ERR_USAGE, 0,
        "no scenario \"%.60s\"; `simulate --list` shows the built-in ones, a file "
        "is named with a / or ends in .yaml",
        name);
}

bool scenario_process_changes(const struct scenario_process *process)
{
    return process->starts_seconds > 0 || isfinite(process->ends_seconds);
}

bool scenario_process_lives(const struct scenario_process *process, double seconds,
                            double *born)
{
    double cycle_began = 0;
    if (process->repeat_seconds > 0)
        cycle_began = floor(seconds / process->repeat_seconds) * process->repeat_seconds;
    double within = seconds - cycle_began;
    bool was_there = process->starts_seconds <= 0 && cycle_began <= 0;
    *born = was_there ? -process->started_seconds : cycle_began + process->starts_seconds;
    return within >= process->starts_seconds && within < process->ends_seconds;
}
