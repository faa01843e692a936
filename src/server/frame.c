/* Frames: a header that is checked before a byte of memory is asked for its parts. */
#include "server/frame.h"

#include <errno.h>

void frame_header_set(struct frame_header *header, enum frame_kind kind,
                      const struct page *page)
{
    *header = (struct frame_header){.magic = FRAME_MAGIC, .kind = kind};
    if (!page)
        return;
    header->measured_at_ns = page->measured_at_ns;
    header->expires_at_ns = page->expires_at_ns;
    for (size_t i = 0; i < PART_COUNT; i++)
        header->part_bytes[i] = page->part_bytes[i];
}

void frame_reader_done(struct frame_reader *reader)
{
    page_done(&reader->page);
}

/* Bytes of all parts; more than PAGE_BYTES_MAX when the header cannot be right. */
static size_t parts_bytes(const struct frame_header *header)
{
    size_t sum = 0;
    for (size_t i = 0; i < PART_COUNT; i++) {
        if (header->part_bytes[i] > PAGE_BYTES_MAX - sum)
            return PAGE_BYTES_MAX + 1;
        sum += (size_t)header->part_bytes[i];
    }
    return sum;
}

size_t frame_reader_want(struct frame_reader *reader, char **at)
{
    const size_t head = sizeof reader->header;
    if (reader->have < head) {
        *at = (char *)&reader->header + reader->have;
        return head - reader->have;
    }
    size_t body = parts_bytes(&reader->header);
    struct buf *bytes = &reader->page.bytes;
    if (reader->have == head) {
        buf_reset(bytes);
        if (!buf_extend(bytes, body))
            return 0;
    }
    size_t got = reader->have - head;
    *at = bytes->p + got;
    return body - got;
}

static int check_header(const struct frame_header *header, struct err *err)
{
    bool is_page = header->kind == FRAME_PAGE;
    bool is_known = is_page || header->kind == FRAME_PING || header->kind == FRAME_RELOAD;
    size_t bytes = parts_bytes(header);
    if (header->magic == FRAME_MAGIC && is_known && bytes <= PAGE_BYTES_MAX &&
        (is_page || bytes == 0))
        return 0;
    return err_set(err, EBADMSG, ERR_PARSE, 0,
                   "the collecting side sent what is no frame (kind %llu, %zu bytes)",
                   (unsigned long long)header->kind, bytes);
}

static int complete(struct frame_reader *reader)
{
    struct page *page = &reader->page;
    reader->have = 0;
    if (reader->header.kind != FRAME_PAGE)
        return FRAME_COMPLETE;
    page->measured_at_ns = reader->header.measured_at_ns;
    page->expires_at_ns = reader->header.expires_at_ns;
    for (size_t i = 0; i < PART_COUNT; i++)
        page->part_bytes[i] = (size_t)reader->header.part_bytes[i];
    return FRAME_COMPLETE;
}

int frame_reader_got(struct frame_reader *reader, size_t n, struct err *err)
{
    const size_t head = sizeof reader->header;
    reader->have += n;
    if (reader->have < head)
        return 0;
    if (reader->have == head) {
        int rc = check_header(&reader->header, err);
        if (rc < 0)
            return rc;
        if (parts_bytes(&reader->header) == 0) {
            buf_reset(&reader->page.bytes);
            return complete(reader);
        }
        return 0;
    }
    return reader->have == head + parts_bytes(&reader->header) ? complete(reader) : 0;
}
