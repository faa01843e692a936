/* Headers on a response: added, and in place of one that is there. */
#include "server/extra_headers.h"

#include "../../support/cmocka_all.h"

static void test_add(void **state)
{
    (void)state;
    const struct extra_header items[] = {{"X-Frame-Options", "deny"},
                                         {"Content-Security-Policy", "b"}};
    const struct extra_headers headers = {items, 2}, none = {NULL, 0};
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Security-Policy", "a");
    assert_true(extra_headers_add(&none, response));
    assert_string_equal(MHD_get_response_header(response, "Content-Security-Policy"),
                        "a");
    assert_true(extra_headers_add(&headers, response));
    assert_true(extra_headers_add(&headers, response));
    assert_string_equal(MHD_get_response_header(response, "Content-Security-Policy"),
                        "b");
    assert_string_equal(MHD_get_response_header(response, "X-Frame-Options"), "deny");
    assert_int_equal(MHD_get_response_headers(response, NULL, NULL), 2);
    MHD_destroy_response(response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_add)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
