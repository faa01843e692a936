/* The configured path is a link, whatever it holds. */
#include "server/landing.h"

#include "../../support/cmocka_all.h"
#include "base/cleanup.h"

static void test_path_is_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *link;
    } cases[] = {
        {"/metrics", "<a href=\"/metrics\">"},
        {"/a\"><script>&", "<a href=\"/a&quot;&gt;&lt;script&gt;&amp;\">"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(buf_done) struct buf page = BUF_INIT(10000);
        landing_render(cases[i].path, &page);
        assert_true(str_find_text(buf_str(&page), str_from(cases[i].link)) > 0);
        assert_true(str_find_text(buf_str(&page), STR(PROGRAM_VERSION)) > 0);
        assert_true(str_find_text(buf_str(&page), STR("<script")) < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_path_is_escaped)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
