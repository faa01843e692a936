/*
 * One flat file: header, then GPUs, MIG devices, processes and faults, each array at an
 * offset that suits its widest member.
 */
#include "sim/node/node_state_build.h"

#include <errno.h>

static uint64_t place_array(uint64_t *end, size_t count, size_t size)
{
    uint64_t offset = (*end + 7) & ~UINT64_C(7);
    *end = offset + (uint64_t)count * size;
    return offset;
}

static void fill_header(struct node_state *header, const struct scenario *scenario,
                        const struct node_clock *clock)
{
    uint64_t end = sizeof(*header);
    header->magic = NODE_STATE_MAGIC;
    header->gpu_count = (uint32_t)scenario->gpu_count;
    header->mig_count = (uint32_t)scenario->mig_count;
    header->process_count = (uint32_t)scenario->entry_count;
    header->fault_count = (uint32_t)scenario->fault_count;
    header->gpu_offset = place_array(&end, scenario->gpu_count, sizeof(struct sim_gpu));
    header->mig_offset =
        place_array(&end, scenario->mig_count, sizeof(struct sim_mig_device));
    header->process_offset =
        place_array(&end, scenario->entry_count, sizeof(struct sim_process));
    header->fault_offset =
        place_array(&end, scenario->fault_count, sizeof(struct sim_fault));
    header->size_bytes = end;
    memcpy(header->driver_version, scenario->driver.version,
           strlen(scenario->driver.version) + 1);
    header->cuda_version = scenario->driver.cuda_version;
    header->frozen = clock->is_frozen;
    header->epoch_us = clock->epoch_us;
    header->latency_us = scenario->driver.latency_us;
    header->unprivileged = scenario->driver.is_unprivileged;
    header->empty_slot_code = scenario->driver.empty_slot_code;
    header->process_v3_stride = scenario->driver.process_v3_stride;
    header->sample_window_ms = scenario->driver.sample_window_ms;
}

static void fill_process(struct sim_process *entries, const struct scenario *scenario,
                         const struct scenario_process *process)
{
    double born;
    bool is_alive = scenario_process_lives(process, 0, &born);
    for (size_t i = 0; i < process->target_count; i++) {
        const struct scenario_target *target = &process->targets[i];
        struct sim_process *entry = &entries[process->first_entry + i];
        *entry = process->sim;
        entry->pid = process->pid;
        entry->alive = is_alive;
        entry->gpu = target->gpu;
        entry->gi = entry->ci = SIM_ID_NONE;
        if (target->mig != SIM_ID_NONE) {
            entry->gi = scenario->migs[target->mig].gi;
            entry->ci = scenario->migs[target->mig].ci;
        }
    }
}

int node_state_build(struct arena *arena, const struct scenario *scenario,
                     const struct node_clock *clock, struct str *state, struct err *err)
{
    struct node_state header = {0};
    fill_header(&header, scenario, clock);
    char *bytes = arena_alloc(arena, header.size_bytes, 1);
    if (!bytes)
        return err_errno(err, ENOMEM, "node.state of scenario %s", scenario->label);
    memcpy(bytes, &header, sizeof(header));
    struct sim_gpu *gpus = (struct sim_gpu *)(void *)(bytes + header.gpu_offset);
    for (size_t i = 0; i < scenario->gpu_count; i++)
        gpus[i] = scenario->gpus[i].sim;
    if (scenario->mig_count)
        memcpy(bytes + header.mig_offset, scenario->migs,
               scenario->mig_count * sizeof(*scenario->migs));
    struct sim_process *entries =
        (struct sim_process *)(void *)(bytes + header.process_offset);
    for (size_t i = 0; i < scenario->process_count; i++)
        fill_process(entries, scenario, &scenario->processes[i]);
    if (scenario->fault_count)
        memcpy(bytes + header.fault_offset, scenario->faults,
               scenario->fault_count * sizeof(*scenario->faults));
    *state = (struct str){bytes, header.size_bytes};
    return 0;
}
