/*
 * The schema of scenario files.
 *
 * Aliases are off: expanded, a few hundred bytes of them can fill any memory. Every
 * sequence and text has its maximum in the schema, so that libcyaml stops reading there.
 */
#include "sim/node/scenario_yaml.h"

#include "base/cleanup.h"
#include "sim/node/scenario.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdio.h>

enum { TEXT_MAX = 4096 };

#define OPTIONAL (CYAML_FLAG_OPTIONAL)
#define CHOICE (CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT | CYAML_FLAG_CASE_SENSITIVE)
#define FIELD_TEXT(key, type, member)                                                    \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | OPTIONAL, type, member, 1, TEXT_MAX)
#define FIELD_CHOICE(key, type, member, values)                                          \
    CYAML_FIELD_ENUM(key, CHOICE, type, member, values, CYAML_ARRAY_LEN(values))
#define FIELD_SWITCH(key, type, member) FIELD_CHOICE(key, type, member, switches)
#define FIELD_NUMBER(key, type, member) CYAML_FIELD_UINT(key, OPTIONAL, type, member)
#define FIELD_LIST(key, type, member, entry, max)                                        \
    CYAML_FIELD_SEQUENCE(key, CYAML_FLAG_POINTER | OPTIONAL, type, member, &(entry), 0,  \
                         max)

static const cyaml_strval_t switches[] = {
    {"true", YAML_TRUE}, {"yes", YAML_TRUE}, {"false", YAML_FALSE}, {"no", YAML_FALSE}};
static const cyaml_strval_t mig_modes[] = {{"enabled", MIG_ENABLED},
                                           {"disabled", MIG_DISABLED},
                                           {"enabling", MIG_ENABLING},
                                           {"disabling", MIG_DISABLING}};
static const cyaml_strval_t runtimes[] = {{"containerd", RUNTIME_CONTAINERD},
                                          {"crio", RUNTIME_CRIO},
                                          {"docker", RUNTIME_DOCKER}};
static const cyaml_strval_t cgroup_drivers[] = {{"systemd", CGROUP_SYSTEMD},
                                                {"cgroupfs", CGROUP_CGROUPFS}};
static const cyaml_strval_t agent_views[] = {{"host", AGENT_HOST},
                                             {"private", AGENT_PRIVATE}};
static const cyaml_strval_t qos_classes[] = {{"guaranteed", QOS_GUARANTEED},
                                             {"burstable", QOS_BURSTABLE},
                                             {"besteffort", QOS_BESTEFFORT}};
static const cyaml_strval_t kinds[] = {{"compute", SIM_COMPUTE},
                                       {"mps", SIM_MPS},
                                       {"graphics", SIM_GRAPHICS},
                                       {"compute+graphics", SIM_COMPUTE | SIM_GRAPHICS}};
static const cyaml_strval_t fault_actions[] = {
    {"return", SIM_FAULT_RETURN}, {"stall", SIM_FAULT_STALL}, {"crash", SIM_FAULT_CRASH}};

static const cyaml_schema_value_t text_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, TEXT_MAX)};

static const cyaml_schema_field_t driver_fields[] = {
    FIELD_SWITCH("present", struct yaml_driver, present),
    FIELD_SWITCH("unprivileged", struct yaml_driver, unprivileged),
    FIELD_TEXT("generation", struct yaml_driver, generation),
    FIELD_TEXT("version", struct yaml_driver, version),
    FIELD_TEXT("cuda", struct yaml_driver, cuda),
    FIELD_TEXT("empty_slot_code", struct yaml_driver, empty_slot_code),
    FIELD_LIST("absent_symbols", struct yaml_driver, absent_symbols, text_entry,
               SCENARIO_SYMBOLS_MAX),
    FIELD_NUMBER("latency_us", struct yaml_driver, latency_us),
    FIELD_NUMBER("sample_window_seconds", struct yaml_driver, sample_window_seconds),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t node_fields[] = {
    FIELD_CHOICE("runtime", struct yaml_node, runtime, runtimes),
    FIELD_CHOICE("cgroup_driver", struct yaml_node, cgroup_driver, cgroup_drivers),
    FIELD_NUMBER("cgroup_version", struct yaml_node, cgroup_version),
    FIELD_CHOICE("agent", struct yaml_node, agent_view, agent_views),
    FIELD_TEXT("agent_pod", struct yaml_node, agent_pod),
    FIELD_TEXT("uptime", struct yaml_node, uptime),
    FIELD_TEXT("kubelet_root", struct yaml_node, kubelet_root),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t user_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct yaml_user, name, 1, 64),
    CYAML_FIELD_UINT("uid", CYAML_FLAG_DEFAULT, struct yaml_user, uid),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t gpu_fields[] = {
    FIELD_TEXT("name", struct yaml_gpu, name),
    FIELD_NUMBER("count", struct yaml_gpu, count),
    FIELD_TEXT("uuid", struct yaml_gpu, uuid),
    FIELD_TEXT("pci_bus_id", struct yaml_gpu, pci_bus_id),
    FIELD_TEXT("memory", struct yaml_gpu, memory),
    FIELD_TEXT("reserved", struct yaml_gpu, reserved),
    FIELD_TEXT("power", struct yaml_gpu, power),
    FIELD_TEXT("temperature", struct yaml_gpu, temperature),
    FIELD_TEXT("lost", struct yaml_gpu, lost),
    FIELD_TEXT("lost_after", struct yaml_gpu, lost_after),
    FIELD_CHOICE("mig_mode", struct yaml_gpu, mig_mode, mig_modes),
    FIELD_NUMBER("mig_slots", struct yaml_gpu, mig_slots),
    FIELD_LIST("mig", struct yaml_gpu, mig, text_entry, SCENARIO_MIG_PER_GPU_MAX),
    FIELD_SWITCH("mig_capable", struct yaml_gpu, mig_capable),
    FIELD_SWITCH("gpm", struct yaml_gpu, gpm),
    FIELD_SWITCH("utilization", struct yaml_gpu, utilization),
    FIELD_SWITCH("memory_info", struct yaml_gpu, memory_info),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t pod_fields[] = {
    FIELD_TEXT("namespace", struct yaml_pod, namespace),
    FIELD_TEXT("name", struct yaml_pod, name),
    FIELD_TEXT("uid", struct yaml_pod, uid),
    FIELD_CHOICE("qos", struct yaml_pod, qos, qos_classes),
    FIELD_CHOICE("cgroup_driver", struct yaml_pod, cgroup_driver, cgroup_drivers),
    FIELD_CHOICE("runtime", struct yaml_pod, runtime, runtimes),
    FIELD_LIST("containers", struct yaml_pod, containers, text_entry,
               SCENARIO_CONTAINERS_MAX),
    FIELD_SWITCH("static", struct yaml_pod, is_static),
    FIELD_SWITCH("log_links", struct yaml_pod, log_links),
    FIELD_NUMBER("replicate", struct yaml_pod, replicate),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t process_fields[] = {
    FIELD_TEXT("command", struct yaml_process, command),
    FIELD_TEXT("command_hex", struct yaml_process, command_hex),
    FIELD_NUMBER("command_length", struct yaml_process, command_length),
    FIELD_TEXT("arguments", struct yaml_process, arguments),
    FIELD_TEXT("user", struct yaml_process, user),
    FIELD_TEXT("pod", struct yaml_process, pod),
    FIELD_TEXT("container", struct yaml_process, container),
    FIELD_TEXT("cgroup", struct yaml_process, cgroup),
    FIELD_TEXT("pid", struct yaml_process, pid),
    FIELD_TEXT("gpu", struct yaml_process, gpu),
    FIELD_TEXT("mig", struct yaml_process, mig),
    FIELD_TEXT("memory", struct yaml_process, memory),
    FIELD_TEXT("sm", struct yaml_process, sm),
    FIELD_TEXT("memory_bandwidth", struct yaml_process, memory_bandwidth),
    FIELD_TEXT("encoder", struct yaml_process, encoder),
    FIELD_TEXT("decoder", struct yaml_process, decoder),
    FIELD_CHOICE("kind", struct yaml_process, kind, kinds),
    FIELD_SWITCH("samples", struct yaml_process, samples),
    FIELD_NUMBER("garbage", struct yaml_process, garbage),
    FIELD_SWITCH("in_proc", struct yaml_process, in_proc),
    FIELD_TEXT("started", struct yaml_process, started),
    FIELD_TEXT("starts", struct yaml_process, starts),
    FIELD_TEXT("ends", struct yaml_process, ends),
    FIELD_TEXT("repeat", struct yaml_process, repeat),
    FIELD_NUMBER("replicate", struct yaml_process, replicate),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t fault_fields[] = {
    CYAML_FIELD_STRING_PTR("call", CYAML_FLAG_POINTER, struct yaml_fault, call, 1, 63),
    FIELD_TEXT("gpu", struct yaml_fault, gpu),
    FIELD_CHOICE("action", struct yaml_fault, action, fault_actions),
    FIELD_TEXT("code", struct yaml_fault, code),
    FIELD_NUMBER("after", struct yaml_fault, after),
    FIELD_NUMBER("times", struct yaml_fault, times),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t user_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_user, user_fields)};
static const cyaml_schema_value_t gpu_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_gpu, gpu_fields)};
static const cyaml_schema_value_t pod_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_pod, pod_fields)};
static const cyaml_schema_value_t process_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_process, process_fields)};
static const cyaml_schema_value_t fault_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_fault, fault_fields)};

static const cyaml_schema_field_t scenario_fields[] = {
    FIELD_TEXT("description", struct yaml_scenario, description),
    CYAML_FIELD_MAPPING_PTR("driver", CYAML_FLAG_POINTER | OPTIONAL, struct yaml_scenario,
                            driver, driver_fields),
    CYAML_FIELD_MAPPING_PTR("node", CYAML_FLAG_POINTER | OPTIONAL, struct yaml_scenario,
                            node, node_fields),
    FIELD_LIST("users", struct yaml_scenario, users, user_entry, SCENARIO_USERS_MAX),
    FIELD_LIST("gpus", struct yaml_scenario, gpus, gpu_entry, SCENARIO_GPUS_MAX),
    FIELD_LIST("pods", struct yaml_scenario, pods, pod_entry, SCENARIO_PODS_MAX),
    FIELD_LIST("processes", struct yaml_scenario, processes, process_entry,
               SCENARIO_PROCESSES_MAX),
    FIELD_LIST("faults", struct yaml_scenario, faults, fault_entry, SCENARIO_FAULTS_MAX),
    FIELD_NUMBER("host_processes", struct yaml_scenario, host_processes),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t scenario_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml_scenario, scenario_fields)};

/* What libcyaml says while it fails: first the cause, then the places from the innermost
 * outwards. The first of each is kept. */
struct complaint {
    char cause[160];
    char place[100];
};

__attribute__((format(printf, 3, 0))) static void note_complaint(cyaml_log_t level,
                                                                 void *context,
                                                                 const char *format,
                                                                 va_list args)
{
    (void)level;
    struct complaint *complaint = context;
    char line[200];
    (void)vsnprintf(line, sizeof(line), format, args);
    struct str text = str_trim(str_from(line));
    if (str_starts(text, STR("Load: Backtrace")))
        return;
    bool is_cause = str_starts(text, STR("Load: "));
    char *target = is_cause ? complaint->cause : complaint->place;
    size_t capacity = is_cause ? sizeof(complaint->cause) : sizeof(complaint->place);
    if (is_cause)
        text = str_part(text, 6, text.n - 6);
    if (target[0])
        return;
    (void)snprintf(target, capacity, "%.*s", (int)text.n, text.p);
    for (char *c = target; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            *c = '?'; /* the file's own bytes are quoted: keep them off the terminal */
    }
}

/* Quietly: used to release what was loaded, which cannot fail in a way that matters. */
static const cyaml_config_t quiet = {
    .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR, .flags = CYAML_CFG_NO_ALIAS};

int scenario_yaml_load(struct str text, const char *label, struct yaml_scenario **out,
                       struct err *err)
{
    struct complaint complaint = {0};
    cyaml_config_t config = quiet;
    config.log_fn = note_complaint;
    config.log_ctx = &complaint;
    if (text.n > SCENARIO_FILE_BYTES_MAX)
        return err_set(err, EFBIG, ERR_USAGE, 0,
                       "scenario %s: larger than %d KiB; use `replicate` for many copies",
                       label, SCENARIO_FILE_BYTES_MAX / 1024);
    cyaml_data_t *data = NULL;
    cyaml_err_t rc = cyaml_load_data((const uint8_t *)text.p, text.n, &config,
                                     &scenario_schema, &data, NULL);
    if (rc == CYAML_OK && data) {
        *out = data;
        return 0;
    }
    if (rc == CYAML_OK)
        return err_set(err, EINVAL, ERR_USAGE, 0,
                       "scenario %s: empty; it needs at least a `description`", label);
    return err_set(err, rc == CYAML_ERR_OOM ? ENOMEM : EINVAL, ERR_USAGE, 0,
                   "scenario %s: %s %s; see docs/simulate.md for the fields", label,
                   complaint.cause[0] ? complaint.cause : cyaml_strerror(rc),
                   complaint.place);
}

void scenario_yaml_free(struct yaml_scenario *yaml)
{
    if (yaml)
        (void)cyaml_free(&quiet, &scenario_schema, yaml, 0);
}
