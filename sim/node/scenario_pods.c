/*
 * The `pods` section: copies of each entry, kept sorted so that a process finds its pod
 * by "namespace/name" without a walk through thousands.
 */
#include "sim/node/scenario_build.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>

/* Longest names that Kubernetes itself allows. */
enum { NAMESPACE_BYTES_MAX = 63, POD_BYTES_MAX = 253 };

static bool is_kubernetes_name(const char *text, size_t longest)
{
    size_t length = strlen(text);
    return length > 0 && length <= longest &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") == length &&
           text[0] != '.' && text[0] != '-';
}

static int compare_pods(const void *left, const void *right)
{
    const struct scenario_pod *a = left;
    const struct scenario_pod *b = right;
    int order = strcmp(a->namespace, b->namespace);
    return order ? order : strcmp(a->name, b->name);
}

const struct scenario_pod *scenario_find_pod(const struct scenario *scenario,
                                             const char *path)
{
    const char *slash = strchr(path, '/');
    char namespace[NAMESPACE_BYTES_MAX + 1];
    if (!slash || (size_t)(slash - path) >= sizeof(namespace) || !scenario->pod_count)
        return NULL;
    memcpy(namespace, path, (size_t)(slash - path));
    namespace[slash - path] = '\0';
    struct scenario_pod wanted = {.namespace = namespace, .name = slash + 1};
    return bsearch(&wanted, scenario->pods, scenario->pod_count, sizeof(wanted),
                   compare_pods);
}

static int read_pod_uid(const struct scenario_build *build, const struct yaml_pod *yaml,
                        uint64_t copy, struct scenario_pod *pod)
{
    char uid[65];
    char seed[400];
    if (yaml->uid) {
        pod->uid = scenario_expand_copy(build, yaml->uid, copy);
        if (!pod->uid)
            return scenario_out_of_memory(build);
        size_t length = strlen(pod->uid);
        bool is_plain =
            length > 0 && length <= 64 &&
            strspn(pod->uid, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
        return is_plain ? 0
                        : scenario_field_error(build, "uid",
                                               "only a-z, 0-9 and -, at most 64 of them");
    }
    (void)snprintf(seed, sizeof(seed), "pod %s/%s", pod->namespace, pod->name);
    if (yaml->is_static == YAML_TRUE)
        scenario_hex(uid, 32, seed);
    else
        scenario_uuid(uid, seed);
    pod->uid = arena_copy(build->arena, str_from(uid));
    return pod->uid ? 0 : scenario_out_of_memory(build);
}

static int read_containers(const struct scenario_build *build,
                           const struct yaml_pod *yaml, struct scenario_pod *pod)
{
    pod->container_count = yaml->containers_count ? yaml->containers_count : 1;
    pod->containers = ARENA_NEW(build->arena, const char *, pod->container_count);
    if (!pod->containers)
        return scenario_out_of_memory(build);
    pod->containers[0] = "main";
    for (unsigned i = 0; i < yaml->containers_count; i++) {
        if (!is_kubernetes_name(yaml->containers[i], NAMESPACE_BYTES_MAX))
            return scenario_field_error(
                build, "containers", "\"%.40s\": only a-z, 0-9, - and at most %d of them",
                yaml->containers[i], NAMESPACE_BYTES_MAX);
        pod->containers[i] = arena_copy(build->arena, str_from(yaml->containers[i]));
        if (!pod->containers[i])
            return scenario_out_of_memory(build);
    }
    return 0;
}

static int add_pod(const struct scenario_build *build, const struct yaml_pod *yaml,
                   uint64_t copy, struct scenario_pod *pod)
{
    const struct yaml_node *node = build->yaml->node;
    int node_runtime = node && node->runtime ? node->runtime : RUNTIME_CONTAINERD;
    *pod = (struct scenario_pod){
        .namespace = scenario_expand_copy(
            build, yaml->namespace ? yaml->namespace : "default", copy),
        .name = scenario_expand_copy(build, yaml->name, copy),
        .qos = (enum pod_qos)yaml->qos,
        .cgroup_driver = yaml->cgroup_driver ? (enum cgroup_driver)yaml->cgroup_driver
                                             : build->out->cgroup_driver,
        .runtime = (enum container_runtime)(yaml->runtime ? yaml->runtime : node_runtime),
        .has_log_links = yaml->log_links != YAML_FALSE,
    };
    if (!yaml->name)
        return scenario_field_error(build, "name", "every pod needs one");
    if (!pod->namespace || !pod->name)
        return scenario_out_of_memory(build);
    if (!is_kubernetes_name(pod->namespace, NAMESPACE_BYTES_MAX) ||
        !is_kubernetes_name(pod->name, POD_BYTES_MAX))
        return scenario_field_error(build, "name",
                                    "\"%.40s/%.40s\": only a-z, 0-9, - and . are allowed",
                                    pod->namespace, pod->name);
    int rc = read_pod_uid(build, yaml, copy, pod);
    return rc ? rc : read_containers(build, yaml, pod);
}

static int check_unique(const struct scenario_build *build)
{
    const struct scenario_pod *pods = build->out->pods;
    for (size_t i = 1; i < build->out->pod_count; i++) {
        if (compare_pods(&pods[i - 1], &pods[i]) == 0)
            return scenario_field_error(
                build, "name",
                "the pod %.60s/%.60s is there twice; use {n} in the "
                "name of copies",
                pods[i].namespace, pods[i].name);
    }
    return 0;
}

int scenario_build_pods(struct scenario_build *build)
{
    const struct yaml_scenario *yaml = build->yaml;
    uint64_t total = 0;
    build->section = "pods";
    for (unsigned i = 0; i < yaml->pods_count; i++) {
        total += scenario_copies(yaml->pods[i].replicate);
        build->position = i;
        if (total > SCENARIO_PODS_MAX)
            return scenario_field_error(build, "replicate", "more than %d pods in all",
                                        SCENARIO_PODS_MAX);
    }
    struct scenario_pod *pods = ARENA_NEW(build->arena, struct scenario_pod, total);
    if (!pods)
        return scenario_out_of_memory(build);
    build->out->pods = pods;
    for (unsigned i = 0; i < yaml->pods_count; i++) {
        uint64_t copies = scenario_copies(yaml->pods[i].replicate);
        build->position = i;
        for (uint64_t copy = 0; copy < copies; copy++) {
            int rc = add_pod(build, &yaml->pods[i], copy, &pods[build->out->pod_count++]);
            if (rc)
                return rc;
        }
    }
    qsort(pods, build->out->pod_count, sizeof(*pods), compare_pods);
    return check_unique(build);
}
