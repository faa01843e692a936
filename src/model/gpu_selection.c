/* Which GPUs to report, by index or UUID. */
#include "model/gpu_selection.h"

/* The UUID of a GPU, not of a MIG device ("MIG-…"): those come and go with the layout. */
static bool is_uuid(struct str text)
{
    return str_starts(text, STR("GPU-")) && text.n > STR("GPU-").n;
}

bool gpu_selection_parse(struct str text, struct gpu_selection *out)
{
    struct str entry;
    uint32_t index;
    out->count = 0;
    while (str_split(&text, ',', &entry)) {
        entry = str_trim(entry);
        if (out->count == FACTS_MAX_GPUS || !(is_uuid(entry) || str_u32(entry, &index)))
            return false;
        out->entries[out->count++] = entry;
    }
    return out->count > 0;
}

static bool means(struct str entry, const struct device_facts *device)
{
    const char *uuid = device->kind == DEVICE_MIG ? device->parent_uuid : device->uuid;
    uint32_t index;
    if (str_u32(entry, &index))
        return index == device->index;
    return uuid && str_equal(entry, str_from(uuid));
}

bool gpu_selection_has(const struct gpu_selection *selection,
                       const struct device_facts *device)
{
    for (size_t i = 0; i < selection->count; i++) {
        if (means(selection->entries[i], device))
            return true;
    }
    return selection->count == 0;
}

const struct str *gpu_selection_absent(const struct gpu_selection *selection,
                                       const struct driver_facts *driver)
{
    for (size_t i = 0; i < selection->count; i++) {
        size_t at = 0;
        while (at < driver->device_count &&
               !means(selection->entries[i], &driver->devices[at]))
            at++;
        if (at == driver->device_count)
            return &selection->entries[i];
    }
    return NULL;
}
