/*
 * What the processes on a device add up to.
 */
#pragma once

#include "sim/driver/call.h"

/* A device, or a GPU instance with all that runs on it. SIM_ID_NONE: any. */
struct scope {
    uint32_t gpu, gi, ci;
};

enum engine { ENGINE_SM, ENGINE_MEMORY, ENGINE_ENCODER, ENGINE_DECODER };

/* The device that CALL is about. */
struct scope scope_of(const struct call *call);

/* True when the driver lists PROCESS there now. */
bool process_is_in(const struct sim_process *process, struct scope scope);

const struct sim_load *process_load(const struct sim_process *process,
                                    enum engine engine);

/* Percent of ENGINE that the processes of SCOPE use together, averaged from FROM to TO,
 * at most 100. */
double usage_percent(const struct node_map *map, struct scope scope, enum engine engine,
                     double from, double to);

/* Bytes that the processes of SCOPE hold, as far as the driver knows. */
uint64_t usage_process_bytes(const struct node_map *map, struct scope scope);
