/* The bounded buffer: growth, the ceiling, numbers that read back. */
#include "base/buf.h"

#include "base/cleanup.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_content(const struct buf *buf, const char *expected)
{
    assert_int_equal(buf_str(buf).n, strlen(expected));
    assert_memory_equal(buf_str(buf).p, expected, strlen(expected));
}

static void test_append_grows(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf buf = BUF_INIT(100000);
    assert_content(&buf, "");
    buf_append_text(&buf, NULL);
    buf_append_text(&buf, "pid=");
    buf_append_u64(&buf, 42);
    buf_append_char(&buf, ' ');
    buf_printf(&buf, "%s:%u", "gpu", 3U);
    assert_content(&buf, "pid=42 gpu:3");
    for (int i = 0; i < 9000; i++)
        buf_append_text(&buf, "0123456789");
    assert_false(buf_is_full(&buf));
    assert_int_equal(buf.len, 12 + 90000);
    buf_reset(&buf);
    assert_content(&buf, "");
}

static void test_ceiling(void **state)
{
    (void)state;
    static const struct {
        const char *pieces[3];
        const char *content;
        bool is_full;
    } cases[] = {
        {{"12345678"}, "12345678", false}, /* exactly the ceiling */
        {{"123456789"}, "", true},
        {{"1234", "5678"}, "12345678", false},
        {{"1234567", "89"}, "1234567", true},
        {{"1234567", "89", "x"}, "1234567", true}, /* nothing after the first failure */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(buf_done) struct buf buf = BUF_INIT(8);
        for (size_t p = 0; p < 3; p++)
            buf_append_text(&buf, cases[i].pieces[p]);
        assert_content(&buf, cases[i].content);
        assert_int_equal(buf_is_full(&buf), cases[i].is_full);
        buf_reset(&buf);
        assert_false(buf_is_full(&buf));
    }
}

static void test_extend(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT(10);
    buf_append_text(&buf, "ab");
    char *bytes = buf_extend(&buf, 3);
    assert_non_null(bytes);
    memcpy(bytes, "cde", 3);
    assert_true(str_equal(buf_str(&buf), STR("abcde")));
    assert_null(buf_extend(&buf, 6));
    assert_true(buf_is_full(&buf));
    assert_true(str_equal(buf_str(&buf), STR("abcde")));
    buf_done(&buf);
}

static void test_printf_ceiling(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf buf = BUF_INIT(8);
    buf_printf(&buf, "%s", "1234567");
    assert_content(&buf, "1234567");
    buf_printf(&buf, "%d", 10);
    assert_true(buf_is_full(&buf));
    assert_content(&buf, "1234567");
}

static void test_u64(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const char *text;
    } cases[] = {{0, "0"},
                 {9, "9"},
                 {10, "10"},
                 {UINT32_MAX, "4294967295"},
                 {UINT64_MAX, "18446744073709551615"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(buf_done) struct buf buf = BUF_INIT(100);
        buf_append_u64(&buf, cases[i].value);
        assert_content(&buf, cases[i].text);
    }
}

static void test_double_text(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {1, "1"},
        {-1, "-1"},
        {0.1, "0.1"},
        {41.25, "41.25"},
        {100.0 / 3, "33.333333333333336"},
        {999999999999999.0, "999999999999999"},
        {1e15, "1e+15"},
        {1767225600.5, "1767225600.5"},
        {(double)NAN, "NaN"},
        {(double)INFINITY, "+Inf"},
        {-(double)INFINITY, "-Inf"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(buf_done) struct buf buf = BUF_INIT(100);
        buf_append_double(&buf, cases[i].value);
        assert_content(&buf, cases[i].text);
    }
}

/* Every way to write a double gives the shortest text: what "%.15g" finds where 15 digits
 * suffice. */
static void test_double_is_shortest(void **state)
{
    (void)state;
    static const double scales[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e9};
    CLEANUP(buf_done) struct buf buf = BUF_INIT(1024);
    uint64_t seed = 1;
    for (size_t i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        /* up to 15 digits: all of them read back */
        uint64_t digits =
            (seed >> 14) % (UINT64_C(1) << (10 + i % 40)) % 1000000000000000;
        double value = (double)digits / scales[i % 9];
        char expected[40];
        (void)snprintf(expected, sizeof expected, "%.15g", value);
        buf_reset(&buf);
        buf_append_double(&buf, value);
        assert_content(&buf, expected);
    }
}

static void test_double_reads_back(void **state)
{
    (void)state;
    static const double values[] = {1.0 / 3, 2.0 / 3,    DBL_MAX, DBL_MIN, DBL_EPSILON,
                                    1e-300,  -12345.678, 5e-324,  1e22,    0.3};
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        CLEANUP(buf_done) struct buf buf = BUF_INIT(100);
        buf_append_double(&buf, values[i]);
        buf_append_char(&buf, '\0');
        double back = strtod(buf.p, NULL);
        assert_memory_equal(&back, &values[i], sizeof back);
    }
}

static void test_done_allows_reuse(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT(4);
    buf_append_text(&buf, "12345");
    assert_true(buf_is_full(&buf));
    buf_done(&buf);
    buf_append_text(&buf, "1234");
    assert_content(&buf, "1234");
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_grows),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_extend),
        cmocka_unit_test(test_printf_ceiling),
        cmocka_unit_test(test_u64),
        cmocka_unit_test(test_double_text),
        cmocka_unit_test(test_double_reads_back),
        cmocka_unit_test(test_double_is_shortest),
        cmocka_unit_test(test_done_allows_reuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
