/*
 * The parts of a page are rendered one after the other into one buffer, their lengths
 * behind them, so that a page crosses two pipes without being copied together.
 */
#include "agent/daemon_page.h"

#include "base/cleanup.h"
#include "output/json.h"
#include "output/prom.h"

#include <errno.h>

static void render_text(const struct config *config, const struct snapshot *snapshot,
                        unsigned sections, bool openmetrics, struct page *page,
                        enum page_part part)
{
    struct prom_options options = {
        .without_volatile_labels = config->without_volatile_labels,
        .sections = sections,
        .openmetrics = openmetrics,
    };
    prom_render(snapshot, &options, &page->bytes);
    page_end_part(page, part);
}

static int render_json(const struct snapshot *snapshot, enum json_members members,
                       struct page *page, enum page_part part)
{
    int rc = json_render_members(snapshot, members, &page->bytes);
    page_end_part(page, part);
    return rc;
}

/* What the node looks like when nothing has come for too long: nothing is known of
 * devices, no source answers. Lives in ARENA. Return: NULL when memory is gone. */
static const struct snapshot *stale_snapshot(const struct snapshot *snapshot,
                                             struct arena *arena)
{
    struct snapshot *stale = ARENA_NEW(arena, struct snapshot, 1);
    struct source_status *sources =
        ARENA_NEW(arena, struct source_status, snapshot->source_count);
    if (!stale || !sources)
        return NULL;
    for (size_t i = 0; i < snapshot->source_count; i++)
        sources[i] = (struct source_status){
            .name = snapshot->sources[i].name,
            .reason = "no collection has come to its end for three intervals",
        };
    *stale = (struct snapshot){
        .node = snapshot->node,
        .taken_at_seconds = snapshot->taken_at_seconds,
        .duration_seconds = snapshot->duration_seconds,
        .sources = sources,
        .source_count = snapshot->source_count,
        .errors = snapshot->errors,
        .error_count = snapshot->error_count,
        .daemon = snapshot->daemon,
    };
    return stale;
}

static int render_stale(const struct config *config, const struct snapshot *snapshot,
                        struct page *page)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new((size_t)64 << 10);
    const struct snapshot *stale = arena ? stale_snapshot(snapshot, arena) : NULL;
    if (!stale)
        return -ENOMEM;
    const unsigned sections = PROM_STATUS | PROM_PROCESS;
    render_text(config, stale, sections, false, page, PART_STALE_TEXT);
    render_text(config, stale, sections, true, page, PART_STALE_OPENMETRICS);
    int rc = json_render_members(stale, JSON_STATUS, &page->bytes);
    buf_append_char(&page->bytes, ',');
    return rc == 0 ? render_json(stale, JSON_SESSIONS, page, PART_STALE_JSON) : rc;
}

static void render_not_ready(const struct snapshot *snapshot, struct page *page)
{
    for (size_t i = 0; i < snapshot->source_count; i++) {
        const struct source_status *source = &snapshot->sources[i];
        if (!snapshot_is_complete(snapshot) && !source->is_up)
            buf_printf(&page->bytes, "%s: %s\n", source->name,
                       source->reason ? source->reason : "down");
    }
    page_end_part(page, PART_NOT_READY);
}

static int render_parts(const struct config *config, const struct snapshot *snapshot,
                        struct page *page)
{
    render_text(config, snapshot, PROM_MEASURED, false, page, PART_MEASURED_TEXT);
    render_text(config, snapshot, PROM_STATUS, false, page, PART_STATUS_TEXT);
    render_text(config, snapshot, PROM_PROCESS, false, page, PART_PROCESS_TEXT);
    render_text(config, snapshot, PROM_STATUS | PROM_PROCESS, true, page,
                PART_STATUS_OPENMETRICS);
    int rc = render_json(snapshot, JSON_STATUS, page, PART_STATUS_JSON);
    if (rc == 0)
        rc = render_json(snapshot, JSON_SESSIONS, page, PART_SESSIONS_JSON);
    if (rc == 0)
        rc = render_json(snapshot, JSON_DEVICES, page, PART_DEVICES_JSON);
    if (rc == 0)
        rc = render_stale(config, snapshot, page);
    render_not_ready(snapshot, page);
    return rc;
}

int daemon_page_render(const struct snapshot *snapshot, const void *context,
                       struct buf *out)
{
    struct page page = {.bytes = *out}; /* lent: given back below, however this ends */
    int rc = render_parts(context, snapshot, &page);
    buf_append(&page.bytes,
               (struct str){(const char *)page.part_bytes, sizeof page.part_bytes});
    *out = page.bytes;
    return rc;
}

int daemon_page_take(struct page *page, struct buf *body, struct err *err)
{
    struct page taken = *page;
    size_t sum = 0;
    bool is_valid = body->len >= sizeof taken.part_bytes;
    if (is_valid) {
        size_t end = body->len - sizeof taken.part_bytes;
        memcpy(taken.part_bytes, body->p + end, sizeof taken.part_bytes);
        for (size_t i = 0; i < PART_COUNT && is_valid; i++) {
            is_valid = taken.part_bytes[i] <= end - sum;
            sum += is_valid ? taken.part_bytes[i] : 0;
        }
        is_valid = is_valid && sum == end;
    }
    if (!is_valid)
        return err_set(err, EBADMSG, ERR_PARSE, 0,
                       "the collecting process handed over what is no page (%zu bytes)",
                       body->len);
    struct buf old = page->bytes;
    taken.bytes = *body;
    taken.bytes.len = sum;
    *body = old;
    *page = taken;
    return 0;
}

static bool is_measured(enum page_part part)
{
    return part == PART_MEASURED_TEXT || part == PART_SESSIONS_JSON ||
           part == PART_DEVICES_JSON;
}

int daemon_page_merge(struct page *out, const struct page *measured,
                      const struct page *status, struct err *err)
{
    buf_reset(&out->bytes);
    for (size_t i = 0; i < PART_COUNT; i++) {
        enum page_part part = (enum page_part)i;
        buf_append(&out->bytes, page_part(is_measured(part) ? measured : status, part));
        page_end_part(out, part);
    }
    out->measured_at_ns = measured->measured_at_ns;
    out->expires_at_ns = measured->expires_at_ns;
    return buf_is_full(&out->bytes)
               ? err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory for a page")
               : 0;
}

struct str daemon_page_textfile(const struct page *page)
{
    size_t n = page->part_bytes[PART_MEASURED_TEXT] + page->part_bytes[PART_STATUS_TEXT];
    return str_part(buf_str(&page->bytes), 0, n);
}
