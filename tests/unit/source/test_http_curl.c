/* The library can be loaded, used and given back, and that again. */
#include "source/http_curl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_loads(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct http_curl curl = {0};
        struct err err = {0};
        if (http_curl_load(&curl, &err) != 0)
            fail_msg("%s", err.message);
        assert_true(curl.curl_version_info(CURLVERSION_NOW)->version_num >= 0x073d00);
        assert_true(http_curl_has_http2(&curl));
        http_curl_unload(&curl);
        assert_null(curl.library);
        http_curl_unload(&curl);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_loads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
