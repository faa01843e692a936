/* What each process did with its GPU since the previous collection. */
#pragma once

#include "source/nvml/nvml_source.h"

/* Sets the four percentages of GPU's processes[]. */
void nvml_utilization_read(struct nvml_source *source, struct nvml_gpu *gpu);
