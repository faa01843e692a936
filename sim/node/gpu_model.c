/*
 * GPU models and the placement of MIG instances.
 *
 * Sizes of MIG memory are those that drivers report where a capture is known, otherwise
 * the profile's nominal size.
 */
#include "sim/node/gpu_model.h"

#include "base/cleanup.h"

enum { WHOLE_GI = 0, HALF_GI = 1, QUARTER_GI = 3, EIGHTH_GI = 7, MEMORY_SLICES = 8 };

static const struct gpu_model models[] = {
    {"NVIDIA A100-SXM4-40GB", 40960, 571, true, false, 14, 55, 400},
    {"NVIDIA A100-SXM4-80GB", 81920, 616, true, false, 14, 62, 400},
    {"NVIDIA A30", 24576, 512, true, false, 14, 30, 165},
    {"NVIDIA H100 80GB HBM3", 81559, 551, true, true, 16, 70, 700},
    {"NVIDIA H200", 143771, 614, true, true, 16, 76, 700},
    {"NVIDIA B200", 183359, 700, true, true, 18, 140, 1000},
    {"NVIDIA L40S", 46068, 545, false, false, 0, 35, 350},
    {"NVIDIA L4", 23034, 508, false, false, 0, 16, 72},
    {"NVIDIA GeForce RTX 4090", 24564, 454, false, false, 0, 20, 450},
    {"NVIDIA GeForce RTX 3090", 24576, 380, false, false, 0, 25, 350},
    {"Tesla V100-SXM2-32GB", 32768, 268, false, false, 0, 40, 300},
    {"Tesla T4", 15360, 445, false, false, 0, 10, 70},
};

const struct gpu_model *gpu_model_find(struct str name)
{
    static const struct gpu_model plain = {"", 16384, 400, false, false, 0, 20, 250};
    for (size_t i = 0; i < ARRAY_LENGTH(models); i++) {
        if (str_equal(name, str_from(models[i].name)))
            return &models[i];
    }
    return &plain;
}

/* MiB that the driver reports for a profile of NOMINAL_GB on a GPU of GPU_MIB. */
static uint64_t reported_memory_mib(uint32_t gpu_mib, uint32_t gpu_slices,
                                    uint32_t nominal_gb)
{
    static const struct {
        uint32_t gpu_mib, gpu_slices, nominal_gb, mib;
    } known[] = {
        {40960, 1, 5, 4864},    {40960, 2, 10, 9856},   {40960, 3, 20, 19968},
        {40960, 4, 20, 19968},  {40960, 7, 40, 40192},  {81920, 1, 10, 9856},
        {81920, 2, 20, 19968},  {81920, 3, 40, 40192},  {81920, 4, 40, 40192},
        {81920, 7, 80, 80384},  {81559, 1, 10, 9984},   {81559, 2, 20, 20096},
        {81559, 3, 40, 40448},  {143771, 1, 18, 16384}, {143771, 2, 35, 33280},
        {143771, 3, 71, 71424},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (known[i].gpu_mib == gpu_mib && known[i].gpu_slices == gpu_slices &&
            known[i].nominal_gb == nominal_gb)
            return known[i].mib;
    }
    return (uint64_t)nominal_gb * 1024;
}

/* Takes digits and then SUFFIX off the head of *REST; *REST moves only on success. */
static bool take_number(struct str *rest, struct str suffix, uint32_t *number)
{
    size_t digits = 0;
    while (digits < rest->n && rest->p[digits] >= '0' && rest->p[digits] <= '9')
        digits++;
    struct str after = str_part(*rest, digits, rest->n - digits);
    if (digits > 4 || !str_u32(str_part(*rest, 0, digits), number) ||
        !str_starts(after, suffix))
        return false;
    *rest = str_part(after, suffix.n, after.n - suffix.n);
    return true;
}

struct profile {
    uint32_t compute_slices, gpu_slices, nominal_gb;
    bool has_compute_part;
};

static bool parse_profile(struct str text, struct profile *profile)
{
    struct profile p = {0};
    p.has_compute_part = take_number(&text, STR("c."), &p.compute_slices);
    if (!take_number(&text, STR("g."), &p.gpu_slices) ||
        !take_number(&text, STR("gb"), &p.nominal_gb))
        return false;
    if (!p.has_compute_part)
        p.compute_slices = p.gpu_slices;
    if (p.gpu_slices < 1 || p.gpu_slices > MEMORY_SLICES || p.compute_slices < 1 ||
        p.compute_slices > p.gpu_slices || p.nominal_gb < 1)
        return false;
    if (text.n && text.p[0] != '+' && text.p[0] != '-')
        return false; /* "+me", "+gfx", "-me" may follow */
    *profile = p;
    return true;
}

/* Memory slices that a profile spans: an instance of one compute slice may have the
 * memory of two. */
static uint32_t memory_span(const struct profile *profile, const struct gpu_model *model)
{
    double slice_gb = (double)model->memory_mib / 1024.0 / MEMORY_SLICES;
    if (profile->gpu_slices > 4)
        return 8;
    if (profile->gpu_slices > 2)
        return 4;
    return profile->gpu_slices == 2 || profile->nominal_gb > 1.5 * slice_gb ? 2 : 1;
}

/* A free place of SPAN slices: *PLACE counts places of that size from the start. Threes
 * go to the upper half first, as the driver puts them; the last eighth has no compute
 * slice, so only instances of one compute slice and double memory may reach it. */
static bool find_place(uint32_t used, uint32_t span, uint32_t gpu_slices, uint32_t *place)
{
    uint32_t places = MEMORY_SLICES / span;
    uint32_t mask = span == MEMORY_SLICES ? 0xFFU : (1U << span) - 1U;
    for (uint32_t i = 0; i < places; i++) {
        uint32_t candidate = gpu_slices == 3 ? places - 1 - i : i;
        bool reaches_last = (candidate + 1) * span == MEMORY_SLICES;
        bool may_reach = gpu_slices == 3 || span == 8 || (span == 2 && gpu_slices == 1);
        if ((used & (mask << (candidate * span))) == 0 && (!reaches_last || may_reach)) {
            *place = candidate;
            return true;
        }
    }
    return false;
}

static uint32_t first_id_of_span(uint32_t span)
{
    switch (span) {
    case 8: return WHOLE_GI;
    case 4: return HALF_GI;
    case 2: return QUARTER_GI;
    default: return EIGHTH_GI;
    }
}

static bool open_gpu_instance(struct mig_layout *layout, const struct gpu_model *model,
                              const struct profile *profile)
{
    uint32_t span = memory_span(profile, model);
    uint32_t place;
    if (!find_place(layout->memory_slices_used, span, profile->gpu_slices, &place))
        return false;
    uint32_t mask = span == MEMORY_SLICES ? 0xFFU : (1U << span) - 1U;
    layout->memory_slices_used |= mask << (place * span);
    layout->open_gi = first_id_of_span(span) + place;
    layout->open_next_ci = 0;
    layout->open_gpu_slices = profile->gpu_slices;
    layout->open_compute_slices_left = profile->gpu_slices;
    layout->has_open = true;
    return true;
}

bool mig_layout_add(struct mig_layout *layout, const struct gpu_model *model,
                    struct str profile_text, struct mig_device *out)
{
    struct profile profile;
    if (profile_text.n >= sizeof(out->profile) || !parse_profile(profile_text, &profile))
        return false;
    bool fits_open = profile.has_compute_part && layout->has_open &&
                     layout->open_gpu_slices == profile.gpu_slices &&
                     layout->open_compute_slices_left >= profile.compute_slices;
    if (!fits_open && !open_gpu_instance(layout, model, &profile))
        return false;
    *out = (struct mig_device){
        .compute_slices = profile.compute_slices,
        .gpu_slices = profile.gpu_slices,
        .memory_bytes =
            reported_memory_mib(model->memory_mib, profile.gpu_slices, profile.nominal_gb)
            << 20U,
        .gi = layout->open_gi,
        .ci = layout->open_next_ci++,
    };
    memcpy(out->profile, profile_text.p, profile_text.n);
    layout->open_compute_slices_left -= profile.compute_slices;
    return true;
}
