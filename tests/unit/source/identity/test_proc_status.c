/* The real uid and the PID namespaces out of /proc/<pid>/status. */
#include "source/identity/proc_status.h"

#include "tree.h"

static void parses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        uint32_t uid;
    } rows[] = {
        {"Name:\tsleep\nUmask:\t0022\nUid:\t0\t1\t2\t3\nGid:\t5\n", 0, 0},
        {"Uid:\t4294967294\t0\t0\t0", 0, 4294967294},
        {"Uid:\t1000", 0, 1000},
        /* the kernel writes a newline in a name as \n: no line can be forged */
        {"Name:\ta\\nUid:\t0\nUid:\t1000\t1000\t1000\t1000\n", 0, 1000},
        {"Name:\tUid:\nUid:\t7\t0\n", 0, 7},
        {"", -EBADMSG, 0},
        {"Name:\tx\nGid:\t0\n", -EBADMSG, 0},
        {"Uid:\n", -EBADMSG, 0},
        {"Uid:\tx\t0\n", -EBADMSG, 0},
        {"Uid:\t4294967296\t0\n", -EBADMSG, 0},
        {"Uid:\t-1\t0\n", -EBADMSG, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        uint32_t uid = 0;
        assert_int_equal(proc_status_parse_uid(str_from(rows[i].text), &uid), rows[i].rc);
        if (rows[i].rc == 0)
            assert_int_equal(uid, rows[i].uid);
    }
}

static void counts_namespaces(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t count;
    } rows[] = {
        {"Name:\tx\nNStgid:\t7\t1\nNSpid:\t4242\nNSpgid:\t1\t2\n", 1},
        {"NSpid:\t4242\t17\n", 2},
        {"NSpid:\t4242\t17\t1", 3},
        {"Name:\tNSpid:\n", 0},
        {"", 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_int_equal(proc_status_count_namespaces(str_from(rows[i].text)),
                         rows[i].count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parses),
                                       cmocka_unit_test(counts_namespaces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
