/*
 * What the product name of a GPU implies, and how MIG instances lie on it.
 */
#pragma once

#include "base/str.h"

struct gpu_model {
    const char *name; /* as the driver prints it */
    uint32_t memory_mib;
    uint32_t reserved_mib; /* the driver's own share */
    bool mig_capable;
    bool gpm_supported; /* Hopper and later */
    uint32_t multiprocessors_per_slice;
    uint32_t idle_watts, peak_watts;
};

/* The model of that name; for a name that is none of ours a plain GPU with 16 GiB. */
const struct gpu_model *gpu_model_find(struct str name);

/* Where MIG devices have been put so far on one GPU. Zero it to begin. */
struct mig_layout {
    uint32_t memory_slices_used; /* bit per eighth of the memory */
    bool has_open;               /* the last GPU instance still has compute slices left */
    uint32_t open_gpu_slices;
    uint32_t open_compute_slices_left;
    uint32_t open_gi, open_next_ci;
};

struct mig_device {
    char profile[32]; /* "1c.3g.20gb" */
    uint32_t compute_slices, gpu_slices;
    uint64_t memory_bytes;
    uint32_t gi, ci;
};

/**
 * mig_layout_add() - puts one more MIG device on a GPU, with the ids the driver would
 * give
 * @profile: "3g.20gb", "1c.3g.20gb", "1g.10gb+me"
 *
 * A GPU instance's id encodes its size and place: 0 the whole, 1–2 halves, 3–6 quarters,
 * 7–14 eighths of the memory. A profile with a compute part ("1c.") fills the GPU
 * instance that the one before it opened, as long as that has room.
 *
 * Return: false when @profile is malformed or no place is left for it.
 */
bool mig_layout_add(struct mig_layout *layout, const struct gpu_model *model,
                    struct str profile, struct mig_device *out);
