/* Responses on a page share its bytes, and each holds a reference on it. */
#include "server/content.h"

#include "base/cleanup.h"
#include "server/compress.h"

#include <errno.h>
#include <stdlib.h>

/* Below this a compressed answer saves no packet. */
enum { WORTH_COMPRESSING_BYTES = 1400 };

struct form {
    struct MHD_Response *response;
    struct buf compressed;
};

/* A page while it is served. */
struct edition {
    size_t references; /* the content's own, and one for each response */
    struct page page;
    struct form forms[DOCUMENT_COUNT][2][2]; /* [document][is stale][coding] */
};

struct content {
    struct edition *newest;
    uint64_t page_number;
    struct extra_headers extra;
};

struct content *content_new(void)
{
    return calloc(1, sizeof(struct content));
}

static void edition_unref(struct edition *edition)
{
    if (--edition->references)
        return;
    struct form *form = &edition->forms[0][0][0];
    for (size_t i = 0; i < sizeof edition->forms / sizeof *form; i++)
        buf_done(&form[i].compressed);
    page_done(&edition->page);
    free(edition);
}

static void on_response_destroyed(void *edition)
{
    edition_unref(edition);
}

/* No new response will be made; those being taken live on. */
static void edition_retire(struct edition *edition)
{
    if (!edition)
        return;
    struct form *form = &edition->forms[0][0][0];
    for (size_t i = 0; i < sizeof edition->forms / sizeof *form; i++) {
        struct MHD_Response *response = TAKE(form[i].response);
        if (response)
            MHD_destroy_response(response);
    }
    edition_unref(edition);
}

void content_free(struct content *content)
{
    if (content)
        edition_retire(content->newest);
    free(content);
}

int content_set_page(struct content *content, struct page *page, struct err *err)
{
    struct edition *edition = calloc(1, sizeof *edition);
    if (!edition)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory for a new page");
    edition->references = 1;
    edition->page = *page;
    *page = (struct page)PAGE_INIT;
    edition_retire(content->newest);
    content->newest = edition;
    content->page_number++;
    return 0;
}

/* As a new page with the same content: responses are never changed. */
void content_set_headers(struct content *content, const struct extra_headers *extra)
{
    content->extra = *extra;
    if (!content->newest)
        return;
    CLEANUP(page_done) struct page copy = content->newest->page;
    copy.bytes = BUF_INIT(PAGE_BYTES_MAX);
    buf_append(&copy.bytes, buf_str(&content->newest->page.bytes));
    if (!buf_is_full(&copy.bytes))
        (void)!content_set_page(content, &copy, NULL);
}

const struct page *content_page(const struct content *content)
{
    return content->newest ? &content->newest->page : NULL;
}

uint64_t content_page_number(const struct content *content)
{
    return content->page_number;
}

bool content_is_stale(const struct content *content, uint64_t now_ns)
{
    return content->newest && now_ns >= content->newest->page.expires_at_ns;
}

static bool add_headers(struct MHD_Response *response, enum document document,
                        bool is_compressed, const struct extra_headers *extra)
{
    const struct {
        const char *name, *value;
    } headers[] = {
        {"Content-Type", document_content_type(document)},
        {"Vary", document_vary(document)},
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"Content-Encoding", is_compressed ? "gzip" : NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(headers); i++) {
        if (headers[i].value && MHD_add_response_header(response, headers[i].name,
                                                        headers[i].value) != MHD_YES)
            return false;
    }
    return extra_headers_add(extra, response);
}

/* Return: NULL without memory; otherwise the response holds a reference on EDITION. */
static struct MHD_Response *response_from(struct edition *edition,
                                          const struct str *pieces, size_t count)
{
    struct MHD_IoVec vectors[DOCUMENT_MAX_PIECES];
    for (size_t i = 0; i < count; i++)
        vectors[i] = (struct MHD_IoVec){pieces[i].p, pieces[i].n};
    struct MHD_Response *response = MHD_create_response_from_iovec(
        vectors, (unsigned)count, on_response_destroyed, edition);
    if (response)
        edition->references++;
    return response;
}

static size_t total_bytes(const struct document_pieces *list)
{
    size_t sum = 0;
    for (size_t i = 0; i < list->count; i++)
        sum += list->pieces[i].n;
    return sum;
}

/* The views on the compressed form. Return: false when there is none. */
static bool compress(struct document_pieces *list, struct buf *compressed)
{
    *compressed = BUF_INIT(PAGE_BYTES_MAX);
    if (compress_gzip(list->pieces, list->count, compressed) != 0) {
        buf_done(compressed);
        return false;
    }
    *list = (struct document_pieces){.pieces = {buf_str(compressed)}, .count = 1};
    return true;
}

static struct MHD_Response *make_response(const struct content *content,
                                          enum document document, bool is_stale,
                                          enum coding coding)
{
    struct edition *edition = content->newest;
    struct form *form = &edition->forms[document][is_stale][coding];
    struct document_pieces list = document_of_page(&edition->page, document, is_stale);
    bool is_compressed = coding == CODING_GZIP &&
                         total_bytes(&list) >= WORTH_COMPRESSING_BYTES &&
                         compress(&list, &form->compressed);
    struct MHD_Response *response = response_from(edition, list.pieces, list.count);
    if (response && !add_headers(response, document, is_compressed, &content->extra)) {
        MHD_destroy_response(response);
        response = NULL;
    }
    if (!response)
        buf_done(&form->compressed);
    return response;
}

struct MHD_Response *content_response(struct content *content, enum document document,
                                      enum coding coding, uint64_t now_ns)
{
    struct edition *edition = content->newest;
    if (!edition)
        return NULL;
    bool is_stale = content_is_stale(content, now_ns);
    struct form *form = &edition->forms[document][is_stale][coding];
    if (!form->response)
        form->response = make_response(content, document, is_stale, coding);
    return form->response;
}
