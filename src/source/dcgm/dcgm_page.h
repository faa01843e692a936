/*
 * The readings of one DCGM exporter page that this program uses.
 */
#pragma once

#include "model/facts.h"
#include "source/dcgm/prom_parse.h"

enum dcgm_field {
    DCGM_SM_ACTIVE,     /* DCGM_FI_PROF_SM_ACTIVE: cycles with a warp on an SM */
    DCGM_ENGINE_ACTIVE, /* DCGM_FI_PROF_GR_ENGINE_ACTIVE: time with a kernel running */
    DCGM_DRAM_ACTIVE,   /* DCGM_FI_PROF_DRAM_ACTIVE: cycles with memory traffic */
    DCGM_GPU_UTIL,      /* DCGM_FI_DEV_GPU_UTIL: NVML's own, of whole GPUs */
    DCGM_FIELD_COUNT,
};

enum {
    DCGM_UUID_BYTES = 48,
    DCGM_MAX_READINGS = FACTS_MAX_GPUS * (1 + FACTS_MAX_MIG_PER_GPU)
};

/* A GPU, or a GPU instance of it. */
struct dcgm_reading {
    char uuid[DCGM_UUID_BYTES];                    /* of the GPU */
    uint32_t gi;                                   /* MIG_ID_NONE for the whole GPU */
    struct value_double percent[DCGM_FIELD_COUNT]; /* 0–100, or VALUE_UNSET */
};

struct dcgm_page {
    double wall_seconds; /* when it is read */
    size_t count;
    size_t omitted;     /* samples of more GPUs than are kept */
    size_t implausible; /* samples that are no ratio or percentage: DCGM's blanks */
    size_t old;         /* samples with a timestamp of long ago */
    double energy;      /* sum of the GPUs' energy counters, mJ; 0: not on the page */
    struct dcgm_reading readings[DCGM_MAX_READINGS];
};

/* Empties PAGE, for samples that are read at WALL_SECONDS. */
void dcgm_page_begin(struct dcgm_page *page, double wall_seconds);

/* Takes one sample in; a prom_sink, PAGE is its context. Return: true. */
bool dcgm_page_take(void *page, const struct prom_sample *sample);

/* NULL when the page has none. */
const struct dcgm_reading *dcgm_page_find(const struct dcgm_page *page, const char *uuid,
                                          uint32_t gi);
