/*
 * Shared by the parts that turn a scenario's YAML into the resolved node.
 */
#pragma once

#include "sim/node/generation.h"
#include "sim/node/scenario.h"
#include "sim/node/scenario_yaml.h"

/* Where the work stands: what is read, what is being built, whose field is looked at. */
struct scenario_build {
    struct arena *arena;
    const struct yaml_scenario *yaml;
    const struct generation *generation;
    struct scenario *out;
    struct err *err;
    const char *section; /* "processes" */
    size_t position;     /* of the entry in its section, from 0 */
};

/* "scenario NAME: processes[3].gpu: …". Return: -EINVAL. */
__attribute__((format(printf, 3, 4))) int scenario_field_error(
    const struct scenario_build *build, const char *field, const char *format, ...);
int scenario_out_of_memory(const struct scenario_build *build);

/* Each builds one section. Return: 0 or negative with the message set. */
int scenario_build_gpus(struct scenario_build *build);
int scenario_build_pods(struct scenario_build *build);
int scenario_build_processes(struct scenario_build *build);

/* Copies TEXT with the copy's number N put in (NULL gives NULL). NULL on failure too. */
const char *scenario_expand_copy(const struct scenario_build *build, const char *text,
                                 uint64_t n);

/* Copies of an entry: 1 unless it says more. */
static inline uint64_t scenario_copies(unsigned replicate)
{
    return replicate ? replicate : 1;
}

/* The pod "namespace/name", or NULL. Needs pods to be built. */
const struct scenario_pod *scenario_find_pod(const struct scenario *scenario,
                                             const char *path);
