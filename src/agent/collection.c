/* Snapshot → the bytes a command prints and the lines it logs. */
#include "agent/collection.h"

#include <errno.h>

void collection_done(struct collection *collection)
{
    buf_done(&collection->body);
    buf_done(&collection->notes);
}

static void append_notes(const struct snapshot *snapshot, struct buf *notes)
{
    for (size_t i = 0; i < snapshot->source_count; i++) {
        const struct source_status *source = &snapshot->sources[i];
        if (!source->is_up || source->reason)
            buf_printf(notes, "%s: %s\n", source->name,
                       source->reason ? source->reason : "down");
    }
    for (size_t i = 0; i < snapshot->device_count; i++) {
        const struct device_facts *facts = snapshot->devices[i].facts;
        if (facts->fault)
            buf_printf(notes, "GPU %s: %s\n", snapshot->devices[i].label, facts->fault);
    }
}

int collection_render(struct collection *out, const struct snapshot *snapshot,
                      collection_renderer *render, const void *context, struct err *err)
{
    buf_reset(&out->body);
    buf_reset(&out->notes);
    append_notes(snapshot, &out->notes);
    out->is_complete = snapshot_is_complete(snapshot);
    if (render(snapshot, context, &out->body) != 0 || buf_is_full(&out->body))
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM,
                       "no memory or no room for the output of %zu sessions",
                       snapshot->session_count);
    return 0;
}
