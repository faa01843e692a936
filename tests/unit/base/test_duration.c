/* Durations: every unit, the bounds, and the forms that are refused. */
#include "base/duration.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_accepts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t nanoseconds;
    } rows[] = {
        {"1ms", 1000000},
        {"15s", UINT64_C(15000000000)},
        {"2m", UINT64_C(120000000000)},
        {"24h", UINT64_C(86400000000000)},
        {"86400s", UINT64_C(86400000000000)},
        {"0s", 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        uint64_t nanoseconds = 7;
        assert_true(duration_parse(str_from(rows[i].text), &nanoseconds));
        assert_int_equal(nanoseconds, rows[i].nanoseconds);
    }
}

static void test_refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",     "15",  "s",  "ms",  "-1s",    "1.5s",
        "15 s", "15S", "1d", "25h", "86401s", "99999999999999999999s",
        "1s ",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        uint64_t nanoseconds = 7;
        assert_false(duration_parse(str_from(rows[i]), &nanoseconds));
        assert_int_equal(nanoseconds, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
