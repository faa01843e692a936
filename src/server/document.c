/* Documents as lists of views: nothing is copied. */
#include "server/document.h"

const char *document_content_type(enum document document)
{
    static const char *const types[DOCUMENT_COUNT] = {
        [DOCUMENT_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
        [DOCUMENT_OPENMETRICS] =
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        [DOCUMENT_SESSIONS] = "application/json; charset=utf-8",
        [DOCUMENT_DEVICES] = "application/json; charset=utf-8",
    };
    return types[document];
}

const char *document_vary(enum document document)
{
    bool has_formats = document == DOCUMENT_TEXT || document == DOCUMENT_OPENMETRICS;
    return has_formats ? "Accept, Accept-Encoding" : "Accept-Encoding";
}

static void add(struct document_pieces *list, struct str piece)
{
    if (piece.n)
        list->pieces[list->count++] = piece;
}

static void add_text(struct document_pieces *list, const struct page *page, bool is_stale)
{
    if (is_stale) {
        add(list, page_part(page, PART_STALE_TEXT));
        return;
    }
    add(list, page_part(page, PART_MEASURED_TEXT));
    add(list, page_part(page, PART_STATUS_TEXT));
    add(list, page_part(page, PART_PROCESS_TEXT));
}

static void add_openmetrics(struct document_pieces *list, const struct page *page,
                            bool is_stale)
{
    if (!is_stale)
        add(list, page_part(page, PART_MEASURED_TEXT));
    add(list,
        page_part(page, is_stale ? PART_STALE_OPENMETRICS : PART_STATUS_OPENMETRICS));
    add(list, STR("# EOF\n"));
}

static void add_json(struct document_pieces *list, const struct page *page,
                     enum page_part rows, bool is_stale)
{
    add(list, STR("{"));
    add(list, page_part(page, is_stale ? PART_STALE_JSON : PART_STATUS_JSON));
    if (!is_stale) {
        add(list, STR(","));
        add(list, page_part(page, rows));
    }
    add(list, STR("}\n"));
}

struct document_pieces document_of_page(const struct page *page, enum document document,
                                        bool is_stale)
{
    struct document_pieces list = {.count = 0};
    switch (document) {
    case DOCUMENT_TEXT: add_text(&list, page, is_stale); break;
    case DOCUMENT_OPENMETRICS: add_openmetrics(&list, page, is_stale); break;
    case DOCUMENT_SESSIONS: add_json(&list, page, PART_SESSIONS_JSON, is_stale); break;
    case DOCUMENT_DEVICES: add_json(&list, page, PART_DEVICES_JSON, is_stale); break;
    case DOCUMENT_COUNT: break;
    }
    return list;
}
