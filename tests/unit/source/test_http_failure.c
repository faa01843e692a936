/* What becomes of a status that is no success, and the words for counters. */
#include "source/http_failure.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_status(void **state)
{
    (void)state;
    static const struct {
        long status;
        int rc;
        const char *words;
    } rows[] = {
        {200, 0, ""},
        {204, 0, ""},
        {299, 0, ""},
        {301, -ELOOP, "301"},
        {401, -EACCES, "token"},
        {403, -EACCES, "not permitted"},
        {404, -ENOENT, "path"},
        {418, -EPROTO, "418"},
        {429, -EAGAIN, "too many"},
        {500, -EPROTO, "500"},
        {503, -EAGAIN, "not available"},
        {599, -EPROTO, "599"},
        {100, -EPROTO, "100"},
        {0, -EPROTO, "0"},
    };
    const struct http_request request = {.url = "http://host/page?secret=1"};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct http_answer answer = {.status = rows[i].status};
        struct err err = {0};
        assert_int_equal(http_check_status(&request, &answer, &err), rows[i].rc);
        assert_non_null(strstr(err.message, rows[i].words));
        assert_null(strstr(err.message, "secret"));
        assert_true(rows[i].rc == 0 || strstr(err.message, "http://host/page: HTTP "));
    }
}

static void test_words(void **state)
{
    (void)state;
    assert_string_equal(http_failure_word(-ETIMEDOUT), "timeout");
    assert_string_equal(http_failure_word(-EKEYREJECTED), "tls");
    assert_string_equal(http_failure_word(-EMSGSIZE), "too_large");
    assert_string_equal(http_failure_word(-EXDEV), "failed");
}

/* What our own callbacks found outweighs libcurl's code for it. */
static void test_own_reasons(void **state)
{
    (void)state;
    struct http_transfer transfer = {.target = "http://host/"};
    struct err err = {0};
    assert_int_equal(http_failure_set(&transfer, CURLE_OK, &err), 0);
    transfer.is_stopped = true;
    assert_int_equal(http_failure_set(&transfer, CURLE_WRITE_ERROR, &err), -ECANCELED);
    transfer.is_too_large = true;
    assert_int_equal(http_failure_set(&transfer, CURLE_WRITE_ERROR, &err), -EMSGSIZE);
    assert_int_equal(err.domain, ERR_HTTP);
    assert_int_equal(err.native, CURLE_WRITE_ERROR);
}

static CURLcode get_errno(CURL *easy, CURLINFO info, ...)
{
    va_list arguments;
    assert_int_equal(info, CURLINFO_OS_ERRNO);
    va_start(arguments, info);
    *va_arg(arguments, long *) = *(long *)easy;
    va_end(arguments);
    return CURLE_OK;
}

/* libcurl has one code for all of them; the system's errno tells them apart. */
static void test_connect_failures(void **state)
{
    (void)state;
    static const struct {
        long system_code;
        int rc;
        const char *words;
    } rows[] = {
        {0, -EPROTO, "closed the connection without an answer (all curl says)"},
        {ECONNREFUSED, -ECONNREFUSED, "nobody listens"},
        {ENOENT, -ENOENT, "no such socket"},
        {EACCES, -EACCES, "uid 0"},
        {EPERM, -EACCES, "firewall"},
        {ENETUNREACH, -EHOSTUNREACH, "no connection"},
    };
    const struct http_curl curl = {.curl_easy_getinfo = get_errno};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        long system_code = rows[i].system_code;
        struct http_transfer transfer = {
            .curl = &curl, .easy = (CURL *)&system_code, .target = "http://host/"};
        struct err err = {0};
        (void)snprintf(transfer.curl_message, sizeof transfer.curl_message,
                       "all curl says");
        assert_int_equal(http_failure_set(&transfer, CURLE_COULDNT_CONNECT, &err),
                         rows[i].rc);
        assert_non_null(strstr(err.message, rows[i].words));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_own_reasons),
        cmocka_unit_test(test_connect_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
