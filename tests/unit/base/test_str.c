/* The reading kit: positions, splitting, numbers at their bounds. */
#include "base/str.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_str(struct str s, const char *expected)
{
    assert_int_equal(s.n, strlen(expected));
    if (s.n)
        assert_memory_equal(s.p, expected, s.n);
}

static void test_starts_and_ends(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
        bool starts, ends;
    } cases[] = {
        {"", "", true, true},        {"abc", "", true, true},
        {"abc", "abc", true, true},  {"abc", "abcd", false, false},
        {"abcab", "ab", true, true}, {"abc", "bc", false, true},
        {"abc", "ab", true, false},  {"", "a", false, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct str text = str_from(cases[i].text), part = str_from(cases[i].part);
        assert_int_equal(str_starts(text, part), cases[i].starts);
        assert_int_equal(str_ends(text, part), cases[i].ends);
    }
    assert_true(str_equal(str_from(NULL), STR("")));
}

static void test_find(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        char c;
        ptrdiff_t first, last;
    } cases[] = {
        {"", 'a', -1, -1}, {"a", 'a', 0, 0}, {"abca", 'a', 0, 3}, {"abc", 'x', -1, -1}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(str_find(str_from(cases[i].text), cases[i].c), cases[i].first);
        assert_int_equal(str_find_last(str_from(cases[i].text), cases[i].c),
                         cases[i].last);
    }
    assert_int_equal(str_find((struct str){NULL, 0}, 'a'), -1);
    assert_int_equal(str_find_last((struct str){NULL, 0}, 'a'), -1);
    assert_int_equal(str_find((struct str){"a\0b", 3}, 'b'), 2);
}

static void test_find_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *needle;
        ptrdiff_t at;
    } cases[] = {{"", "a", -1},     {"abcabc", "ca", 2}, {"abc", "abcd", -1},
                 {"abc", "abc", 0}, {"aab", "ab", 1},    {"abc", "", 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_int_equal(
            str_find_text(str_from(cases[i].text), str_from(cases[i].needle)),
            cases[i].at);
}

static void test_trim(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"", ""},     {" \t\r\n", ""},
                                           {"a", "a"},   {"  a b \n", "a b"},
                                           {"\ta", "a"}, {"a\v", "a\v"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_str(str_trim(str_from(cases[i][0])), cases[i][1]);
}

static void test_split(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t count;
        const char *parts[4];
    } cases[] = {
        {"", 1, {""}},           {"a", 1, {"a"}},
        {"a,", 2, {"a", ""}},    {",a", 2, {"", "a"}},
        {",,", 3, {"", "", ""}}, {"ab,c,,d", 4, {"ab", "c", "", "d"}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct str rest = str_from(cases[i].text), part;
        for (size_t p = 0; p < cases[i].count; p++) {
            assert_true(str_split(&rest, ',', &part));
            assert_str(part, cases[i].parts[p]);
        }
        assert_false(str_split(&rest, ',', &part));
    }
    struct str none = {NULL, 0}, untouched = STR("x");
    assert_false(str_split(&none, ',', &untouched));
    assert_str(untouched, "x");
}

static void test_u64_and_u32(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_u64, is_u32;
        uint64_t value;
    } cases[] = {
        {"0", true, true, 0},
        {"007", true, true, 7},
        {"4294967295", true, true, UINT32_MAX},
        {"4294967296", true, false, UINT64_C(4294967296)},
        {"18446744073709551615", true, false, UINT64_MAX},
        {"18446744073709551616", false, false, 0},
        {"184467440737095516150", false, false, 0},
        {"", false, false, 0},
        {"-1", false, false, 0},
        {"+1", false, false, 0},
        {" 1", false, false, 0},
        {"1 ", false, false, 0},
        {"1a", false, false, 0},
        {"0x1", false, false, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint64_t wide = 77;
        uint32_t narrow = 77;
        assert_int_equal(str_u64(str_from(cases[i].text), &wide), cases[i].is_u64);
        assert_int_equal(str_u32(str_from(cases[i].text), &narrow), cases[i].is_u32);
        assert_int_equal(wide, cases[i].is_u64 ? cases[i].value : 77);
        assert_int_equal(narrow, cases[i].is_u32 ? cases[i].value : 77);
    }
}

static void test_double(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_ok;
        double value;
    } cases[] = {
        {"0", true, 0},
        {"-1", true, -1},
        {"+1", true, 1},
        {"41.25", true, 41.25},
        {"-0.5", true, -0.5},
        {"", false, 0},
        {"999999999999999", true, 999999999999999.0},
        {"1.", false, 0},
        {"1000000000000000", false, 0},
        {".5", false, 0},
        {"1.1234567890123456", false, 0},
        {"-", false, 0},
        {"+-1", false, 0},
        {"1e3", false, 0},
        {"1.2.3", false, 0},
        {"nan", false, 0},
        {"1,5", false, 0},
        {" 1", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        double value = 77, expected = cases[i].is_ok ? cases[i].value : 77;
        assert_int_equal(str_double(str_from(cases[i].text), &value), cases[i].is_ok);
        assert_memory_equal(&value, &expected, sizeof value);
    }
}

static void test_is_hex(void **state)
{
    (void)state;
    assert_true(str_is_hex(STR("0af9"), 4));
    assert_true(str_is_hex(STR(""), 0));
    assert_false(str_is_hex(STR("0af"), 4));
    assert_false(str_is_hex(STR("0af90"), 4));
    assert_false(str_is_hex(STR("0AF9"), 4));
    assert_false(str_is_hex(STR("0ag9"), 4));
}

static void test_hash(void **state)
{
    (void)state;
    /* The published 64-bit values of FNV-1a, folded. */
    const uint64_t empty = UINT64_C(0xcbf29ce484222325);
    const uint64_t foobar = UINT64_C(0x85944171f73967e8);
    assert_true(str_hash(STR("")) == (empty ^ empty >> 32));
    assert_true(str_hash(STR("foobar")) == (foobar ^ foobar >> 32));
    assert_true(str_hash(STR("foobas")) != str_hash(STR("foobar")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_and_ends),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_find_text),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_u64_and_u32),
        cmocka_unit_test(test_double),
        cmocka_unit_test(test_is_hex),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
