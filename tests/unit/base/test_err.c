/* Error slips: return codes, context in front, bounded messages, NULL accepted. */
#include "base/err.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_set(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(err_set(&err, ENODEV, ERR_NVML, 15, "GPU %d is lost", 3), -ENODEV);
    assert_int_equal(err.domain, ERR_NVML);
    assert_int_equal(err.native, 15);
    assert_string_equal(err.message, "GPU 3 is lost");
}

static void test_errno_adds_the_text(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(err_errno(&err, ENOENT, "open %s", "/x"), -ENOENT);
    assert_int_equal(err.domain, ERR_ERRNO);
    assert_int_equal(err.native, ENOENT);
    assert_string_equal(err.message, "open /x: No such file or directory");
    assert_int_equal(err_errno(&err, 99999, "odd"), -99999);
    assert_string_equal(err.message, "odd: unknown error");
}

static void test_wrap_puts_context_in_front(void **state)
{
    (void)state;
    struct err err = {0};
    int rc = err_set(&err, EACCES, ERR_ERRNO, EACCES, "denied");
    assert_int_equal(err_wrap(&err, rc, "read %s", "stat"), -EACCES);
    assert_int_equal(err_wrap(&err, rc, "pid %d", 7), -EACCES);
    assert_string_equal(err.message, "pid 7: read stat: denied");
    assert_int_equal(err.native, EACCES);
}

static void test_messages_are_bounded(void **state)
{
    (void)state;
    char text[2 * ERR_MESSAGE_BYTES];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct err err = {0};
    (void)err_set(&err, EIO, ERR_PARSE, 0, "%s", text);
    assert_int_equal(strlen(err.message), ERR_MESSAGE_BYTES - 1);
    (void)err_wrap(&err, -EIO, "context");
    assert_int_equal(strlen(err.message), ERR_MESSAGE_BYTES - 1);
    assert_memory_equal(err.message, "context: xxx", 12);
    (void)err_wrap(&err, -EIO, "%s", text);
    assert_int_equal(strlen(err.message), ERR_MESSAGE_BYTES - 1);
    (void)err_errno(&err, EIO, "%s", text);
    assert_int_equal(strlen(err.message), ERR_MESSAGE_BYTES - 1);
}

static void test_null_is_accepted(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, EIO, ERR_PARSE, 0, "x"), -EIO);
    assert_int_equal(err_errno(NULL, EIO, "x"), -EIO);
    assert_int_equal(err_wrap(NULL, -EIO, "x"), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_errno_adds_the_text),
        cmocka_unit_test(test_wrap_puts_context_in_front),
        cmocka_unit_test(test_messages_are_bounded),
        cmocka_unit_test(test_null_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
