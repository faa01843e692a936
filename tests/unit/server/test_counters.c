/* Each reason has a word of its own, fit for a label. */
#include "server/counters.h"

#include "../../support/cmocka_all.h"

#include <string.h>

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < REFUSED_COUNT; i++) {
        const char *name = server_refusal_name((enum server_refusal)i);
        assert_non_null(name);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(name, server_refusal_name((enum server_refusal)k));
    }
}

static void test_count(void **state)
{
    (void)state;
    struct server_counters counters = {0};
    server_count(&counters, REFUSED_SLOW);
    server_count(&counters, REFUSED_SLOW);
    for (int i = 0; i < REFUSED_COUNT; i++)
        assert_int_equal(counters.refused[i], i == REFUSED_SLOW ? 2 : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
