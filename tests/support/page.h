/*
 * A page whose parts say which part they are: "<0>", "<1>", … in the order of page_part.
 */
#pragma once

#include "server/page.h"

static inline struct page page_of_numbers(uint64_t expires_at_ns)
{
    struct page page = PAGE_INIT;
    page.expires_at_ns = expires_at_ns;
    for (int i = 0; i < PART_NOT_READY; i++) {
        buf_printf(&page.bytes, "<%d>", i);
        page_end_part(&page, (enum page_part)i);
    }
    return page;
}
