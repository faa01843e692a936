/* Samples of an exporter's page become readings; what is none is left out and counted. */
#include "source/dcgm/dcgm_page.h"

#include "base/cleanup.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW 1700000000.0

static struct dcgm_page page;
static struct prom_parser parser;

static void read_page(const char *text)
{
    dcgm_page_begin(&page, NOW);
    prom_parser_init(&parser, dcgm_page_take, &page);
    assert_true(prom_parser_feed(&parser, str_from(text)));
    assert_true(prom_parser_end(&parser));
}

static void expect(const char *uuid, uint32_t gi, enum dcgm_field field, double percent)
{
    const struct dcgm_reading *reading = dcgm_page_find(&page, uuid, gi);
    assert_non_null(reading);
    assert_int_equal(reading->percent[field].state, VALUE_OK);
    assert_true(fabs(reading->percent[field].v - percent) < 1e-9);
}

static void test_reads(void **state)
{
    (void)state;
    read_page("DCGM_FI_DEV_GPU_UTIL{gpu=\"0\",UUID=\"GPU-a\"} 41\n"
              "DCGM_FI_PROF_GR_ENGINE_ACTIVE{UUID=\"GPU-a\",GPU_I_ID=\"\"} 0.5\n"
              "DCGM_FI_PROF_SM_ACTIVE{UUID=\"GPU-b\",GPU_I_PROFILE=\"1g.5gb\","
              "GPU_I_ID=\"7\",pod=\"p\"} 0.123456789\n"
              "DCGM_FI_PROF_SM_ACTIVE{UUID=\"GPU-b\",GPU_I_ID=\"7\",pod=\"q\"} 0.9\n"
              "DCGM_FI_PROF_DRAM_ACTIVE{uuid=\"GPU-b\",GPU_I_ID=\"0\"} 1.005\n"
              "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{UUID=\"GPU-a\"} 1000\n"
              "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{UUID=\"GPU-b\"} 500\n"
              "go_goroutines 5\n");
    assert_int_equal(page.count, 3);
    expect("GPU-a", MIG_ID_NONE, DCGM_GPU_UTIL, 41);
    expect("GPU-a", MIG_ID_NONE, DCGM_ENGINE_ACTIVE, 50);
    expect("GPU-b", 7, DCGM_SM_ACTIVE, 12.3457); /* the first of its rows */
    expect("GPU-b", 0, DCGM_DRAM_ACTIVE, 100);
    assert_null(dcgm_page_find(&page, "GPU-b", MIG_ID_NONE));
    assert_null(dcgm_page_find(&page, "GPU-", 7));
    assert_null(dcgm_page_find(&page, NULL, 7));
    assert_true(fabs(page.energy - 1500) < 1e-9);
    assert_int_equal(page.implausible + page.old + page.omitted, 0);
}

/* DCGM's blanks for integers and floating point, and other nonsense. */
static void test_implausible(void **state)
{
    (void)state;
    static const char *const values[] = {
        "9223372036854775794", "140737488355328", "1.02", "-0.1", "NaN", "+Inf",
        "2147483632"};
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "DCGM_FI_PROF_SM_ACTIVE{UUID=\"GPU-a\"} %s\n",
                       values[i]);
        read_page(text);
        assert_int_equal(page.implausible, 1);
        assert_int_equal(page.count, 0);
    }
}

static void test_age(void **state)
{
    (void)state;
    read_page("DCGM_FI_PROF_SM_ACTIVE{UUID=\"GPU-a\"} 0.1 1699999819000\n"
              "DCGM_FI_PROF_SM_ACTIVE{UUID=\"GPU-b\"} 0.2 1699999821000\n"
              "DCGM_FI_PROF_SM_ACTIVE{UUID=\"GPU-c\"} 0.3 1700009999000\n");
    assert_int_equal(page.old, 1);
    assert_null(dcgm_page_find(&page, "GPU-a", MIG_ID_NONE));
    expect("GPU-b", MIG_ID_NONE, DCGM_SM_ACTIVE, 20);
    expect("GPU-c", MIG_ID_NONE, DCGM_SM_ACTIVE, 30);
}

static void test_names_nothing(void **state)
{
    (void)state;
    read_page("DCGM_FI_PROF_SM_ACTIVE 0.1\n"
              "DCGM_FI_PROF_SM_ACTIVE{UUID=\"\"} 0.1\n"
              "DCGM_FI_PROF_SM_ACTIVE{UUID=\"GPU-a\",GPU_I_ID=\"x\"} 0.1\n"
              "DCGM_FI_PROF_SM_ACTIVE{UUID=\"GPU-a\",GPU_I_ID=\"4294967295\"} 0.1\n"
              "DCGM_FI_PROF_SM_ACTIVE{UUID=\"0123456789012345678901234567890123456789"
              "0123456789\"} 0.1\n");
    assert_int_equal(page.count, 0);
}

static void test_bound(void **state)
{
    (void)state;
    dcgm_page_begin(&page, NOW);
    prom_parser_init(&parser, dcgm_page_take, &page);
    for (unsigned i = 0; i < DCGM_MAX_READINGS + 5; i++) {
        char text[128];
        int n = snprintf(text, sizeof text,
                         "DCGM_FI_PROF_SM_ACTIVE{UUID=\"GPU-%u\"} 0.5\n", i);
        assert_true(prom_parser_feed(&parser, (struct str){text, (size_t)n}));
    }
    assert_int_equal(page.count, DCGM_MAX_READINGS);
    assert_int_equal(page.omitted, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads), cmocka_unit_test(test_implausible),
        cmocka_unit_test(test_age),   cmocka_unit_test(test_names_nothing),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
