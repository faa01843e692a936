/* Uptime in ticks, boot time out of a long file. */
#include "source/identity/proc_clock.h"

#include "tree.h"

static void uptime(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ticks_per_second;
        int rc;
        uint64_t ticks;
    } rows[] = {
        {"1000000.00 12345.67\n", 100, 0, 100000000},
        {"0.05 0.00\n", 100, 0, 5},
        {"12.34\n", 100, 0, 1234},
        {"12.34 0", 1000, 0, 12340},
        {"12.3456 0", 100, 0, 1234},
        {"12 0", 100, -EBADMSG, 0},
        {"", 100, -EBADMSG, 0},
        {".5 0", 100, -EBADMSG, 0},
        {"-1.00 0", 100, -EBADMSG, 0},
        {"1.x 0", 100, -EBADMSG, 0},
        {"1.0000000000 0", 100, -EBADMSG, 0},
        {"18446744073709551615.00 0", 100, -EBADMSG, 0},
        {"184467440737095516.99 0", 100, -EBADMSG, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        uint64_t ticks = 0;
        assert_int_equal(
            proc_uptime_parse(str_from(rows[i].text), rows[i].ticks_per_second, &ticks),
            rows[i].rc);
        assert_int_equal(ticks, rows[i].ticks);
    }
}

static void boot_time(void **state)
{
    (void)state;
    struct tree tree = tree_make();
    uint64_t seconds = 0;
    assert_int_equal(proc_boot_time_read(tree.fd, &seconds), -ENOENT);

    /* An interrupt line far longer than any buffer, with the wanted words inside. */
    char *text = malloc(TREE_FILE_BYTES);
    assert_non_null(text);
    memset(text, '0', TREE_FILE_BYTES);
    memcpy(text, "cpu 1 2\nintr ", 13);
    memcpy(text + TREE_FILE_BYTES / 2, "btime 13", 8);
    const struct str tail = STR("\nctxt 5\nbtime 1767225600\nprocesses 1\n");
    memcpy(text + TREE_FILE_BYTES - tail.n, tail.p, tail.n);
    tree_write(&tree, "stat", (struct str){text, TREE_FILE_BYTES});
    assert_int_equal(proc_boot_time_read(tree.fd, &seconds), 0);
    assert_int_equal(seconds, 1767225600);

    tree_write_text(&tree, "stat", "cpu 1 2\nbtime x\n");
    assert_int_equal(proc_boot_time_read(tree.fd, &seconds), -EBADMSG);
    tree_write_text(&tree, "stat", "cpu 1 2\n");
    assert_int_equal(proc_boot_time_read(tree.fd, &seconds), -EBADMSG);
    tree_write(&tree, "stat", (struct str){text, TREE_FILE_BYTES - tail.n});
    assert_int_equal(proc_boot_time_read(tree.fd, &seconds), -EBADMSG);
    free(text);
    tree_remove(&tree, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uptime),
        cmocka_unit_test(boot_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
