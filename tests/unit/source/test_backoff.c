/* Distances double up to the bound, within their spread, and begin anew after success. */
#include "source/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_doubles(void **state)
{
    (void)state;
    static const uint64_t doubled[] = {1000, 2000, 4000, 8000, 8000, 8000};
    for (uint64_t now = 0; now < 100000; now += 997) {
        struct backoff backoff = {.first_ns = 1000, .longest_ns = 8000};
        for (size_t i = 0; i < sizeof doubled / sizeof doubled[0]; i++) {
            uint64_t delay = backoff_fail(&backoff, now) - now;
            assert_in_range(delay, doubled[i] - doubled[i] / 4,
                            doubled[i] + doubled[i] / 4);
        }
        backoff_succeed(&backoff);
        assert_in_range(backoff_fail(&backoff, now) - now, 750, 1250);
    }
}

static void test_spreads(void **state)
{
    (void)state;
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    for (uint64_t now = 0; now < 1000; now++) {
        struct backoff backoff = {.first_ns = 1000000, .longest_ns = 1000000};
        uint64_t delay = backoff_fail(&backoff, now) - now;
        least = delay < least ? delay : least;
        most = delay > most ? delay : most;
    }
    assert_true(least < 800000);
    assert_true(most > 1200000);
}

static void test_extremes(void **state)
{
    (void)state;
    struct backoff zero = {0};
    assert_int_equal(backoff_fail(&zero, 5), 5);
    struct backoff many = {.first_ns = 10, .longest_ns = 100, .failures = 4000000000U};
    assert_in_range(backoff_fail(&many, 0), 75, 125);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_spreads),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
