/* The thread: one comparison after the other, and its end at any time. */
#include "server/password_checker.h"

#include "../../support/cmocka_all.h"
#include "../../support/passwords.h"
#include "base/cleanup.h"

#include <poll.h>
#include <unistd.h>

static bool wait_for_result(struct password_checker *checker)
{
    struct pollfd fd = {.fd = password_checker_fd(checker), .events = POLLIN};
    bool is_match;
    assert_int_equal(poll(&fd, 1, -1), 1);
    assert_true(password_checker_take(checker, &is_match));
    return is_match;
}

static void test_compares(void **state)
{
    (void)state;
    struct password_checker *checker;
    bool is_match;
    struct err err;
    assert_int_equal(password_checker_new(&checker, &err), 0);
    assert_false(password_checker_take(checker, &is_match));
    for (int i = 0; i < 20; i++) {
        assert_true(
            password_checker_start(checker, i % 2 ? "secret" : "wrong", HASH_OF_SECRET));
        assert_false(password_checker_start(checker, "secret", HASH_OF_SECRET));
        assert_int_equal(wait_for_result(checker), i % 2);
        assert_false(password_checker_take(checker, &is_match));
    }
    password_checker_free(checker);
    password_checker_free(NULL);
}

/* Whoever looks before the thread has waked it: nothing comes after the answer, or the
 * descriptor would be readable for ever. */
static void test_an_early_look_leaves_no_wake_behind(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        struct password_checker *checker;
        bool is_match;
        struct err err;
        assert_int_equal(password_checker_new(&checker, &err), 0);
        struct pollfd fd = {.fd = dup(password_checker_fd(checker)), .events = POLLIN};
        assert_true(fd.fd >= 0);
        assert_true(password_checker_start(checker, "secret", HASH_OF_SECRET));
        while (!password_checker_take(checker, &is_match))
            continue;
        password_checker_free(checker); /* the thread has done all that it does */
        assert_int_equal(poll(&fd, 1, 0), 0);
        close(fd.fd);
    }
}

static void test_ends_while_busy(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct password_checker *checker;
        struct err err;
        assert_int_equal(password_checker_new(&checker, &err), 0);
        if (i % 2)
            assert_true(password_checker_start(checker, "secret", HASH_OF_SECRET));
        password_checker_free(checker);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compares),
        cmocka_unit_test(test_an_early_look_leaves_no_wake_behind),
        cmocka_unit_test(test_ends_while_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
