/*
 * Sums over processes. Linear in the node's processes: a scenario has some hundreds.
 */
#include "sim/driver/usage.h"

#include "sim/driver/load.h"

#include <math.h>

struct scope scope_of(const struct call *call)
{
    if (call->mig)
        return (struct scope){call->gpu_position, call->mig->gi, call->mig->ci};
    return (struct scope){call->gpu_position, SIM_ID_NONE, SIM_ID_NONE};
}

static bool id_matches(uint32_t wanted, uint32_t id)
{
    return wanted == SIM_ID_NONE || wanted == id;
}

bool process_is_in(const struct sim_process *process, struct scope scope)
{
    return process->gpu == scope.gpu && id_matches(scope.gi, process->gi) &&
           id_matches(scope.ci, process->ci) &&
           __atomic_load_n(&process->alive, __ATOMIC_RELAXED) != 0;
}

const struct sim_load *process_load(const struct sim_process *process, enum engine engine)
{
    switch (engine) {
    case ENGINE_SM: return &process->sm;
    case ENGINE_MEMORY: return &process->memory_bandwidth;
    case ENGINE_ENCODER: return &process->encoder;
    case ENGINE_DECODER: break;
    }
    return &process->decoder;
}

double usage_percent(const struct node_map *map, struct scope scope, enum engine engine,
                     double from, double to)
{
    double sum = 0;
    for (uint32_t i = 0; i < map->process_count; i++) {
        const struct sim_process *process = &map->processes[i];
        if (process_is_in(process, scope))
            sum += load_mean_percent(process_load(process, engine), from, to);
    }
    return fmin(sum, 100);
}

uint64_t usage_process_bytes(const struct node_map *map, struct scope scope)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < map->process_count; i++) {
        const struct sim_process *process = &map->processes[i];
        if (process->memory_bytes != UINT64_MAX && process_is_in(process, scope))
            sum += process->memory_bytes;
    }
    return sum;
}
