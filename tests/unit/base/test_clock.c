/* The clocks: right order of magnitude, right direction. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_monotonic(void **state)
{
    (void)state;
    uint64_t before = clock_monotonic_ns();
    double seconds = clock_monotonic_seconds();
    uint64_t after = clock_monotonic_ns();
    assert_true(before <= after);
    assert_true(seconds >= (double)before / 1e9 && seconds <= (double)after / 1e9);
}

static void test_wall(void **state)
{
    (void)state;
    assert_true(clock_wall_seconds() > 1.7e9); /* this program is younger than that */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_monotonic),
        cmocka_unit_test(test_wall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
