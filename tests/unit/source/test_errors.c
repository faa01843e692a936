/* The counter table: same key adds up, long words still match, a full table overflows. */
#include "source/errors.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_same_key_adds_up(void **state)
{
    (void)state;
    struct error_counters errors = {0};
    errors_add(&errors, "nvml", "gpu_is_lost", 1);
    errors_add(&errors, "procfs", "gpu_is_lost", 5);
    errors_add(&errors, "nvml", "unknown", 7);
    errors_add(&errors, "nvml", "gpu_is_lost", 2);
    assert_int_equal(errors.count, 3);
    assert_string_equal(errors.entries[0].source, "nvml");
    assert_string_equal(errors.entries[0].reason, "gpu_is_lost");
    assert_int_equal(errors.entries[0].value, 3);
    assert_int_equal(errors.entries[1].value, 5);
    assert_int_equal(errors.entries[2].value, 7);
}

static void test_words_are_cut_and_still_match(void **state)
{
    (void)state;
    char word[3 * ERROR_WORD_BYTES];
    memset(word, 'w', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    struct error_counters errors = {0};
    errors_add(&errors, word, word, 1);
    errors_add(&errors, word, word, 1);
    assert_int_equal(errors.count, 1);
    assert_int_equal(errors.entries[0].value, 2);
    assert_int_equal(strlen(errors.entries[0].source), ERROR_WORD_BYTES - 1);
}

static void test_full_table_counts_the_rest_as_other(void **state)
{
    (void)state;
    struct error_counters errors = {0};
    for (int i = 0; i < 2 * ERROR_COUNTERS_MAX; i++) {
        char reason[16];
        (void)snprintf(reason, sizeof reason, "reason%d", i);
        errors_add(&errors, "nvml", reason, 1);
    }
    assert_int_equal(errors.count, ERROR_COUNTERS_MAX);
    assert_string_equal(errors.entries[ERROR_COUNTERS_MAX - 1].source, "other");
    assert_string_equal(errors.entries[ERROR_COUNTERS_MAX - 1].reason, "other");
    assert_int_equal(errors.entries[ERROR_COUNTERS_MAX - 1].value,
                     ERROR_COUNTERS_MAX + 1);
    errors_add(&errors, "nvml", "reason0", 1); /* known keys still have their own row */
    assert_int_equal(errors.entries[0].value, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_key_adds_up),
        cmocka_unit_test(test_words_are_cut_and_still_match),
        cmocka_unit_test(test_full_table_counts_the_rest_as_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
