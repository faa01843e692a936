/* MIG devices of a GPU: which slots hold one, and which one. */
#pragma once

#include "source/nvml/nvml_source.h"

/* Fills GPU's MIG slots and mig_count. A device that vanishes while it is asked is left
 * out; GPM samples are dropped when the layout is not what it was. */
void nvml_mig_scan(struct nvml_source *source, struct nvml_gpu *gpu);

/* How many MIG devices share GPU instance GI. */
size_t nvml_mig_count_in(const struct nvml_gpu *gpu, uint32_t gi);

/* The MIG device that an entry of the GPU's process list belongs to, or NULL. CI may be
 * MIG_ID_NONE: the entry then belongs to the instance as a whole, which names a device
 * only where the instance has one. */
struct nvml_mig *nvml_mig_find(const struct nvml_gpu *gpu, uint32_t gi, uint32_t ci);
