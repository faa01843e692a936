/*
 * The scenario's fault table: which call fails, hangs or crashes, and at which turn.
 */
#pragma once

#include "sim/driver/node_map.h"
#include "source/nvml/nvml_abi.h"

/* How often each fault has matched in this process. Kept over nvmlShutdown and nvmlInit,
 * so that "the third nvmlInit_v2 fails" can be said; dropped when the file is another,
 * and with the library when that is closed. */
struct fault_counts {
    dev_t device;
    ino_t inode;
    uint32_t count;
    uint32_t *matches;
};

/* Makes COUNTS fit MAP's table. Return: false when out of memory. */
bool fault_counts_fit(struct fault_counts *counts, const struct node_map *map);

/* Does what the table says for a call of SYMBOL on the GPU at that position (SIM_ID_NONE:
 * about no GPU). May never return. Return: NVML_SUCCESS when the call may go on. */
nvmlReturn_t fault_apply(const struct node_map *map, struct fault_counts *counts,
                         const char *symbol, uint32_t gpu);
