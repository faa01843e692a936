/*
 * The pipe between the collecting side and the server: frames down, one byte up for each.
 *
 * A frame is a fixed header in the machine's own byte order (both ends are one program)
 * and, for a page, its parts. The reader trusts nothing in it: the writer's memory may
 * have been damaged by the driver's library.
 */
#pragma once

#include "base/err.h"
#include "server/page.h"

enum frame_kind {
    FRAME_PAGE = 1,
    FRAME_PING,   /* are you there? */
    FRAME_RELOAD, /* read the web configuration again */
};

#define FRAME_MAGIC UINT64_C(0x31464553534F4947)

struct frame_header {
    uint64_t magic;
    uint64_t kind;
    uint64_t measured_at_ns;
    uint64_t expires_at_ns;
    uint64_t part_bytes[PART_COUNT];
};

/* Fills HEADER for PAGE, or for a frame without one (NULL). */
void frame_header_set(struct frame_header *header, enum frame_kind kind,
                      const struct page *page);

/* Collects a frame from whatever pieces the pipe gives. */
struct frame_reader {
    struct frame_header header;
    size_t have; /* bytes of header and parts together */
    struct page page;
};

#define FRAME_READER_INIT                                                                \
    {                                                                                    \
        .page = PAGE_INIT                                                                \
    }

void frame_reader_done(struct frame_reader *reader);

/* Where the next bytes go. Return: how many are wanted, at least 1, with *AT set; 0
 * without memory. */
size_t frame_reader_want(struct frame_reader *reader, char **at);

/**
 * frame_reader_got() - N of the wanted bytes have been put there
 *
 * Return: 0 when the frame goes on; FRAME_COMPLETE: reader->header and, for a page,
 * reader->page are whole until the next frame_reader_want(); -EBADMSG when the header
 * cannot be one: the pipe is of no use any more.
 */
int frame_reader_got(struct frame_reader *reader, size_t n, struct err *err)
    __attribute__((warn_unused_result));
#define FRAME_COMPLETE 1
