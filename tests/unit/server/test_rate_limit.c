/* The token bucket, by a clock that the test sets. */
#include "server/rate_limit.h"

#include "../../support/cmocka_all.h"

#define SECOND UINT64_C(1000000000)

static void test_burst_then_interval(void **state)
{
    (void)state;
    struct rate_limit limit = {.interval_ns = SECOND, .burst = 3};
    uint64_t now = 100 * SECOND;
    for (int i = 0; i < 3; i++)
        assert_true(rate_limit_take(&limit, now));
    assert_false(rate_limit_take(&limit, now));
    assert_false(rate_limit_take(&limit, now + SECOND - 1));
    assert_true(rate_limit_take(&limit, now + SECOND));
    assert_false(rate_limit_take(&limit, now + SECOND));
    /* full again after three seconds of rest, and never fuller */
    now += 1000 * SECOND;
    for (int i = 0; i < 3; i++)
        assert_true(rate_limit_take(&limit, now));
    assert_false(rate_limit_take(&limit, now));
}

static void test_refused_requests_cost_nothing(void **state)
{
    (void)state;
    struct rate_limit limit = {.interval_ns = SECOND, .burst = 1};
    assert_true(rate_limit_take(&limit, 0));
    for (int i = 0; i < 1000; i++)
        assert_false(rate_limit_take(&limit, SECOND / 2));
    assert_true(rate_limit_take(&limit, SECOND));
}

static void test_edges(void **state)
{
    (void)state;
    struct rate_limit none = {0};
    struct rate_limit closed = {.interval_ns = SECOND, .burst = 0};
    struct rate_limit widest = {.interval_ns = 86400 * SECOND, .burst = 100000};
    for (int i = 0; i < 1000; i++)
        assert_true(rate_limit_take(&none, 0));
    assert_false(rate_limit_take(&closed, SECOND));
    for (int i = 0; i < 100000; i++)
        assert_true(rate_limit_take(&widest, SECOND));
    assert_false(rate_limit_take(&widest, SECOND));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_interval),
        cmocka_unit_test(test_refused_requests_cost_nothing),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
