/*
 * What a run was asked to do: the command line over the environment over the defaults.
 *
 * All text points into argv or the environment, or at literals: nothing is owned.
 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "model/gpu_selection.h"
#include "model/user.h"
#include "output/filter.h"
#include "source/kube/kube_source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum command {
    COMMAND_NONE = 0,
    COMMAND_COLLECT,
    COMMAND_SERVE,
    COMMAND_LIST,
    COMMAND_PREPARE_TEXTFILE,
    COMMAND_SIMULATE,
};

enum source_choice { SOURCE_AUTO, SOURCE_NVML, SOURCE_NVIDIA_SMI };
enum hold_choice { HOLD_AUTO, HOLD_ALWAYS, HOLD_NEVER };
enum podresources_choice { PODRESOURCES_AUTO, PODRESOURCES_OFF, PODRESOURCES_PATH };
enum color_choice { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

enum { CONFIG_MAX_LISTEN = 16, CONFIG_API_URL_BYTES = 304 };

struct config {
    enum command command;
    struct log log;

    /* where facts come from */
    enum source_choice source;
    enum kube_mode kube_mode;
    const char *nvml_library; /* NULL: the known places */
    const char *nvidia_smi;   /* NULL: PATH */
    const char *procfs;
    const char *rootfs;
    const char *podlogs;  /* NULL: <rootfs>/var/log/containers */
    const char *dcgm_url; /* of a DCGM exporter's page; NULL: not asked */
    enum podresources_choice podresources;
    const char *podresources_socket; /* of PODRESOURCES_PATH; else NULL */
    bool with_graphics;
    bool without_volatile_labels; /* of gpu_process_info */
    bool kubelet_is_unverified;   /* its certificate; only where it is this node's */
    struct gpu_selection gpus;    /* to be reported */
    size_t max_sessions;
    uint64_t timeout_ns; /* of one collection, driver calls that never return included */

    /* pods and users */
    const char *kubelet_address;
    const char *kubelet_ca_file;
    const char *kubelet_server_name; /* NULL: the node's name, or the address */
    const char *kube_token_file;
    const char *kube_ca_file;
    const char *kube_api_url;                    /* NULL: kube_cluster_url */
    char kube_cluster_url[CONFIG_API_URL_BYTES]; /* from the pod's environment, or "" */
    const char *user_from;
    const char *kube_labels[LABEL_NAMES_MAX]; /* as given; several in one by commas */
    size_t kube_label_count;
    struct pod_keys pod_keys; /* of the two below */
    struct user_chain users;
    struct label_names labels;

    /* what is written */
    const char *node; /* NULL: no node label */

    /* collect */
    const char *textfile; /* NULL: standard output; prepare-textfile too, never NULL */
    uint64_t interval_ns;
    uint64_t count;

    /* serve; the textfile and the interval too */
    const char *listen[CONFIG_MAX_LISTEN]; /* addresses as given */
    size_t listen_count;
    const char *telemetry_path;
    const char *web_config_file; /* NULL: no TLS, no passwords */
    size_t max_connections;
    bool with_systemd_socket; /* the sockets that systemd hands over, none of `listen` */
    bool without_sandbox;
    bool removes_textfile; /* on a clean stop */
    enum hold_choice driver_hold;
    uint64_t release_ns;     /* how long a release of the driver lasts */
    uint64_t idle_window_ns; /* a session is active when it worked within this time */

    /* list */
    bool as_json;
    struct filter filter;
    enum color_choice color;

    /* prepare-textfile */
    uint32_t group; /* who shall be able to write there */
    bool has_group;

    /* simulate */
    bool hold;
    bool freeze;
    bool list_scenarios;
    const char *directory;
    const char *scenario;
};

/* The `source` label of the driver that is asked first: "nvml" or "nvidia-smi". */
const char *config_driver_name(const struct config *config);

/* An outcome of config_read() that is no error: what was asked for has been printed. */
#define CONFIG_DONE 1

/* Fills OUT. Return: 0; CONFIG_DONE after --help or --version (printed on standard
 * output); negative for a usage error, with a message that names the word at fault. */
int config_read(int argc, char **argv, struct config *out, struct err *err)
    __attribute__((warn_unused_result));
