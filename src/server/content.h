/*
 * The newest page as HTTP responses, made when they are first asked for.
 *
 * A response is a list of views into the page, or its compressed form; all clients that
 * ask for the same share it. Nothing is copied per client.
 *
 * An old page lives as long as a client is still taking a response from it. Each
 * connection takes at most one response at a time, so at most as many old pages are alive
 * as there are connections (server_config.max_connections), and a client that takes
 * nothing for a while is cut off (response_limit_ns), which lets go of its page.
 */
#pragma once

#include "server/document.h"
#include "server/negotiate.h"
#include "server/page.h"

#include <microhttpd.h>

struct content;

/* Return: NULL without memory. */
struct content *content_new(void);

/* Responses that are still being taken live on. Accepts NULL. */
void content_free(struct content *content);

/* Takes PAGE's bytes over; PAGE is empty afterwards. Without memory the old page stays.
 */
int content_set_page(struct content *content, struct page *page, struct err *err)
    __attribute__((warn_unused_result));

/* The newest page; NULL before the first one. */
const struct page *content_page(const struct content *content);

/* The response with DOCUMENT as it is at NOW_NS. Return: borrowed until the next
 * call of content_set_page(); NULL without a page or memory. */
struct MHD_Response *content_response(struct content *content, enum document document,
                                      enum coding coding, uint64_t now_ns);
