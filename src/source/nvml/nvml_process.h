/* Process lists: who has a context on a GPU, or on its MIG devices. */
#pragma once

#include "source/nvml/nvml_source.h"

/**
 * nvml_process_list() - the processes of one GPU and its MIG devices
 * @is_wanted: per device of the GPU (its own position first), whether to ask; NULL: all
 *
 * Fills entries[] and entry_count, by device, then pid, each pair once; and the
 * process_list states of the GPU and its MIG devices. What is not believed is left out
 * and counted ("implausible"), as is what belongs to no device ("unattributed", when all
 * devices were asked).
 */
void nvml_process_list(struct nvml_source *source, struct nvml_gpu *gpu,
                       const bool *is_wanted);

/* Whether PID is among the entries just listed for the device at POSITION. */
bool nvml_process_is_listed(const struct nvml_source *source, size_t position,
                            uint32_t pid);

/* Lists the processes of all GPUs into processes[], up to max_sessions; the rest is
 * counted in processes_omitted. */
void nvml_process_collect(struct nvml_source *source);
