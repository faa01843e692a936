/*
 * The newest page as HTTP responses, made when they are first asked for.
 *
 * A response is a list of views into the page, or its compressed form; all clients that
 * ask for the same share it. Nothing is copied per client.
 *
 * A page lives until the last response on it is destroyed. A connection takes one
 * response at a time, so there are never more old pages than connections; and http.c cuts
 * off who is more than CONTENT_MAX_OLD_PAGES behind, so there are never more than these
 * for long.
 */
#pragma once

#include "base/err.h"
#include "server/document.h"
#include "server/extra_headers.h"
#include "server/negotiate.h"

#include <microhttpd.h>

enum { CONTENT_MAX_OLD_PAGES = 8 };

struct content;

/* Return: NULL without memory. */
struct content *content_new(void);

/* Responses that are still being taken live on. Accepts NULL. */
void content_free(struct content *content);

/* Takes PAGE's bytes over; PAGE is empty afterwards. Without memory the old page stays.
 */
int content_set_page(struct content *content, struct page *page, struct err *err)
    __attribute__((warn_unused_result));

/* Puts EXTRA, which must live until the next call, on all responses from now on; without
 * memory from the next page on. */
void content_set_headers(struct content *content, const struct extra_headers *extra);

/* The newest page; NULL before the first one. */
const struct page *content_page(const struct content *content);

/* How many pages there have been: the number of the newest one. */
uint64_t content_page_number(const struct content *content);

/* True when the newest page is too old to show what was measured. */
bool content_is_stale(const struct content *content, uint64_t now_ns);

/* The response with DOCUMENT as it is at NOW_NS; in identity when it cannot be
 * compressed or is too small for it. Return: borrowed until the next call of
 * content_set_page(); NULL without a page or memory. */
struct MHD_Response *content_response(struct content *content, enum document document,
                                      enum coding coding, uint64_t now_ns);
