/*
 * A growing byte buffer with a ceiling fixed at birth.
 *
 * The first append that does not fit, or for which there is no memory, sets `full`; later
 * ones do nothing. A renderer appends freely and tests buf_is_full() once at the end:
 * half a page is never handed out.
 */
#pragma once

#include "base/str.h"

struct buf {
    char *p;
    size_t len;
    size_t cap;
    size_t limit;
    bool full;
};

#define BUF_INIT(limit_bytes) ((struct buf){.limit = (limit_bytes)})

/* Releases the bytes; the buffer may be used again. */
void buf_done(struct buf *buf);

/* Forgets the content, keeps the memory, clears `full`. */
void buf_reset(struct buf *buf);

void buf_append(struct buf *buf, struct str text);
/* N bytes at the end for the caller to fill, counted as content at once; NULL when they
 * do not fit. */
char *buf_extend(struct buf *buf, size_t n) __attribute__((warn_unused_result));
void buf_append_char(struct buf *buf, char c);
void buf_append_u64(struct buf *buf, uint64_t value);
/* Shortest decimal that reads back as VALUE, C locale; NaN, +Inf and -Inf as Prometheus
 * spells them. */
void buf_append_double(struct buf *buf, double value);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *buf, const char *format,
                                                      ...);

static inline void buf_append_text(struct buf *buf, const char *text)
{
    buf_append(buf, str_from(text));
}

static inline bool buf_is_full(const struct buf *buf)
{
    return buf->full;
}

static inline struct str buf_str(const struct buf *buf)
{
    return (struct str){buf->p ? buf->p : "", buf->len};
}
