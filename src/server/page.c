/* Parts of a page: lengths beside one run of bytes. */
#include "server/page.h"

void page_done(struct page *page)
{
    buf_done(&page->bytes);
}

struct str page_part(const struct page *page, enum page_part part)
{
    size_t at = 0;
    for (size_t i = 0; i < (size_t)part; i++)
        at += page->part_bytes[i];
    return str_part(buf_str(&page->bytes), at, page->part_bytes[part]);
}

void page_end_part(struct page *page, enum page_part part)
{
    size_t before = 0;
    for (size_t i = 0; i < (size_t)part; i++)
        before += page->part_bytes[i];
    page->part_bytes[part] = page->bytes.len - before;
}
