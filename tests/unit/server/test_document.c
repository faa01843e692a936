/* Which parts each document has, fresh and stale. */
#include "server/document.h"

#include "../../support/cmocka_all.h"
#include "../../support/page.h"
#include "base/cleanup.h"

static void assert_document(const struct page *page, enum document document,
                            bool is_stale, const char *expected)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT(1000);
    struct document_pieces list = document_of_page(page, document, is_stale);
    assert_true(list.count <= DOCUMENT_MAX_PIECES);
    for (size_t i = 0; i < list.count; i++) {
        assert_true(list.pieces[i].n > 0);
        buf_append(&text, list.pieces[i]);
    }
    buf_append_char(&text, '\0');
    assert_string_equal(text.p, expected);
}

static void test_parts(void **state)
{
    (void)state;
    CLEANUP(page_done) struct page page = page_of_numbers(0);
    static const struct {
        enum document document;
        const char *fresh;
        const char *stale;
    } cases[] = {
        {DOCUMENT_TEXT, "<0><1><2>", "<7>"},
        {DOCUMENT_OPENMETRICS, "<0><3># EOF\n", "<8># EOF\n"},
        {DOCUMENT_SESSIONS, "{<4>,<5>}\n", "{<9>}\n"},
        {DOCUMENT_DEVICES, "{<4>,<6>}\n", "{<9>}\n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_document(&page, cases[i].document, false, cases[i].fresh);
        assert_document(&page, cases[i].document, true, cases[i].stale);
    }
}

/* A page of which nothing came is still a document of its format. */
static void test_empty_page(void **state)
{
    (void)state;
    CLEANUP(page_done) struct page page = PAGE_INIT;
    assert_document(&page, DOCUMENT_TEXT, false, "");
    assert_document(&page, DOCUMENT_OPENMETRICS, false, "# EOF\n");
    assert_document(&page, DOCUMENT_SESSIONS, true, "{}\n");
}

static void test_headers(void **state)
{
    (void)state;
    assert_string_equal(document_content_type(DOCUMENT_TEXT),
                        "text/plain; version=0.0.4; charset=utf-8");
    assert_string_equal(document_content_type(DOCUMENT_OPENMETRICS),
                        "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_string_equal(document_content_type(DOCUMENT_DEVICES),
                        "application/json; charset=utf-8");
    assert_string_equal(document_vary(DOCUMENT_OPENMETRICS), "Accept, Accept-Encoding");
    assert_string_equal(document_vary(DOCUMENT_SESSIONS), "Accept-Encoding");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_empty_page),
        cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
