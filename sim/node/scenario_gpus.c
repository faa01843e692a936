/*
 * The `gpus` section: copies of each entry, with what the model implies and MIG devices
 * placed as the driver would place them.
 */
#include "sim/node/scenario_build.h"

#include "base/cleanup.h"
#include "sim/node/gpu_model.h"
#include "sim/node/scenario_text.h"

#include <stdio.h>

enum { FIRST_BUS = 0x07, BUS_STEP = 0x0B };

static bool is_on(enum yaml_switch value, bool otherwise)
{
    return value == YAML_UNSET ? otherwise : value == YAML_TRUE;
}

static int read_size(const struct scenario_build *build, const char *field,
                     const char *text, uint64_t otherwise, uint64_t *bytes)
{
    *bytes = otherwise;
    if (text && !scenario_text_size(str_from(text), bytes))
        return scenario_field_error(
            build, field, "\"%.40s\" is no size; write for example 40GiB", text);
    return 0;
}

/* "none" switches a sensor off. */
static int read_sensor(const struct scenario_build *build, const char *field,
                       const char *text, struct sim_load otherwise, struct sim_load *load,
                       uint32_t *is_present)
{
    *load = otherwise;
    *is_present = !text || strcmp(text, "none") != 0;
    if (text && *is_present && !scenario_text_load(str_from(text), load))
        return scenario_field_error(
            build, field,
            "\"%.40s\" is no load; write for example 250 amplitude "
            "50 period 60, or none",
            text);
    return 0;
}

static int read_lost(const struct scenario_build *build, const struct yaml_gpu *yaml,
                     struct scenario_gpu *gpu)
{
    uint32_t code = 0;
    gpu->lost_after_seconds = -1;
    if (yaml->lost && !scenario_text_code(str_from(yaml->lost), &code))
        return scenario_field_error(build, "lost",
                                    "\"%.40s\" is no driver code; write for example "
                                    "GPU_IS_LOST",
                                    yaml->lost);
    if (!yaml->lost_after) {
        gpu->sim.lost = code;
        return 0;
    }
    if (!scenario_text_seconds(str_from(yaml->lost_after), &gpu->lost_after_seconds) ||
        gpu->lost_after_seconds < 0 || !code)
        return scenario_field_error(build, "lost_after",
                                    "needs a time such as 30s, and `lost` with the code");
    gpu->lost_code = code;
    return 0;
}

static int copy_text_field(const struct scenario_build *build, const char *field,
                           const char *text, char *out, size_t capacity)
{
    if (strlen(text) >= capacity)
        return scenario_field_error(build, field, "longer than %zu bytes", capacity - 1);
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

static int read_gpu_names(const struct scenario_build *build, const struct yaml_gpu *yaml,
                          uint32_t index, struct sim_gpu *gpu)
{
    char seed[160];
    char uuid[37];
    int rc =
        copy_text_field(build, "name", yaml->name ? yaml->name : "NVIDIA A100-SXM4-40GB",
                        gpu->name, sizeof(gpu->name));
    (void)snprintf(seed, sizeof(seed), "gpu %u %s", index, gpu->name);
    scenario_uuid(uuid, seed);
    if (yaml->uuid)
        rc = rc ? rc : copy_text_field(build, "uuid", yaml->uuid, gpu->uuid, 96);
    else
        (void)snprintf(gpu->uuid, sizeof(gpu->uuid), "GPU-%s", uuid);
    uint32_t bus = FIRST_BUS + BUS_STEP * index;
    if (yaml->pci_bus_id)
        rc = rc ? rc
                : copy_text_field(build, "pci_bus_id", yaml->pci_bus_id, gpu->pci_bus_id,
                                  sizeof(gpu->pci_bus_id));
    else
        (void)snprintf(gpu->pci_bus_id, sizeof(gpu->pci_bus_id), "%08X:%02X:00.0",
                       bus >> 8U, bus & 0xFFU);
    return rc;
}

/* Idle watts plus a swing; real boards follow their load, a scenario may say so itself.
 */
static struct sim_load usual_power(const struct gpu_model *model, uint32_t index)
{
    double idle = model->idle_watts;
    double swing = (model->peak_watts - idle) / 4;
    return (struct sim_load){.base_percent = idle + swing,
                             .amplitude_percent = swing,
                             .period_seconds = 60,
                             .phase = 0.125 * index};
}

static struct sim_load usual_temperature(uint32_t index)
{
    return (struct sim_load){.base_percent = 45,
                             .amplitude_percent = 6,
                             .period_seconds = 300,
                             .phase = 0.125 * index};
}

static int read_gpu_state(const struct scenario_build *build, const struct yaml_gpu *yaml,
                          const struct gpu_model *model, uint32_t index,
                          struct sim_gpu *gpu)
{
    bool has_mig = yaml->mig_count > 0;
    enum yaml_mig_mode mode = yaml->mig_mode;
    if (mode == MIG_MODE_UNSET)
        mode = has_mig ? MIG_ENABLED : MIG_DISABLED;
    gpu->minor = index;
    gpu->mig_capable =
        is_on(yaml->mig_capable, model->mig_capable || yaml->mig_mode || has_mig);
    gpu->mig_enabled = mode == MIG_ENABLED || mode == MIG_DISABLING;
    gpu->mig_pending = mode == MIG_ENABLED || mode == MIG_ENABLING;
    if (has_mig && !gpu->mig_enabled)
        return scenario_field_error(build, "mig",
                                    "devices need MIG mode; remove mig_mode or set it to "
                                    "enabled");
    gpu->gpm_supported =
        is_on(yaml->gpm, model->gpm_supported) && generation_has_gpm(build->generation);
    gpu->has_utilization = is_on(yaml->utilization, true);
    gpu->has_memory_info = is_on(yaml->memory_info, true);
    int rc = read_size(build, "memory", yaml->memory, (uint64_t)model->memory_mib << 20U,
                       &gpu->memory_total_bytes);
    rc =
        rc ? rc
           : read_size(build, "reserved", yaml->reserved,
                       (uint64_t)model->reserved_mib << 20U, &gpu->memory_reserved_bytes);
    rc = rc ? rc
            : read_sensor(build, "power", yaml->power, usual_power(model, index),
                          &gpu->power_watts, &gpu->has_power);
    return rc ? rc
              : read_sensor(build, "temperature", yaml->temperature,
                            usual_temperature(index), &gpu->temperature_celsius,
                            &gpu->has_temperature);
}

/* MiB that an instance of that many slices holds with nobody on it, as captured. */
static uint64_t idle_mig_bytes(uint32_t gpu_slices)
{
    static const uint32_t mib[] = {0, 9, 17, 22, 28, 34, 40, 46, 52};
    return (uint64_t)mib[gpu_slices] << 20U;
}

static void name_mig_device(const struct scenario_build *build, const struct sim_gpu *gpu,
                            struct sim_mig_device *mig)
{
    if (generation_has_old_mig_uuid(build->generation)) {
        (void)snprintf(mig->uuid, sizeof(mig->uuid), "MIG-%.60s/%u/%u", gpu->uuid,
                       mig->gi, mig->ci);
        return;
    }
    char seed[160];
    char uuid[37];
    (void)snprintf(seed, sizeof(seed), "mig %.95s %u %u", gpu->uuid, mig->gi, mig->ci);
    scenario_uuid(uuid, seed);
    (void)snprintf(mig->uuid, sizeof(mig->uuid), "MIG-%s", uuid);
}

/* Takes " slot N" off the end of PROFILE; the next slot otherwise. */
static bool take_slot(struct str *profile, uint32_t *slot)
{
    ptrdiff_t at = str_find_text(*profile, STR(" slot "));
    if (at < 0)
        return true;
    size_t from = (size_t)at + 6;
    bool is_number = str_u32(str_trim(str_part(*profile, from, profile->n - from)), slot);
    *profile = str_trim(str_part(*profile, 0, (size_t)at));
    return is_number && *slot < SCENARIO_MIG_PER_GPU_MAX;
}

/* One device on the GPU at MIG->gpu: its slot, place and sizes. */
static int read_mig_device(const struct scenario_build *build, const char *text,
                           const struct gpu_model *model, struct mig_layout *layout,
                           struct sim_mig_device *mig)
{
    struct str profile = str_trim(str_from(text));
    struct mig_device device;
    if (!take_slot(&profile, &mig->slot))
        return scenario_field_error(build, "mig",
                                    "\"%.40s\": the slot is no number below %d", text,
                                    SCENARIO_MIG_PER_GPU_MAX);
    if (!mig_layout_add(layout, model, profile, &device))
        return scenario_field_error(build, "mig",
                                    "\"%.40s\" is no profile or does not fit beside the "
                                    "others; write for example 2g.10gb",
                                    text);
    mig->gi = device.gi;
    mig->ci = device.ci;
    memcpy(mig->profile, device.profile, sizeof(mig->profile));
    mig->memory_total_bytes = device.memory_bytes;
    mig->memory_base_bytes = idle_mig_bytes(device.gpu_slices);
    mig->multiprocessors = device.compute_slices * model->multiprocessors_per_slice;
    mig->gpu_slices = device.gpu_slices;
    mig->compute_slices = device.compute_slices;
    name_mig_device(build, &build->out->gpus[mig->gpu].sim, mig);
    return 0;
}

/* All slots of a capable GPU, also those that hold no device. */
static int set_mig_slots(const struct scenario_build *build, const struct yaml_gpu *yaml,
                         uint32_t slots_needed, struct sim_gpu *gpu)
{
    uint32_t slots = yaml->mig_slots ? yaml->mig_slots : 7;
    if (slots > SCENARIO_MIG_PER_GPU_MAX)
        return scenario_field_error(build, "mig_slots", "more than %d",
                                    SCENARIO_MIG_PER_GPU_MAX);
    slots = slots > slots_needed ? slots : slots_needed;
    gpu->max_mig_devices = gpu->mig_capable ? slots : 0;
    return 0;
}

static int add_mig_devices(struct scenario_build *build, const struct yaml_gpu *yaml,
                           const struct gpu_model *model, uint32_t gpu_position,
                           struct sim_mig_device *migs)
{
    struct scenario_gpu *gpu = &build->out->gpus[gpu_position];
    struct mig_layout layout = {0};
    uint32_t slots_used = 0;
    uint32_t slots_needed = 0;
    uint32_t next_slot = 0;
    gpu->first_mig = (uint32_t)build->out->mig_count;
    gpu->mig_count = yaml->mig_count;
    for (unsigned i = 0; i < yaml->mig_count; i++) {
        struct sim_mig_device *mig = &migs[build->out->mig_count++];
        mig->gpu = gpu_position;
        mig->slot = next_slot;
        int rc = read_mig_device(build, yaml->mig[i], model, &layout, mig);
        if (rc)
            return rc;
        if (mig->slot >= SCENARIO_MIG_PER_GPU_MAX || slots_used & (1U << mig->slot))
            return scenario_field_error(build, "mig", "\"%.40s\": slot taken or over %d",
                                        yaml->mig[i], SCENARIO_MIG_PER_GPU_MAX - 1);
        slots_used |= 1U << mig->slot;
        next_slot = mig->slot + 1;
        slots_needed = next_slot > slots_needed ? next_slot : slots_needed;
    }
    return set_mig_slots(build, yaml, slots_needed, &gpu->sim);
}

static int add_gpu(struct scenario_build *build, const struct yaml_gpu *yaml,
                   struct sim_mig_device *migs)
{
    if (build->out->gpu_count == SCENARIO_GPUS_MAX)
        return scenario_field_error(build, "count", "more than %d GPUs in all",
                                    SCENARIO_GPUS_MAX);
    uint32_t index = (uint32_t)build->out->gpu_count++;
    struct scenario_gpu *gpu = &build->out->gpus[index];
    int rc = read_gpu_names(build, yaml, index, &gpu->sim);
    const struct gpu_model *model = gpu_model_find(str_from(gpu->sim.name));
    rc = rc ? rc : read_gpu_state(build, yaml, model, index, &gpu->sim);
    rc = rc ? rc : read_lost(build, yaml, gpu);
    return rc ? rc : add_mig_devices(build, yaml, model, index, migs);
}

int scenario_build_gpus(struct scenario_build *build)
{
    const struct yaml_scenario *yaml = build->yaml;
    struct sim_mig_device *migs =
        ARENA_NEW(build->arena, struct sim_mig_device,
                  (size_t)SCENARIO_GPUS_MAX * SCENARIO_MIG_PER_GPU_MAX);
    build->out->gpus = ARENA_NEW(build->arena, struct scenario_gpu, SCENARIO_GPUS_MAX);
    if (!migs || !build->out->gpus)
        return scenario_out_of_memory(build);
    build->out->migs = migs;
    build->section = "gpus";
    for (unsigned i = 0; i < yaml->gpus_count; i++) {
        build->position = i;
        unsigned copies = yaml->gpus[i].count ? yaml->gpus[i].count : 1;
        if (copies > 1 && (yaml->gpus[i].uuid || yaml->gpus[i].pci_bus_id))
            return scenario_field_error(
                build, "count", "copies of a GPU with a fixed uuid or pci_bus_id");
        for (unsigned copy = 0; copy < copies; copy++) {
            int rc = add_gpu(build, &yaml->gpus[i], migs);
            if (rc)
                return rc;
        }
    }
    return 0;
}
