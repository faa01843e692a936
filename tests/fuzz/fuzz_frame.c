/* The pipe from the collecting side: any bytes in pieces of odd sizes. Nothing is written
 * outside what the reader offers, and a complete page's parts lie in its bytes. */
#include "server/frame.h"

#include "base/cleanup.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_page(const struct page *page)
{
    struct str whole = buf_str(&page->bytes);
    size_t sum = 0;
    for (int i = 0; i < PART_COUNT; i++) {
        struct str part = page_part(page, (enum page_part)i);
        if (part.n && part.p != whole.p + sum)
            abort();
        sum += part.n;
    }
    if (sum != whole.n)
        abort();
}

/* Pieces of 1, 3, 7, … bytes, as far as they are wanted. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(frame_reader_done) struct frame_reader reader = FRAME_READER_INIT;
    struct str rest = {(const char *)data, size};
    for (size_t piece = 1; rest.n; piece = piece > 4096 ? 1 : piece * 2 + 1) {
        char *at;
        size_t n = frame_reader_want(&reader, &at);
        if (n == 0)
            return 0;
        n = n < piece ? n : piece;
        n = n < rest.n ? n : rest.n;
        memcpy(at, rest.p, n);
        rest = str_part(rest, n, rest.n - n);
        int rc = frame_reader_got(&reader, n, NULL);
        if (rc < 0)
            return 0;
        if (rc == FRAME_COMPLETE && reader.header.kind == FRAME_PAGE)
            check_page(&reader.page);
    }
    return 0;
}
