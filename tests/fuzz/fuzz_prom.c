/*
 * Any bytes as names and numbers of a node: the page must be one that the strictest
 * reader accepts, and JSON and table must at least be made of it.
 */
#include "../support/bytes_snapshot.h"
#include "../support/prom_check.h"

#include "base/cleanup.h"
#include "output/json.h"
#include "output/table.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_prom(const struct snapshot *snapshot, bool without_volatile_labels)
{
    CLEANUP(buf_done) struct buf page = BUF_INIT(PROM_PAGE_BYTES);
    struct prom_options options = {.without_volatile_labels = without_volatile_labels};
    prom_render(snapshot, &options, &page);
    const char *wrong = buf_is_full(&page) ? "page is full" : prom_check(buf_str(&page));
    if (wrong) {
        (void)fprintf(stderr, "%s in:\n%.*s", wrong, (int)page.len, page.p);
        abort();
    }
}

static void check_others(const struct snapshot *snapshot, unsigned width)
{
    CLEANUP(buf_done) struct buf json = BUF_INIT(PROM_PAGE_BYTES);
    CLEANUP(buf_done) struct buf table = BUF_INIT(PROM_PAGE_BYTES);
    struct filter filter = {.sort = SORT_USER};
    struct table_options options = {.with_color = false, .width = width};
    if (json_render(snapshot, &filter, &json) != 0 ||
        table_render(snapshot, &filter, &options, &table) != 0)
        abort();
    for (struct str rest = buf_str(&table); rest.n;) {
        size_t n = utf8_sequence(rest);
        if (!n || (rest.p[0] != '\n' && (unsigned char)rest.p[0] < ' '))
            abort();
        rest = str_part(rest, n, rest.n - n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 22);
    const struct snapshot *snapshot = arena ? bytes_snapshot(arena, data, size) : NULL;
    if (!snapshot)
        return 0;
    check_prom(snapshot, size & 1);
    check_others(snapshot, (unsigned)(size % 150));
    return 0;
}
