/*
 * Which reading means what our families mean:
 *
 *   a device's utilisation   time with a kernel running: ENGINE_ACTIVE, as GPM's; of a
 *                            whole GPU without MIG, GPU_UTIL is the same thing
 *   a session's SM time      SM_ACTIVE; where the exporter has it not (its default),
 *                            ENGINE_ACTIVE
 *   memory bandwidth         DRAM_ACTIVE
 *
 * Readings are those of a GPU instance: with two compute instances in it they are neither
 * one's. A session has its instance's reading when it has been alone there for as long as
 * the reading may reach back. On a whole GPU nobody is known to be alone, since graphics
 * processes are not listed: there only the device gets values.
 */
#include "source/dcgm/dcgm_fill.h"

#include "base/cleanup.h"

static uint64_t instance_of(const struct device_facts *device)
{
    uint64_t hash = str_hash(str_from(device->uuid ? device->uuid : ""));
    return hash * 31 +
           str_hash(str_from(device->parent_uuid ? device->parent_uuid : "")) +
           ((uint64_t)device->gi << 32 | device->ci);
}

/* Position of DEVICE's entry, or watch->count. */
static size_t watch_find(const struct dcgm_watch *watch,
                         const struct device_facts *device)
{
    uint64_t instance = instance_of(device);
    size_t i = 0;
    while (i < watch->count && watch->entries[i].instance != instance)
        i++;
    return i;
}

/* FIRST_NS: since when whoever is met for the first time counts as alone. */
static void watch_device(struct dcgm_watch *watch, const struct device_facts *device,
                         uint64_t first_ns, uint64_t now_ns)
{
    size_t at = watch_find(watch, device);
    if (at == watch->count) {
        if (watch->count == ARRAY_LENGTH(watch->entries))
            *watch = (struct dcgm_watch){0}; /* layouts of long ago; begin anew */
        at = watch->count++;
        watch->entries[at].instance = instance_of(device);
        watch->entries[at].pid = device->sole_pid;
        watch->entries[at].since_ns = first_ns;
    } else if (watch->entries[at].pid != device->sole_pid) {
        watch->entries[at].pid = device->sole_pid;
        watch->entries[at].since_ns = now_ns;
    }
}

void dcgm_watch_update(struct dcgm_watch *watch, const struct dcgm_collection *collection)
{
    for (size_t i = 0; i < collection->facts->device_count; i++) {
        const struct device_facts *device = &collection->facts->devices[i];
        if (device->kind == DEVICE_MIG)
            watch_device(watch, device,
                         collection->knows_the_past ? collection->now_ns : 0,
                         collection->now_ns);
    }
}

static bool was_alone(const struct dcgm_watch *watch, const struct device_facts *device,
                      uint64_t now_ns)
{
    size_t at = watch_find(watch, device);
    if (at == watch->count || watch->entries[at].pid != device->sole_pid)
        return false;
    uint64_t since_ns = watch->entries[at].since_ns;
    return since_ns == 0 || now_ns - since_ns >= DCGM_ALONE_NS;
}

static bool is_old_enough(const struct dcgm_collection *collection, size_t process)
{
    const struct process_clock *clock = &collection->clock;
    if (!collection->identities || !clock->is_known)
        return false;
    const struct process_identity *identity = &collection->identities[process];
    uint64_t ticks = DCGM_ALONE_NS / 1000000000 * clock->ticks_per_second;
    return identity->state == IDENTITY_KNOWN &&
           identity->start_ticks <= clock->now_ticks &&
           clock->now_ticks - identity->start_ticks >= ticks;
}

/* Writes the first of the N FIELDS that READING has, unless there is a value. Return:
 * whether one was written. */
static bool fill_value(struct value_double *value, const struct dcgm_reading *reading,
                       const enum dcgm_field *fields, size_t n)
{
    for (size_t i = 0; i < n && value->state != VALUE_OK; i++) {
        if (reading->percent[fields[i]].state == VALUE_OK) {
            *value = reading->percent[fields[i]];
            return true;
        }
    }
    return false;
}

static void fill_device(struct device_facts *device, const struct dcgm_reading *reading)
{
    static const enum dcgm_field fields[] = {DCGM_ENGINE_ACTIVE, DCGM_GPU_UTIL};
    bool is_whole = device->kind == DEVICE_GPU && !device->has_mig_mode;
    if (fill_value(&device->utilization_percent, reading, fields, is_whole ? 2 : 1))
        device->utilization_source = UTILIZATION_DCGM;
}

static void fill_process(struct process_facts *process,
                         const struct dcgm_reading *reading)
{
    static const enum dcgm_field sm[] = {DCGM_SM_ACTIVE, DCGM_ENGINE_ACTIVE};
    static const enum dcgm_field bandwidth[] = {DCGM_DRAM_ACTIVE};
    if (!fill_value(&process->sm_percent, reading, sm, ARRAY_LENGTH(sm)))
        return;
    process->utilization_source = UTILIZATION_DCGM;
    (void)fill_value(&process->memory_bandwidth_percent, reading, bandwidth, 1);
}

static void fill_sole_session(const struct dcgm_watch *watch,
                              const struct dcgm_collection *collection, size_t at,
                              const struct dcgm_reading *reading)
{
    struct driver_facts *facts = collection->facts;
    const struct device_facts *device = &facts->devices[at];
    if (!device->sole_pid || !was_alone(watch, device, collection->now_ns))
        return;
    for (size_t i = 0; i < facts->process_count; i++) {
        struct process_facts *process = &facts->processes[i];
        if (process->device == at && process->pid == device->sole_pid &&
            is_old_enough(collection, i))
            fill_process(process, reading);
    }
}

/* Whether the GPU instance of device AT has no other compute instance. */
static bool has_instance_to_itself(const struct driver_facts *facts, size_t at)
{
    const struct device_facts *device = &facts->devices[at];
    for (size_t i = 0; i < facts->device_count; i++) {
        const struct device_facts *other = &facts->devices[i];
        if (i != at && other->kind == DEVICE_MIG && device->kind == DEVICE_MIG &&
            other->index == device->index && other->gi == device->gi)
            return false;
    }
    return true;
}

size_t dcgm_fill(const struct dcgm_page *page, const struct dcgm_watch *watch,
                 const struct dcgm_collection *collection)
{
    size_t found = 0;
    for (size_t i = 0; i < collection->facts->device_count; i++) {
        struct device_facts *device = &collection->facts->devices[i];
        const char *uuid =
            device->kind == DEVICE_MIG ? device->parent_uuid : device->uuid;
        const struct dcgm_reading *reading = dcgm_page_find(page, uuid, device->gi);
        if (!reading)
            continue;
        found++;
        if (device->fault || !has_instance_to_itself(collection->facts, i))
            continue;
        fill_device(device, reading);
        if (device->kind == DEVICE_MIG)
            fill_sole_session(watch, collection, i, reading);
    }
    return found;
}
