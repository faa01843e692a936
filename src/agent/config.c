/*
 * The command line. One table holds every flag: its words in the help text, the commands
 * it belongs to, and how its value is read; getopt_long, the environment variables and
 * the help are all derived from it.
 */
#include "agent/config.h"

#include "base/cleanup.h"
#include "base/duration.h"
#include "base/str.h"
#include "source/http_client.h"
#include "source/kube/kube_address.h"
#include "source/kube/kube_token.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_PER_SECOND UINT64_C(1000000000)

enum {
    FOR_COLLECT = 1 << COMMAND_COLLECT,
    FOR_SERVE = 1 << COMMAND_SERVE,
    FOR_LIST = 1 << COMMAND_LIST,
    FOR_PREPARE = 1 << COMMAND_PREPARE_TEXTFILE,
    FOR_SIMULATE = 1 << COMMAND_SIMULATE,
    FOR_METRICS = FOR_COLLECT | FOR_SERVE,
    FOR_READING = FOR_METRICS | FOR_LIST,
    FOR_ALL = FOR_READING | FOR_PREPARE | FOR_SIMULATE,
};

static const struct {
    const char *name;
    const char *help;
    const char *operand; /* NULL: none */
} commands[] = {
    [COMMAND_COLLECT] = {"collect", "collect once, write Prometheus text, exit", NULL},
    [COMMAND_SERVE] = {"serve", "collect on an interval and serve /metrics", NULL},
    [COMMAND_LIST] = {"list", "show the sessions as a table, or as JSON", NULL},
    [COMMAND_PREPARE_TEXTFILE] = {"prepare-textfile",
                                  "let a group write textfiles into a directory", "PATH"},
    [COMMAND_SIMULATE] = {"simulate",
                          "make a simulated node to try the others without a GPU",
                          "DIRECTORY"},
};

const char *config_driver_name(const struct config *config)
{
    return config->source == SOURCE_NVIDIA_SMI ? "nvidia-smi" : "nvml";
}

struct flag {
    const char *name;
    const char *value; /* its name in the help; NULL for a switch */
    unsigned commands;
    bool (*set)(struct config *config, const char *value); /* NULL: see `field` */
    /* What the value is put into, any but "": a bool for a switch, a text; or an enum, as
     * the place of the value among `words`. */
    size_t field;
    const char *const *words; /* WORD_COUNT of them; NULL where the field is no enum */
    const char *help;
};

enum { WORD_COUNT = 3 }; /* of each such enum */

#define FIELD(name) NULL, offsetof(struct config, name), NULL
#define WORD(name, ...)                                                                  \
    NULL, offsetof(struct config, name), (const char *const[WORD_COUNT])                 \
    {                                                                                    \
        __VA_ARGS__                                                                      \
    }
#define SETTER(function) function, 0, NULL

/* Sets *CHOICE to the place of VALUE among COUNT words. */
static bool choose(const char *value, const char *const *words, size_t count,
                   size_t *choice)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(value, words[i]) == 0) {
            *choice = i;
            return true;
        }
    }
    return false;
}

static bool set_kube_podresources(struct config *config, const char *value)
{
    static const char *const words[] = {"auto", "off"};
    size_t choice = PODRESOURCES_PATH;
    bool is_word = choose(value, words, ARRAY_LENGTH(words), &choice);
    config->podresources = (enum podresources_choice)choice;
    config->podresources_socket = is_word ? NULL : value;
    return is_word || value[0] == '/';
}

static bool set_gpu_devices(struct config *config, const char *value)
{
    return gpu_selection_parse(str_from(value), &config->gpus);
}

static bool set_max_sessions(struct config *config, const char *value)
{
    uint32_t number;
    if (!str_u32(str_from(value), &number) || number < 1 || number > 1000000)
        return false;
    config->max_sessions = number;
    return true;
}

static bool set_timeout(struct config *config, const char *value)
{
    return duration_parse(str_from(value), &config->timeout_ns) && config->timeout_ns > 0;
}

static bool set_node(struct config *config, const char *value)
{
    config->node = *value ? value : NULL;
    return true;
}

static bool set_interval(struct config *config, const char *value)
{
    return duration_parse(str_from(value), &config->interval_ns) &&
           config->interval_ns > 0;
}

static bool set_count(struct config *config, const char *value)
{
    return str_u64(str_from(value), &config->count) && config->count > 0;
}

/* Several addresses, by several flags or separated by commas. */
static bool set_listen_address(struct config *config, const char *value)
{
    if (*value == '\0' || config->listen_count == CONFIG_MAX_LISTEN)
        return false;
    config->listen[config->listen_count++] = value;
    return true;
}

/* Those that have another answer. */
static bool is_own_path(const char *path)
{
    static const char *const paths[] = {"/", "/healthz", "/readyz"};
    size_t choice;
    return choose(path, paths, ARRAY_LENGTH(paths), &choice) ||
           str_starts(str_from(path), STR("/api/"));
}

static bool set_telemetry_path(struct config *config, const char *value)
{
    config->telemetry_path = value;
    return value[0] == '/' && !is_own_path(value) &&
           strcspn(value, "?# \t\r\n") == strlen(value);
}

static bool set_max_connections(struct config *config, const char *value)
{
    uint32_t number;
    if (!str_u32(str_from(value), &number) || number < 1 || number > 10000)
        return false;
    config->max_connections = number;
    return true;
}

static bool set_sandbox(struct config *config, const char *value)
{
    static const char *const words[] = {"auto", "off"};
    size_t choice = 0;
    bool is_valid = choose(value, words, ARRAY_LENGTH(words), &choice);
    config->without_sandbox = choice == 1;
    return is_valid;
}

static bool set_release_time(struct config *config, const char *value)
{
    return duration_parse(str_from(value), &config->release_ns) && config->release_ns > 0;
}

static bool set_idle_window(struct config *config, const char *value)
{
    return duration_parse(str_from(value), &config->idle_window_ns) &&
           config->idle_window_ns > 0;
}

static bool set_kubelet_address(struct config *config, const char *value)
{
    struct str host, port;
    config->kubelet_address = value;
    return kube_address_parse(str_from(value), &host, &port);
}

static bool set_kubelet_server_name(struct config *config, const char *value)
{
    config->kubelet_server_name = value;
    size_t n = 0;
    while (isalnum((unsigned char)value[n]) || (value[n] && strchr("-._", value[n])))
        n++;
    return n > 0 && value[n] == '\0';
}

static bool set_kube_api_url(struct config *config, const char *value)
{
    config->kube_api_url = value;
    return str_starts(str_from(value), STR("https://")) &&
           http_url_check(value, NULL) == 0 && strcspn(value, "?# ") == strlen(value);
}

/* Whether all are keys; whether they go together is seen when all flags are read. */
static bool set_kube_label(struct config *config, const char *value)
{
    struct pod_keys keys = {.count = 0};
    struct str rest = str_from(value), key;
    if (config->kube_label_count == LABEL_NAMES_MAX)
        return false;
    while (str_split(&rest, ',', &key)) {
        if (pod_keys_add(&keys, false, str_trim(key)) < 0)
            return false;
    }
    config->kube_labels[config->kube_label_count++] = value;
    return true;
}

static bool set_user_from(struct config *config, const char *value)
{
    struct pod_keys keys = {.count = 0};
    struct user_chain chain;
    struct str wrong;
    config->user_from = value;
    return user_chain_parse(str_from(value), &chain, &keys, &wrong) == 0;
}

static bool set_sort(struct config *config, const char *value)
{
    return sort_key_parse(value, &config->filter.sort);
}

static bool set_group(struct config *config, const char *value)
{
    config->has_group = str_u32(str_from(value), &config->group);
    return config->has_group && config->group != UINT32_MAX; /* which means "leave it" */
}

static bool set_log_level(struct config *config, const char *value)
{
    return log_level_parse(value, &config->log.level);
}

static bool set_log_format(struct config *config, const char *value)
{
    return log_format_parse(value, &config->log.format);
}

static const struct flag flags[] = {
    {"web.listen-address", "ADDRESS", FOR_SERVE, SETTER(set_listen_address),
     "host:port to listen on, repeatable (default :10105; [::1]:10105, 127.0.0.1:10105)"},
    {"web.telemetry-path", "PATH", FOR_SERVE, SETTER(set_telemetry_path),
     "path of the metrics: no ?, # or blank, nor /healthz, /readyz, /api/… (default "
     "/metrics)"},
    {"web.config.file", "PATH", FOR_SERVE, FIELD(web_config_file),
     "TLS and passwords, in the format of the Prometheus exporter toolkit"},
    {"web.systemd-socket", NULL, FOR_SERVE, FIELD(with_systemd_socket),
     "serve on the sockets that systemd hands over, instead of listening"},
    {"web.max-connections", "N", FOR_SERVE, SETTER(set_max_connections),
     "connections at a time, 1 to 10000; past it the longest idle one is closed (default "
     "512)"},
    {"collect.interval", "DURATION", FOR_SERVE, SETTER(set_interval),
     "distance of the collections, 1ms or more; each costs the driver time (default "
     "10s)"},
    {"driver.hold", "WHEN", FOR_METRICS, WORD(driver_hold, "auto", "always", "never"),
     "keep the driver open between collections: auto (while sessions exist), always, "
     "never"},
    {"driver.release-time", "DURATION", FOR_SERVE, SETTER(set_release_time),
     "how long SIGUSR1 keeps the driver closed unless SIGUSR2 comes first (default 10m)"},
    {"idle-window", "DURATION", FOR_SERVE, SETTER(set_idle_window),
     "a session is active when the device worked for it within this time (default 5m)"},
    {"sandbox", "WHEN", FOR_SERVE, SETTER(set_sandbox),
     "auto or off: lock the web server in, as far as the kernel can (default auto)"},
    {"textfile", "PATH", FOR_METRICS, FIELD(textfile),
     "write this node-exporter textfile, atomically; collect: instead of standard "
     "output"},
    {"textfile.remove-on-exit", NULL, FOR_SERVE, FIELD(removes_textfile),
     "remove the textfile on a clean stop: its last values would stay for ever; needs "
     "--textfile"},
    {"interval", "DURATION", FOR_COLLECT, SETTER(set_interval),
     "repeat within this run at this distance; needs --count"},
    {"count", "N", FOR_COLLECT, SETTER(set_count),
     "collections in this run (default 1), 15s apart unless --interval says otherwise"},
    {"no-volatile-labels", NULL, FOR_METRICS, FIELD(without_volatile_labels),
     "leave status and gpu_memory off gpu_process_info: no new series at each change"},
    {"json", NULL, FOR_LIST, FIELD(as_json), "print JSON instead of a table"},
    {"gpu", "GPU", FOR_LIST, FIELD(filter.gpu),
     "only this device: 0, or 0_7_0 for a MIG device"},
    {"namespace", "NAME", FOR_LIST, FIELD(filter.namespace_),
     "only sessions of this namespace"},
    {"user", "NAME", FOR_LIST, FIELD(filter.user), "only sessions of this user"},
    {"sort", "KEY", FOR_LIST, SETTER(set_sort),
     "device, memory, utilization, age, user or pid (default device)"},
    {"color", "WHEN", FOR_LIST, WORD(color, "auto", "always", "never"),
     "auto, always or never (default auto: on a terminal, unless NO_COLOR is set)"},
    {"group", "GID", FOR_PREPARE, SETTER(set_group),
     "number of the group that shall be able to write"},
    {"scenario", "NAME|FILE", FOR_SIMULATE, FIELD(scenario),
     "a built-in scenario or a YAML file (default: default)"},
    {"hold", NULL, FOR_SIMULATE, FIELD(hold),
     "stay, let time pass and processes come and go, until ended"},
    {"freeze", NULL, FOR_SIMULATE, FIELD(freeze), "let the node's clock stand still"},
    {"list", NULL, FOR_SIMULATE, FIELD(list_scenarios), "name the built-in scenarios"},
    {"source", "SOURCE", FOR_READING, WORD(source, "auto", "nvml", "nvidia-smi"),
     "auto, nvml or nvidia-smi (default auto: nvidia-smi where NVML cannot be loaded)"},
    {"timeout", "DURATION", FOR_READING, SETTER(set_timeout),
     "longest time one collection may take (default 10s)"},
    {"node", "NAME", FOR_READING, SETTER(set_node),
     "add the label node=\"NAME\" to all metrics (also from NODE_NAME)"},
    {"gpu.devices", "LIST", FOR_READING, SETTER(set_gpu_devices),
     "report these GPUs only, with their MIG devices: indexes or UUIDs, by commas "
     "(default all)"},
    {"max-sessions", "N", FOR_READING, SETTER(set_max_sessions),
     "report at most N sessions, 1 to 1000000, and count the rest (default 10000)"},
    {"graphics", NULL, FOR_READING, FIELD(with_graphics),
     "report graphics processes too"},
    {"nvml.library", "PATH", FOR_READING, FIELD(nvml_library),
     "the driver's libnvidia-ml.so.1 (default: where drivers put it)"},
    {"nvidia-smi.path", "PATH", FOR_READING, FIELD(nvidia_smi),
     "the nvidia-smi program (default: from PATH)"},
    {"path.procfs", "PATH", FOR_READING, FIELD(procfs),
     "the host's /proc (default /proc)"},
    {"path.rootfs", "PATH", FOR_READING, FIELD(rootfs), "the host's root (default /)"},
    {"path.podlogs", "PATH", FOR_READING, FIELD(podlogs),
     "the kubelet's log links (default <rootfs>/var/log/containers)"},
    {"dcgm.url", "URL", FOR_READING, FIELD(dcgm_url),
     "page of this node's DCGM exporter: utilisation where the driver has none"},
    {"kube.podresources", "WHEN|PATH", FOR_READING, SETTER(set_kube_podresources),
     "who was given which device: auto (the kubelet's socket below <rootfs>), off, a "
     "path"},
    {"user.from", "CHAIN", FOR_READING, SETTER(set_user_from),
     "the user's sources, by commas: annotation:KEY, label:KEY, namespace, owner, unix, "
     "preset:X"},
    {"kube.metadata", "FROM", FOR_READING, WORD(kube_mode, "off", "kubelet", "apiserver"),
     "off, kubelet or apiserver: who is asked for labels and owners (default off)"},
    {"kube.label", "KEY", FOR_READING, SETTER(set_kube_label),
     "show this pod label as label_KEY of gpu_process_info, repeatable"},
    {"kube.token-file", "PATH", FOR_READING, FIELD(kube_token_file),
     "the service account's token (default where pods have it)"},
    {"kube.kubelet-address", "ADDRESS", FOR_READING, SETTER(set_kubelet_address),
     "the kubelet's host:port (default 127.0.0.1:10250)"},
    {"kube.kubelet-ca-file", "PATH", FOR_READING, FIELD(kubelet_ca_file),
     "who signed the kubelet's certificate, PEM (default: the cluster's authority)"},
    {"kube.kubelet-server-name", "NAME", FOR_READING, SETTER(set_kubelet_server_name),
     "the name in the kubelet's certificate (default: the node's name)"},
    {"kube.kubelet-send-token-to-unverified-server", NULL, FOR_READING,
     FIELD(kubelet_is_unverified),
     "take any certificate; only for an address of this node"},
    {"kube.api-url", "URL", FOR_READING, SETTER(set_kube_api_url),
     "the API server, https://… (default: the cluster that this runs in)"},
    {"kube.ca-file", "PATH", FOR_READING, FIELD(kube_ca_file),
     "who signed the API server's certificate, PEM (default where pods have it)"},
    {"log.level", "LEVEL", FOR_ALL, SETTER(set_log_level),
     "debug, info, warn or error (default info)"},
    {"log.format", "FORMAT", FOR_ALL, SETTER(set_log_format),
     "logfmt or json (default logfmt)"},
};

enum { FLAG_COUNT = ARRAY_LENGTH(flags), ENV_NAME_BYTES = 64 };

/* "path.procfs" → "GPU_SESSIONS_PATH_PROCFS". */
static void flag_env_name(const struct flag *flag, char name[ENV_NAME_BYTES])
{
    int n = snprintf(name, ENV_NAME_BYTES, "GPU_SESSIONS_%s", flag->name);
    for (int i = 0; i < n && i < ENV_NAME_BYTES - 1; i++) {
        if (name[i] == '.' || name[i] == '-')
            name[i] = '_';
        else
            name[i] = (char)toupper((unsigned char)name[i]);
    }
}

static void print_help(enum command command)
{
    if (command == COMMAND_NONE) {
        (void)puts(
            "Usage: gpu-sessions COMMAND [FLAGS]\n\n"
            "Who uses each GPU and MIG device of this machine, since when, and how "
            "much.\n\nCommands:");
        for (size_t i = COMMAND_COLLECT; i < ARRAY_LENGTH(commands); i++)
            (void)printf("  %-16s %s\n", commands[i].name, commands[i].help);
        (void)puts("\n'gpu-sessions COMMAND --help' lists the flags of a command; "
                   "gpu-sessions(1) has examples.");
        return;
    }
    const char *operand = commands[command].operand;
    (void)printf("Usage: gpu-sessions %s%s%s [FLAGS]\n\n%s.\n\nFlags (each also as an "
                 "environment variable, --path.procfs as GPU_SESSIONS_PATH_PROCFS):\n",
                 commands[command].name, operand ? " " : "", operand ? operand : "",
                 commands[command].help);
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (!(flags[i].commands & (1U << command)))
            continue;
        char head[64];
        (void)snprintf(head, sizeof head, "--%s%s%s", flags[i].name,
                       flags[i].value ? "=" : "", flags[i].value ? flags[i].value : "");
        (void)printf("  %-24s %s\n", head, flags[i].help);
    }
}

static int usage_error(struct err *err, enum command command, const char *what)
{
    const char *name = command ? commands[command].name : "";
    return err_set(err, EINVAL, ERR_USAGE, 0, "%s; see 'gpu-sessions %s%s--help'", what,
                   name, command ? " " : "");
}

static bool set_field(struct config *config, const struct flag *flag, const char *value)
{
    void *field = (char *)config + flag->field;
    if (flag->words) {
        size_t choice = 0;
        bool is_word = choose(value, flag->words, WORD_COUNT, &choice);
        *(unsigned *)field = (unsigned)choice; /* GCC's type of an enum without a sign */
        return is_word;
    }
    if (!flag->value)
        *(bool *)field = true;
    else
        *(const char **)field = value;
    return !flag->value || *value != '\0';
}

static int set_flag(struct config *config, const struct flag *flag, const char *value,
                    const char *origin, struct err *err)
{
    if (flag->set ? flag->set(config, value) : set_field(config, flag, value))
        return 0;
    bool is_duration = flag->value && strcmp(flag->value, "DURATION") == 0;
    return err_set(err, EINVAL, ERR_USAGE, 0, "%s: \"%.80s\" is not valid; wanted: %s%s",
                   origin, value, flag->help,
                   is_duration ? "; a number with ms, s, m or h, at most 24h" : "");
}

/* A switch is on in the environment by "1" or "true", off by "", "0" or "false". */
static int set_switch_from_env(struct config *config, const struct flag *flag,
                               const char *value, const char *origin, struct err *err)
{
    if (strcmp(value, "1") == 0 || strcmp(value, "true") == 0)
        return set_flag(config, flag, value, origin, err);
    if (*value == '\0' || strcmp(value, "0") == 0 || strcmp(value, "false") == 0)
        return 0;
    return err_set(err, EINVAL, ERR_USAGE, 0, "%s: \"%.80s\" is neither true nor false",
                   origin, value);
}

static int config_read_environment(struct config *config, struct err *err)
{
    config->node = getenv("NODE_NAME");
    if (config->node && !*config->node)
        config->node = NULL;
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        char name[ENV_NAME_BYTES];
        flag_env_name(&flags[i], name);
        const char *value = getenv(name);
        if (!value || !*value || !(flags[i].commands & (1U << config->command)))
            continue; /* empty is unset, as a manifest's optional value is */
        int rc = flags[i].value
                     ? set_flag(config, &flags[i], value, name, err)
                     : set_switch_from_env(config, &flags[i], value, name, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

enum { OPTION_HELP = 1000, OPTION_VERSION };

static void make_long_options(enum command command, struct option options[FLAG_COUNT + 3])
{
    size_t n = 0;
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (flags[i].commands & (1U << command))
            options[n++] = (struct option){
                flags[i].name, flags[i].value ? required_argument : no_argument, NULL,
                (int)i};
    }
    options[n++] = (struct option){"help", no_argument, NULL, OPTION_HELP};
    options[n++] = (struct option){"version", no_argument, NULL, OPTION_VERSION};
    options[n] = (struct option){NULL, 0, NULL, 0};
}

static int config_read_operands(int argc, char **argv, struct config *config,
                                struct err *err)
{
    if (config->command == COMMAND_SIMULATE && optind < argc)
        config->directory = argv[optind++];
    if (config->command == COMMAND_PREPARE_TEXTFILE && optind < argc)
        config->textfile = argv[optind++];
    if (optind < argc) {
        char what[160];
        (void)snprintf(what, sizeof what, "unexpected argument \"%.80s\"", argv[optind]);
        return usage_error(err, config->command, what);
    }
    if (config->command == COMMAND_COLLECT && config->interval_ns && !config->count)
        return usage_error(err, config->command, "--interval needs --count: how often");
    if (config->removes_textfile && !config->textfile)
        return usage_error(err, config->command,
                           "--textfile.remove-on-exit needs --textfile: which one");
    if (config->command == COMMAND_PREPARE_TEXTFILE &&
        (!config->has_group || !config->textfile))
        return usage_error(err, config->command,
                           "prepare-textfile needs the textfile's path and --group");
    if (config->command == COMMAND_SIMULATE && !config->directory &&
        !config->list_scenarios)
        return usage_error(err, config->command,
                           "simulate needs a directory to write to");
    return 0;
}

/* Flags replace what the environment said, they do not add to it. */
static void drop_overridden(const char **values, size_t *count, size_t from_environment)
{
    if (*count == from_environment)
        return;
    *count -= from_environment;
    memmove(values, values + from_environment, *count * sizeof values[0]);
}

static int config_read_flags(int argc, char **argv, struct config *config,
                             struct err *err)
{
    struct option options[FLAG_COUNT + 3];
    make_long_options(config->command, options);
    opterr = 0;
    size_t env_addresses = config->listen_count, env_labels = config->kube_label_count;
    for (;;) {
        int choice = getopt_long(argc, argv, ":h", options, NULL);
        if (choice == -1)
            break;
        if (choice == OPTION_HELP || choice == 'h') {
            print_help(config->command);
            return CONFIG_DONE;
        }
        if (choice == OPTION_VERSION) {
            (void)puts("gpu-sessions " PROGRAM_VERSION);
            return CONFIG_DONE;
        }
        if (choice == '?' || choice == ':') {
            char what[160];
            (void)snprintf(what, sizeof what,
                           choice == ':' ? "flag %.80s needs a value"
                                         : "unknown flag or stray value: %.80s",
                           argv[optind - 1]);
            return usage_error(err, config->command, what);
        }
        char origin[80];
        (void)snprintf(origin, sizeof origin, "--%s", flags[choice].name);
        int rc = set_flag(config, &flags[choice], optarg ? optarg : "", origin, err);
        if (rc < 0)
            return rc;
    }
    drop_overridden(config->listen, &config->listen_count, env_addresses);
    drop_overridden(config->kube_labels, &config->kube_label_count, env_labels);
    return config_read_operands(argc, argv, config, err);
}

static enum command command_parse(const char *word)
{
    for (size_t i = COMMAND_COLLECT; i < ARRAY_LENGTH(commands); i++) {
        if (strcmp(word, commands[i].name) == 0)
            return (enum command)i;
    }
    return COMMAND_NONE;
}

/* Where pods find the API server. */
static void config_find_cluster(struct config *config)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    bool is_v6 = host && strchr(host, ':');
    if (!host || !*host)
        return;
    (void)snprintf(config->kube_cluster_url, sizeof config->kube_cluster_url,
                   "https://%s%.253s%s:%.5s", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
                   port && *port ? port : "443");
}

static int wrong_key(struct err *err, const char *flag, struct str word, int rc)
{
    return err_set(err, EINVAL, ERR_USAGE, 0, "%s: \"%.*s\" %s", flag,
                   (int)(word.n < 80 ? word.n : 80), word.p,
                   rc == -ENOSPC   ? "is one too many"
                   : rc == -EEXIST ? "makes the same metric label as another key"
                                   : "is not valid");
}

static int config_read_labels(struct config *config, struct err *err)
{
    for (size_t i = 0; i < config->kube_label_count; i++) {
        struct str rest = str_from(config->kube_labels[i]), key;
        while (str_split(&rest, ',', &key)) {
            int rc = label_names_add(&config->labels, &config->pod_keys, str_trim(key));
            if (rc != 0)
                return wrong_key(err, "--kube.label", str_trim(key), rc);
        }
    }
    return 0;
}

static int config_check_kube(struct config *config, struct err *err)
{
    bool is_off = config->kube_mode == KUBE_OFF;
    if (is_off && (config->labels.count || user_chain_needs_metadata(&config->users)))
        return usage_error(err, config->command,
                           "--kube.label, and annotations, labels and owners in "
                           "--user.from, need --kube.metadata=kubelet or apiserver");
    if (config->kube_mode == KUBE_APISERVER && !config->node)
        return usage_error(err, config->command,
                           "--kube.metadata=apiserver needs --node (or NODE_NAME): "
                           "whose pods to ask for");
    if (config->kube_mode == KUBE_APISERVER && !config->kube_api_url &&
        !config->kube_cluster_url[0])
        return usage_error(err, config->command,
                           "--kube.metadata=apiserver outside a cluster needs "
                           "--kube.api-url");
    return 0;
}

static int config_finish_users(struct config *config, struct err *err)
{
    struct str wrong;
    config_find_cluster(config);
    int rc = user_chain_parse(str_from(config->user_from), &config->users,
                              &config->pod_keys, &wrong);
    if (rc != 0)
        return wrong_key(err, "--user.from", wrong, rc);
    rc = config_read_labels(config, err);
    return rc == 0 ? config_check_kube(config, err) : rc;
}

int config_read(int argc, char **argv, struct config *out, struct err *err)
{
    struct config config = {
        .log = {LOG_INFO, LOG_LOGFMT},
        .procfs = "/proc",
        .rootfs = "/",
        .max_sessions = FACTS_DEFAULT_MAX_SESSIONS,
        .timeout_ns = UINT64_C(10) * NS_PER_SECOND,
        .telemetry_path = "/metrics",
        .max_connections = 512,
        .release_ns = UINT64_C(600) * NS_PER_SECOND,
        .idle_window_ns = UINT64_C(300) * NS_PER_SECOND,
        .scenario = "default",
        .kubelet_address = "127.0.0.1:10250",
        .kubelet_ca_file = KUBE_SERVICE_ACCOUNT "/ca.crt",
        .kube_ca_file = KUBE_SERVICE_ACCOUNT "/ca.crt",
        .kube_token_file = KUBE_SERVICE_ACCOUNT "/token",
        .user_from = USER_FROM_DEFAULT,
    };
    const char *word = argc > 1 ? argv[1] : "";
    config.command = command_parse(word);
    if (config.command == COMMAND_NONE) {
        if (strcmp(word, "--version") == 0) {
            (void)puts("gpu-sessions " PROGRAM_VERSION);
            return CONFIG_DONE;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
            strcmp(word, "help") == 0) {
            print_help(COMMAND_NONE);
            return CONFIG_DONE;
        }
        char what[160];
        (void)snprintf(what, sizeof what,
                       *word ? "unknown command \"%.80s\"" : "%sno command given", word);
        return usage_error(err, COMMAND_NONE, what);
    }
    int rc = config_read_environment(&config, err);
    if (rc == 0)
        rc = config_read_flags(argc - 1, argv + 1, &config, err);
    if (rc < 0 || rc == CONFIG_DONE)
        return rc;
    if (config.dcgm_url && (rc = http_url_check(config.dcgm_url, err)) != 0)
        return err_wrap(err, rc, "--dcgm.url (GPU_SESSIONS_DCGM_URL)");
    rc = config_finish_users(&config, err);
    if (rc < 0)
        return rc;
    if (!config.count)
        config.count = 1;
    if (!config.interval_ns)
        config.interval_ns =
            (config.command == COMMAND_SERVE ? UINT64_C(10) : UINT64_C(15)) *
            NS_PER_SECOND;
    if (!config.listen_count)
        config.listen[config.listen_count++] = ":10105";
    *out = config;
    return 0;
}
