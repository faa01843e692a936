/* URLs for messages, URLs that are refused, header lines. */
#include "source/http_transfer.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_url_show(void **state)
{
    (void)state;
    static const struct {
        const char *url, *shown;
    } rows[] = {
        {"http://a:1/metrics", "http://a:1/metrics"},
        {"https://user:word@host/p?token=1#f", "https://host/p"},
        {"http://a@b@host/", "http://host/"},
        {"http://host/#secret", "http://host/"},
        {"user:word@host", "host"},
        {"", ""},
        {"http://[::1]:9400/metrics", "http://[::1]:9400/metrics"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char shown[HTTP_TARGET_BYTES];
        http_url_show(rows[i].url, shown, sizeof shown);
        assert_string_equal(shown, rows[i].shown);
    }
    char small[8];
    http_url_show("http://host/metrics", small, sizeof small);
    assert_string_equal(small, "http://");
}

static void test_url_check(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        int rc;
    } rows[] = {
        {"http://127.0.0.1:9400/metrics", 0},
        {"https://node-1/x?y=1", 0},
        {"http://[::1]:1", 0},
        {"http://host/mail@example", 0},
        {"", -EINVAL},
        {"http://", -EINVAL},
        {"http:///metrics", -EINVAL},
        {"http://:80/", -EINVAL},
        {"HTTP:host", -EINVAL},
        {"ftp://host/", -EINVAL},
        {"file:///etc/passwd", -EINVAL},
        {"http://host/a b", -EINVAL},
        {"http://host/a\r\nX: y", -EINVAL},
        {"http://h\xc3\xb6st/", -EINVAL},
        {"http://user@host/", -EINVAL},
        {"http://user:secret@host/", -EINVAL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct err err = {0};
        if (http_url_check(rows[i].url, &err) != rows[i].rc)
            fail_msg("%s: %s", rows[i].url, err.message);
        assert_null(strstr(err.message, "secret"));
    }
}

static void test_headers(void **state)
{
    (void)state;
    struct http_transfer transfer = {0};
    static const char *const lines[] = {"HTTP/1.1 103 Early\r\n",
                                        "grpc-status: 5\r\n",
                                        "HTTP/2 200 \r\n",
                                        "content-TYPE:text/plain\r\n",
                                        "Retry-After: Fri, 31 Dec 1999\r\n",
                                        "grpc-status: 4294967296\r\n",
                                        "content-typed: no\r\n",
                                        "\r\n",
                                        "x"};
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++)
        assert_true(http_transfer_take_header(&transfer, str_from(lines[i])));
    assert_string_equal(transfer.answer.content_type, "text/plain");
    assert_false(transfer.answer.has_retry_after);
    assert_false(transfer.answer.has_grpc_status);

    char longest[HTTP_CONTENT_TYPE_BYTES * 2] = "Content-Type: ";
    memset(longest + 14, 'x', sizeof longest - 14);
    assert_true(
        http_transfer_take_header(&transfer, (struct str){longest, sizeof longest}));
    assert_int_equal(strlen(transfer.answer.content_type), HTTP_CONTENT_TYPE_BYTES - 1);

    size_t lines_taken = 0;
    while (http_transfer_take_header(&transfer, STR("X-Padding: 0123456789abcdef\r\n")))
        lines_taken++;
    assert_true(lines_taken * 29 <= HTTP_MAX_HEADER_BYTES);
    assert_true(lines_taken > 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url_show),
        cmocka_unit_test(test_url_check),
        cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
