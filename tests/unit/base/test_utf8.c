/* UTF-8: every edge of the table of well-formed sequences, and cutting without a scar. */
#include "base/utf8.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_sequence(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } cases[] = {
        {"", 0},
        {"a", 1},
        {"\x7F", 1},
        {"\x80", 0}, /* continuation without a head */
        {"\xBF", 0},
        {"\xC0\x80", 0}, /* overlong NUL */
        {"\xC1\xBF", 0},
        {"\xC2\x80", 2},
        {"\xDF\xBF", 2},
        {"\xC2", 0}, /* cut */
        {"\xC2\x41", 0},
        {"\xE0\x9F\xBF", 0}, /* overlong */
        {"\xE0\xA0\x80", 3},
        {"\xED\x9F\xBF", 3},
        {"\xED\xA0\x80", 0}, /* first surrogate */
        {"\xEE\x80\x80", 3},
        {"\xEF\xBF\xBD", 3},
        {"\xE2\x82", 0},
        {"\xE2\x82\x41", 0},
        {"\xF0\x8F\xBF\xBF", 0}, /* overlong */
        {"\xF0\x90\x80\x80", 4},
        {"\xF4\x8F\xBF\xBF", 4}, /* U+10FFFF */
        {"\xF4\x90\x80\x80", 0},
        {"\xF0\x9F\x98", 0},
        {"\xF0\x9F\x98\x41", 0},
        {"\xF5\x80\x80\x80", 0},
        {"\xFF", 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_int_equal(utf8_sequence(str_from(cases[i].bytes)), cases[i].length);
    assert_int_equal(utf8_sequence((struct str){"\0", 1}), 1);
}

static void test_cut(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t limit, length;
    } cases[] = {
        {"abc", 3, 3},
        {"abc", 2, 2},
        {"abc", 0, 0},
        {"", 0, 0},
        {"a\xED\x95\x9C", 4, 4},
        {"a\xED\x95\x9C", 3, 1},
        {"a\xED\x95\x9C", 2, 1},
        {"a\xED\x95\x9C", 1, 1},
        {"\xF0\x9F\x98\x80", 3, 0},
        {"ab\xF0\x9F\x98\x80z", 6, 6},
        {"ab\xF0\x9F\x98\x80z", 5, 2},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct str cut = utf8_cut(str_from(cases[i].text), cases[i].limit);
        assert_int_equal(cut.n, cases[i].length);
    }
}

static void test_cut_of_garbage_stays_near_the_limit(void **state)
{
    (void)state;
    char bytes[64];
    memset(bytes, 0x80, sizeof bytes);
    for (size_t limit = 0; limit < sizeof bytes; limit++) {
        struct str cut = utf8_cut((struct str){bytes, sizeof bytes}, limit);
        assert_true(cut.n <= limit && cut.n + 4 >= limit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_cut_of_garbage_stays_near_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
