/* Verdicts, the queue at its bound, what is remembered, and a change of users. */
#include "server/auth.h"

#include "../../support/cmocka_all.h"
#include "../../support/passwords.h"
#include "base/cleanup.h"

#include <gnutls/gnutls.h>
#include <poll.h>
#include <stdio.h>

static const struct web_user users[] = {
    {.name = "ann", .hash = HASH_OF_SECRET, .cost = 4},
    {.name = "bob", .hash = HASH_OF_OTHER, .cost = 4},
};

static int start(void **state)
{
    struct auth *auth;
    struct err err;
    if (auth_new(&auth, &err) != 0)
        return -1;
    auth_set_users(auth, users, ARRAY_LENGTH(users));
    *state = auth;
    return 0;
}

static int stop(void **state)
{
    auth_free(*state);
    return 0;
}

static void count_wake(void *waiter)
{
    ++*(int *)waiter;
}

static void wait_for_one(struct auth *auth)
{
    struct pollfd fd = {.fd = auth_fd(auth), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, -1), 1);
    auth_collect(auth, count_wake);
}

/* The verdict that a request gets in the end. */
static enum auth_verdict ask(struct auth *auth, const char *header)
{
    int woken = 0;
    enum auth_verdict verdict = auth_check(auth, str_from(header), &woken);
    while (verdict == AUTH_WAIT) {
        wait_for_one(auth);
        if (woken)
            verdict = auth_check(auth, str_from(header), &woken);
    }
    return verdict;
}

/* The I-th of many wrong passwords. */
static void write_header(int i, char *out, size_t size)
{
    char pair[32];
    gnutls_datum_t encoded;
    snprintf(pair, sizeof pair, "ann:wrong%d", i);
    gnutls_datum_t plain = {(unsigned char *)pair, (unsigned)strlen(pair)};
    assert_int_equal(gnutls_base64_encode2(&plain, &encoded), 0);
    snprintf(out, size, "Basic %.*s", (int)encoded.size, (const char *)encoded.data);
    gnutls_free(encoded.data);
}

static void test_verdicts(void **state)
{
    static const struct {
        const char *header;
        enum auth_verdict verdict;
    } rows[] = {
        {BASIC_ANN_SECRET, AUTH_GRANTED},
        {BASIC_BOB_OTHER, AUTH_GRANTED},
        {BASIC_ANN_WRONG, AUTH_REFUSED},
        {BASIC_EVE_SECRET, AUTH_REFUSED},
        {"", AUTH_REFUSED},
        {"Basic garbage", AUTH_REFUSED},
        {"Bearer token", AUTH_REFUSED},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_int_equal(ask(*state, rows[i].header), rows[i].verdict);
}

static void test_results_are_remembered(void **state)
{
    int woken = 0;
    ask(*state, BASIC_ANN_SECRET);
    ask(*state, BASIC_ANN_WRONG);
    ask(*state, BASIC_EVE_SECRET);
    assert_int_equal(auth_check(*state, STR(BASIC_ANN_SECRET), &woken), AUTH_GRANTED);
    assert_int_equal(auth_check(*state, STR(BASIC_ANN_WRONG), &woken), AUTH_REFUSED);
    assert_int_equal(auth_check(*state, STR(BASIC_EVE_SECRET), &woken), AUTH_REFUSED);
    assert_int_equal(woken, 0);
}

/* Also the case of the sanitizer for threads: many checks, while others are asked. */
static void test_flood_leaves_the_known_alone(void **state)
{
    int woken = 0, asked = 0, busy = 0;
    ask(*state, BASIC_ANN_SECRET);
    for (int i = 0; i < AUTH_REMEMBERED_MAX + 50; i++) {
        char header[64];
        write_header(i, header, sizeof header);
        switch (auth_check(*state, str_from(header), &woken)) {
        case AUTH_WAIT: asked++; break;
        case AUTH_BUSY:
            busy++;
            wait_for_one(*state);
            break;
        case AUTH_GRANTED:
        case AUTH_REFUSED: fail();
        }
        assert_int_equal(auth_check(*state, STR(BASIC_ANN_SECRET), NULL), AUTH_GRANTED);
    }
    assert_true(busy > 0);
    while (woken < asked)
        wait_for_one(*state);
    assert_int_equal(auth_check(*state, STR(BASIC_ANN_SECRET), NULL), AUTH_GRANTED);
}

static void test_queue_at_its_bound(void **state)
{
    int woken[AUTH_WAITING_MAX] = {0}, one_more = 0;
    char header[64];
    for (int i = 0; i < AUTH_WAITING_MAX; i++) {
        write_header(i, header, sizeof header);
        assert_int_equal(auth_check(*state, str_from(header), &woken[i]), AUTH_WAIT);
    }
    assert_int_equal(auth_check(*state, STR(BASIC_ANN_SECRET), &one_more), AUTH_BUSY);
    for (int i = 0; i < AUTH_WAITING_MAX; i++) {
        wait_for_one(*state);
        assert_int_equal(woken[i], 1);
    }
    assert_int_equal(one_more, 0);
    assert_int_equal(ask(*state, BASIC_ANN_SECRET), AUTH_GRANTED);
}

static void test_same_question_is_checked_once(void **state)
{
    int woken = 0;
    for (int i = 0; i < 5; i++)
        assert_int_equal(auth_check(*state, STR(BASIC_ANN_SECRET), &woken), AUTH_WAIT);
    wait_for_one(*state);
    assert_int_equal(woken, 5);
}

static void test_other_users(void **state)
{
    static const struct web_user changed[] = {
        {.name = "ann", .hash = HASH_OF_OTHER, .cost = 4},
    };
    int woken = 0;
    assert_int_equal(ask(*state, BASIC_ANN_SECRET), AUTH_GRANTED);
    auth_set_users(*state, changed, 1);
    assert_int_equal(ask(*state, BASIC_ANN_SECRET), AUTH_REFUSED);
    assert_int_equal(ask(*state, BASIC_BOB_OTHER), AUTH_REFUSED);

    /* a change while a check is under way: its result says nothing about the new user */
    auth_set_users(*state, users, ARRAY_LENGTH(users));
    assert_int_equal(auth_check(*state, STR(BASIC_ANN_SECRET), &woken), AUTH_WAIT);
    auth_set_users(*state, changed, 1);
    wait_for_one(*state);
    assert_int_equal(woken, 1);
    assert_int_equal(ask(*state, BASIC_ANN_SECRET), AUTH_REFUSED);

    auth_set_users(*state, NULL, 0);
    assert_int_equal(ask(*state, ""), AUTH_GRANTED);
}

static void test_cancel(void **state)
{
    int woken = 0;
    assert_int_equal(auth_check(*state, STR(BASIC_ANN_SECRET), &woken), AUTH_WAIT);
    assert_int_equal(auth_check(*state, STR(BASIC_ANN_WRONG), &woken), AUTH_WAIT);
    auth_cancel(*state, count_wake);
    assert_int_equal(woken, 2);
    /* the check that was under way answers nobody */
    assert_int_equal(ask(*state, BASIC_ANN_WRONG), AUTH_REFUSED);
    assert_int_equal(ask(*state, BASIC_ANN_SECRET), AUTH_GRANTED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_verdicts),
        TEST(test_results_are_remembered),
        TEST(test_flood_leaves_the_known_alone),
        TEST(test_queue_at_its_bound),
        TEST(test_same_question_is_checked_once),
        TEST(test_other_users),
        TEST(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
