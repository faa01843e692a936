/*
 * What a document is made of: the parts of a page between a few fixed bytes. Pure.
 */
#pragma once

#include "server/page.h"

enum document {
    DOCUMENT_TEXT,        /* metrics, text 0.0.4 */
    DOCUMENT_OPENMETRICS, /* metrics, OpenMetrics 1.0 */
    DOCUMENT_SESSIONS,    /* JSON */
    DOCUMENT_DEVICES,     /* JSON */
    DOCUMENT_COUNT,
};

enum { DOCUMENT_MAX_PIECES = 5 };

/* Views into a page and at literals, to be read one after the other. */
struct document_pieces {
    struct str pieces[DOCUMENT_MAX_PIECES]; /* none is empty */
    size_t count;
};

/* The whole Content-Type. */
const char *document_content_type(enum document document);

/* The request headers that choose between forms, as Vary has them. */
const char *document_vary(enum document document);

/* IS_STALE: without what was measured. */
struct document_pieces document_of_page(const struct page *page, enum document document,
                                        bool is_stale);
