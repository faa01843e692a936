/* The token's file: what is a token, and that no message repeats it. */
#include "../../../support/cmocka_all.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "source/kube/kube_token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void write_file(const char *path, struct str text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fdio_write_all(fd, text), 0);
    close(fd);
}

static void test_read(void **state)
{
    (void)state;
    static char huge[KUBE_TOKEN_BYTES + 1];
    memset(huge, 'x', sizeof huge);
    const struct {
        struct str content;
        const char *token; /* NULL: refused */
    } cases[] = {
        {STR("abc.def-_"), "abc.def-_"},
        {STR("  abc\n"), "abc"},
        {STR(""), NULL},
        {STR("\n"), NULL},
        {STR("secret\r\nHost: x"), NULL},
        {STR("se cret"), NULL},
        {STR("secret\0x"), NULL},
        {STR("secret\x80"), NULL},
        {{huge, sizeof huge}, NULL},
    };
    char path[] = "/tmp/test_kube_token_XXXXXX";
    close(mkstemp(path));
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char token[KUBE_TOKEN_BYTES + 1];
        struct err err = {0};
        write_file(path, cases[i].content);
        int rc = kube_token_read(path, token, &err);
        assert_int_equal(rc, cases[i].token ? 0 : -EBADMSG);
        if (cases[i].token)
            assert_string_equal(token, cases[i].token);
        assert_null(strstr(err.message, "secret"));
    }
    unlink(path);
}

static void test_absent(void **state)
{
    (void)state;
    char token[KUBE_TOKEN_BYTES + 1];
    struct err err = {0};
    assert_int_equal(kube_token_read("/absent/token", token, &err), -ENOENT);
    assert_non_null(strstr(err.message, "/absent/token"));
    assert_non_null(strstr(err.message, "--kube.token-file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
