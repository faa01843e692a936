/* Users of the host, from its passwd file. */
#include "source/identity/passwd.h"

#include "tree.h"

static void line(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int rc;
        uint32_t uid;
        const char *name;
    } rows[] = {
        {"root:x:0:0:root:/root:/bin/bash", 0, 0, "root"},
        {"a:b:7", 0, 7, "a"},
        {"a::4294967295:", 0, UINT32_MAX, "a"},
        {"", -EBADMSG, 0, ""},
        {":x:0:0", -EBADMSG, 0, ""},
        {"a:x", -EBADMSG, 0, ""},
        {"a:x:", -EBADMSG, 0, ""},
        {"a:x:-1:", -EBADMSG, 0, ""},
        {"+::::::", -EBADMSG, 0, ""},
        {"0123456789012345678901234567890123456789012345678901234567890123:x:1:", 0, 1,
         "0123456789012345678901234567890123456789012345678901234567890123"},
        {"01234567890123456789012345678901234567890123456789012345678901234:x:1:",
         -EBADMSG, 0, ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        uint32_t uid = 0;
        struct str name = {NULL, 0};
        assert_int_equal(passwd_parse_line(str_from(rows[i].line), &uid, &name),
                         rows[i].rc);
        if (rows[i].rc == 0) {
            assert_int_equal(uid, rows[i].uid);
            assert_str(name, rows[i].name);
        }
    }
}

static void follows_the_file(void **state)
{
    (void)state;
    struct tree tree = tree_make();
    struct passwd_file *passwd = passwd_new(tree.path);
    assert_non_null(passwd);
    assert_null(passwd_find(passwd, 0, 1));

    tree_write_text(&tree, "etc/passwd",
                    "root:x:0:0::/:\ntoor:x:0:0::/:\nbad\nu:x:1000:");
    assert_null(passwd_find(passwd, 0, 1)); /* looked at once in this round */
    assert_string_equal(passwd_find(passwd, 0, 2), "root");
    assert_string_equal(passwd_find(passwd, 1000, 2), "u");
    assert_null(passwd_find(passwd, 1001, 2));
    assert_null(passwd_find(passwd, 1000 + 1024, 2));

    tree_set_mtime(&tree, "etc/passwd", 1000);
    assert_string_equal(passwd_find(passwd, 1000, 3), "u");
    /* Same size, time and inode: not read again. */
    tree_write_text(&tree, "etc/passwd",
                    "root:x:0:0::/:\ntoor:x:0:0::/:\nbad\nv:x:1000:");
    tree_set_mtime(&tree, "etc/passwd", 1000);
    assert_string_equal(passwd_find(passwd, 1000, 4), "u");
    tree_set_mtime(&tree, "etc/passwd", 1001);
    assert_string_equal(passwd_find(passwd, 1000, 5), "v");
    tree_remove(&tree, "etc/passwd");
    assert_null(passwd_find(passwd, 1000, 6));
    passwd_free(passwd);
    passwd_free(NULL);
    tree_remove(&tree, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line),
        cmocka_unit_test(follows_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
