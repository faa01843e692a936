/*
 * Snapshot → the page that the server serves, and what the daemon makes of several.
 */
#pragma once

#include "agent/collection.h"
#include "agent/config.h"
#include "server/page.h"

/* A collection_renderer; CONTEXT is the struct config. The body holds the page's parts
 * and behind them their lengths, for daemon_page_take(). */
int daemon_page_render(const struct snapshot *snapshot, const void *context,
                       struct buf *out);

/* Makes BODY the bytes of PAGE; the page's old bytes become BODY's, to be used again.
 * Return: 0, or -EBADMSG when BODY is not what daemon_page_render() made. */
int daemon_page_take(struct page *page, struct buf *body, struct err *err)
    __attribute__((warn_unused_result));

/* Fills OUT with what MEASURED measured and what STATUS says of the sources and the
 * program. Return: 0 or -ENOMEM. */
int daemon_page_merge(struct page *out, const struct page *measured,
                      const struct page *status, struct err *err)
    __attribute__((warn_unused_result));

/* The textfile: the page without the standard process families, which node-exporter has
 * of itself. */
struct str daemon_page_textfile(const struct page *page);
