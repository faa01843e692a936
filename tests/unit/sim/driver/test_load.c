/* Loads at instants and over stretches of time. */
#include "cmocka_all.h"

#include "sim/driver/load.h"

#include <math.h>

static bool is_near(double value, double wanted)
{
    return fabs(value - wanted) < 1e-6;
}

static void test_loads_at_an_instant(void **state)
{
    (void)state;
    static const struct {
        struct sim_load load;
        double seconds, wanted;
    } rows[] = {
        {{50, 0, 0, 0}, 7, 50},
        {{50, 30, 0, 0.25}, 7, 50}, /* no period: constant */
        {{50, 30, 60, 0}, 0, 50},
        {{50, 30, 60, 0}, 15, 80},
        {{50, 30, 60, 0}, -15, 20},
        {{50, 30, 60, 0.25}, 0, 80},
        {{300, 50, 60, 0.25}, 0, 350}, /* watts are not cut */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(is_near(load_at(&rows[i].load, rows[i].seconds), rows[i].wanted));
}

static void test_means(void **state)
{
    (void)state;
    static const struct {
        struct sim_load load;
        double from, to, wanted;
    } rows[] = {
        {{40, 0, 0, 0}, 0, 10, 40},
        {{50, 30, 10, 0}, 0, 10, 50}, /* a whole period */
        {{150, 0, 0, 0}, 0, 10, 100},
        {{-5, 0, 0, 0}, 0, 10, 0},
        {{50, 30, 60, 0}, 15, 15, 80},
        {{50, 30, 60, 0}, 20, 15, 80}, /* no stretch */
        {{(double)NAN, 0, 0, 0}, 0, 10, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(is_near(load_mean_percent(&rows[i].load, rows[i].from, rows[i].to),
                            rows[i].wanted));
}

/* The part above 100 is cut before averaging, not after. */
static void test_a_mean_cuts_first(void **state)
{
    (void)state;
    const struct sim_load load = {100, 50, 10, 0};
    double mean = load_mean_percent(&load, 0, 10);
    assert_true(mean > 80 && mean < 90);
}

static void test_the_loads_of_a_frozen_node_stand(void **state)
{
    (void)state;
    struct node_state node = {.frozen = 1, .epoch_us = 5000000};
    assert_true(is_near(scenario_seconds(&node), 0));
    node.frozen = 0;
    assert_true(scenario_seconds(&node) > 1e9);
    node.epoch_us = UINT64_C(1) << 62; /* an epoch still to come */
    assert_true(scenario_seconds(&node) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loads_at_an_instant),
        cmocka_unit_test(test_means),
        cmocka_unit_test(test_a_mean_cuts_first),
        cmocka_unit_test(test_the_loads_of_a_frozen_node_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
