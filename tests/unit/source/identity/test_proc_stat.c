/* Start time and comm out of /proc/<pid>/stat, however the process named itself. */
#include "source/identity/proc_stat.h"

#include "tree.h"

#define FIELDS_3_TO_21 " S 3570 4390 4390 0 -1 4194560 480 0 0 0 62 51 0 0 20 0 1 0 "

static void parses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *comm;
        uint64_t start_ticks;
    } rows[] = {
        {"4390 (sleep)" FIELDS_3_TO_21 "59643 2314240 332\n", "sleep", 59643},
        {"1 (a b) S 1)" FIELDS_3_TO_21 "7 0\n", "a b) S 1", 7},
        {"1 ())" FIELDS_3_TO_21 "18446744073709551615", ")", UINT64_MAX},
        {"1 ()" FIELDS_3_TO_21 "9\n", "", 9},
        {"1 (two\nlines)" FIELDS_3_TO_21 "9\n", "two\nlines", 9},
        {"1 (\xff\xfe)" FIELDS_3_TO_21 "9\n", "\xff\xfe", 9},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct proc_stat stat;
        assert_int_equal(proc_stat_parse(str_from(rows[i].text), &stat), 0);
        assert_str(stat.comm, rows[i].comm);
        assert_int_equal(stat.start_ticks, rows[i].start_ticks);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "(",
        ")",
        ")(",
        "1 (x)",
        "1 (x) ",
        "1 x S 1",
        "1 (x) S 1 2 3",
        "1 (x)" FIELDS_3_TO_21,
        "1 (x)" FIELDS_3_TO_21 "-1 0",
        "1 (x)" FIELDS_3_TO_21 "12a 0",
        "1 (x)" FIELDS_3_TO_21 "18446744073709551616 0",
        "1 (0123456789012345678901234567890123456789012345678901234567890123x)" //
        FIELDS_3_TO_21 "5 0",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct proc_stat stat = {.start_ticks = 42};
        assert_int_equal(proc_stat_parse(str_from(rows[i]), &stat), -EBADMSG);
        assert_int_equal(stat.start_ticks, 42);
    }
}

static void reads_own(void **state)
{
    (void)state;
    char buffer[PROC_STAT_BYTES];
    struct proc_stat stat;
    assert_int_equal(
        proc_stat_read(AT_FDCWD, "/proc/self/stat", buffer, sizeof buffer, &stat), 0);
    assert_true(stat.comm.n > 0);
    assert_int_equal(
        proc_stat_read(AT_FDCWD, "/nowhere/stat", buffer, sizeof buffer, &stat), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(refuses),
        cmocka_unit_test(reads_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
