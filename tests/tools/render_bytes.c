/*
 * Standard input, as bytes_snapshot.h reads it, → a Prometheus page on standard output,
 * so that parsers in other languages can be asked about pages of hostile nodes.
 */
#include "../support/bytes_snapshot.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "output/prom.h"

#include <stdio.h>

int main(void)
{
    static uint8_t input[1 << 20];
    size_t n = fread(input, 1, sizeof input, stdin);
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 24);
    CLEANUP(buf_done) struct buf page = BUF_INIT(PROM_PAGE_BYTES);
    const struct snapshot *snapshot = arena ? bytes_snapshot(arena, input, n) : NULL;
    if (!snapshot)
        return 1;
    prom_render(snapshot, &(struct prom_options){0}, &page);
    if (buf_is_full(&page))
        return 1;
    return fdio_write_all(STDOUT_FILENO, buf_str(&page)) == 0 ? 0 : 1;
}
