/* Responses are made once per page, change when the page is too old, and outlive it. */
#include "server/content.h"

#include "../../support/cmocka_all.h"
#include "../../support/page.h"
#include "base/cleanup.h"

enum { EXPIRES_NS = 1000 };

static void content_freep(struct content **content)
{
    content_free(*content);
}

static void set_numbers(struct content *content)
{
    struct page page = page_of_numbers(EXPIRES_NS);
    assert_int_equal(content_set_page(content, &page, NULL), 0);
    assert_null(page.bytes.p);
    assert_int_equal(page.part_bytes[0], 0);
}

static void test_without_page(void **state)
{
    (void)state;
    CLEANUP(content_freep) struct content *content = content_new();
    assert_null(content_page(content));
    assert_false(content_is_stale(content, UINT64_MAX));
    assert_null(content_response(content, DOCUMENT_TEXT, CODING_IDENTITY, 0));
    assert_int_equal(content_page_number(content), 0);
}

static void test_made_once(void **state)
{
    (void)state;
    CLEANUP(content_freep) struct content *content = content_new();
    set_numbers(content);
    for (int document = 0; document < DOCUMENT_COUNT; document++) {
        enum document d = (enum document)document;
        struct MHD_Response *fresh = content_response(content, d, CODING_IDENTITY, 0);
        assert_non_null(fresh);
        assert_ptr_equal(fresh,
                         content_response(content, d, CODING_IDENTITY, EXPIRES_NS - 1));
        struct MHD_Response *stale =
            content_response(content, d, CODING_IDENTITY, EXPIRES_NS);
        assert_non_null(stale);
        assert_ptr_not_equal(fresh, stale);
        assert_string_equal(MHD_get_response_header(fresh, "Content-Type"),
                            document_content_type(d));
        assert_string_equal(MHD_get_response_header(fresh, "Vary"), document_vary(d));
    }
    assert_false(content_is_stale(content, EXPIRES_NS - 1));
    assert_true(content_is_stale(content, EXPIRES_NS));
}

static void test_small_is_not_compressed(void **state)
{
    (void)state;
    CLEANUP(content_freep) struct content *content = content_new();
    set_numbers(content);
    struct MHD_Response *response =
        content_response(content, DOCUMENT_TEXT, CODING_GZIP, 0);
    assert_non_null(response);
    assert_null(MHD_get_response_header(response, "Content-Encoding"));

    struct page page = PAGE_INIT;
    page.expires_at_ns = EXPIRES_NS;
    for (int i = 0; i < 2000; i++)
        buf_append_char(&page.bytes, 'a');
    for (int i = 0; i < PART_COUNT; i++)
        page_end_part(&page, (enum page_part)i);
    assert_int_equal(content_set_page(content, &page, NULL), 0);
    response = content_response(content, DOCUMENT_TEXT, CODING_GZIP, 0);
    assert_string_equal(MHD_get_response_header(response, "Content-Encoding"), "gzip");
    response = content_response(content, DOCUMENT_TEXT, CODING_IDENTITY, 0);
    assert_null(MHD_get_response_header(response, "Content-Encoding"));
}

/* Nothing came for a part: the answer is empty, not missing. */
static void test_empty_page(void **state)
{
    (void)state;
    CLEANUP(content_freep) struct content *content = content_new();
    struct page page = PAGE_INIT;
    assert_int_equal(content_set_page(content, &page, NULL), 0);
    assert_non_null(content_response(content, DOCUMENT_TEXT, CODING_IDENTITY, 0));
    assert_non_null(content_response(content, DOCUMENT_TEXT, CODING_GZIP, 0));
}

static void test_new_page(void **state)
{
    (void)state;
    CLEANUP(content_freep) struct content *content = content_new();
    set_numbers(content);
    assert_non_null(content_response(content, DOCUMENT_DEVICES, CODING_GZIP, 0));
    set_numbers(content);
    assert_int_equal(content_page_number(content), 2);
    assert_true(
        str_equal(page_part(content_page(content), PART_STATUS_TEXT), STR("<1>")));
    assert_non_null(content_response(content, DOCUMENT_DEVICES, CODING_GZIP, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_page),
        cmocka_unit_test(test_made_once),
        cmocka_unit_test(test_small_is_not_compressed),
        cmocka_unit_test(test_empty_page),
        cmocka_unit_test(test_new_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
