/*
 * What a driver generation lacks: symbols that came later, and the layouts that changed.
 */
#pragma once

#include "base/str.h"

struct generation {
    const char *name;           /* as a scenario writes it: "535.54" */
    const char *driver_version; /* a real release of it: "535.54.03" */
    uint32_t cuda_version;      /* 12020 is 12.2 */
    uint32_t ordinal;           /* branch × 1000 + minor, ascending */
};

/* NULL when NAME is none of the known ones. */
const struct generation *generation_find(struct str name);

/* All names in one line, for an error message: "450, 450.66, …". */
const char *generation_names(void);

/* True when this generation's library has no symbol NAME although later ones do. */
bool generation_lacks(const struct generation *generation, struct str name);

/* The names that some generation lacks, one after the other: NULL past the last. */
const char *generation_symbol(size_t i);

/* Bytes of one entry of the _v3 process lists. */
uint32_t generation_process_v3_stride(const struct generation *generation);

/* MIG UUIDs read "MIG-GPU-<parent>/<gi>/<ci>" rather than "MIG-<uuid>". */
bool generation_has_old_mig_uuid(const struct generation *generation);

bool generation_has_gpm(const struct generation *generation);
