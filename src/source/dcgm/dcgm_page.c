/*
 * Ratios become percentages. DCGM writes a field that it could not measure as a huge
 * number (its "blank") or leaves it out; neither is a reading. The pod labels that the
 * exporter can add make several rows of one reading: the first counts.
 */
#include "source/dcgm/dcgm_page.h"

#include "base/cleanup.h"

#include <math.h>
#include <stdio.h>

/* Six of the exporter's default intervals. */
#define OLDEST_SECONDS 180.0

static const struct {
    const char *name;
    enum dcgm_field field;
    double scale; /* to percent */
} fields[] = {
    {"DCGM_FI_PROF_SM_ACTIVE", DCGM_SM_ACTIVE, 100},
    {"DCGM_FI_PROF_GR_ENGINE_ACTIVE", DCGM_ENGINE_ACTIVE, 100},
    {"DCGM_FI_PROF_DRAM_ACTIVE", DCGM_DRAM_ACTIVE, 100},
    {"DCGM_FI_DEV_GPU_UTIL", DCGM_GPU_UTIL, 1},
};

void dcgm_page_begin(struct dcgm_page *page, double wall_seconds)
{
    page->wall_seconds = wall_seconds;
    page->count = page->omitted = page->implausible = page->old = 0;
    page->energy = 0;
}

/* Position of the reading, or page->count. Backwards, since rows of one GPU stand
 * together.
 */
static size_t find(const struct dcgm_page *page, struct str uuid, uint32_t gi)
{
    for (size_t i = page->count; i > 0; i--) {
        const struct dcgm_reading *reading = &page->readings[i - 1];
        if (reading->gi == gi && str_equal(str_from(reading->uuid), uuid))
            return i - 1;
    }
    return page->count;
}

const struct dcgm_reading *dcgm_page_find(const struct dcgm_page *page, const char *uuid,
                                          uint32_t gi)
{
    size_t at = uuid ? find(page, str_from(uuid), gi) : page->count;
    return at < page->count ? &page->readings[at] : NULL;
}

/* The reading that SAMPLE belongs to; NULL when its labels name none or there is no room.
 */
static struct dcgm_reading *reading_of(struct dcgm_page *page,
                                       const struct prom_sample *sample)
{
    struct str uuid = prom_label_value(sample, STR("UUID"));
    if (!uuid.p)
        uuid = prom_label_value(sample, STR("uuid"));
    struct str instance = prom_label_value(sample, STR("GPU_I_ID"));
    uint32_t gi = MIG_ID_NONE;
    if (uuid.n == 0 || uuid.n >= DCGM_UUID_BYTES || memchr(uuid.p, '\0', uuid.n) ||
        (instance.n && (!str_u32(instance, &gi) || gi == MIG_ID_NONE)))
        return NULL;
    size_t at = find(page, uuid, gi);
    if (at < page->count)
        return &page->readings[at];
    if (page->count == DCGM_MAX_READINGS) {
        page->omitted++;
        return NULL;
    }
    struct dcgm_reading *reading = &page->readings[page->count++];
    *reading = (struct dcgm_reading){.gi = gi};
    memcpy(reading->uuid, uuid.p, uuid.n);
    return reading;
}

/* Rounding may put a reading a little over the whole. */
static bool is_plausible(double percent)
{
    return percent >= 0 && percent <= 101;
}

static void take_field(struct dcgm_page *page, const struct prom_sample *sample,
                       enum dcgm_field field, double percent)
{
    if (sample->has_timestamp &&
        page->wall_seconds - sample->timestamp_seconds > OLDEST_SECONDS) {
        page->old++;
        return;
    }
    if (!is_plausible(percent)) {
        page->implausible++;
        return;
    }
    struct dcgm_reading *reading = reading_of(page, sample);
    if (reading && reading->percent[field].state != VALUE_OK)
        reading->percent[field] = value_double_ok(round(1e4 * fmin(percent, 100)) / 1e4);
}

bool dcgm_page_take(void *context, const struct prom_sample *sample)
{
    struct dcgm_page *page = context;
    if (!str_starts(sample->name, STR("DCGM_FI_")))
        return true;
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
        if (str_equal(sample->name, str_from(fields[i].name)))
            take_field(page, sample, fields[i].field, sample->value * fields[i].scale);
    }
    if (str_equal(sample->name, STR("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION")) &&
        isfinite(sample->value))
        page->energy += sample->value;
    return true;
}
