/* Each fixed answer is there and says what it is. */
#include "server/answers.h"

#include "../../support/cmocka_all.h"
#include "base/cleanup.h"

#include <errno.h>

static const struct extra_headers none = {NULL, 0};
static const struct extra_header frame_options = {"X-Frame-Options", "deny"};
static const struct extra_headers extra = {&frame_options, 1};

static void test_all_are_made(void **state)
{
    (void)state;
    static const struct {
        enum answer answer;
        const char *header;
        const char *value;
    } cases[] = {
        {ANSWER_HEALTHY, "Content-Type", "text/plain; charset=utf-8"},
        {ANSWER_LANDING, "Content-Type", "text/html; charset=utf-8"},
        {ANSWER_LANDING, "X-Content-Type-Options", "nosniff"},
        {ANSWER_METHOD, "Allow", "GET, HEAD"},
        {ANSWER_UNAUTHORIZED, "WWW-Authenticate", "Basic realm=\"gpu-sessions\""},
        {ANSWER_TOO_MANY, "Retry-After", "1"},
        {ANSWER_BUSY, "X-Frame-Options", "deny"},
        {ANSWER_BODY, "Connection", "close"},
        {ANSWER_NO_COLLECTION, "Retry-After", "1"},
    };
    CLEANUP(answers_done) struct answers answers;
    assert_int_equal(answers_init(&answers, "/metrics", &extra), 0);
    for (size_t i = 0; i < ANSWER_COUNT; i++)
        assert_string_equal(
            MHD_get_response_header(answers.responses[i], "Cache-Control"), "no-store");
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_string_equal(
            MHD_get_response_header(answers.responses[cases[i].answer], cases[i].header),
            cases[i].value);
}

static void test_path_too_long(void **state)
{
    (void)state;
    CLEANUP(answers_done) struct answers answers;
    CLEANUP(buf_done) struct buf path = BUF_INIT(100000);
    for (int i = 0; i < 70000; i++)
        buf_append_char(&path, 'a');
    buf_append_char(&path, '\0');
    assert_int_equal(answers_init(&answers, path.p, &none), -ENOMEM);
}

static void test_text(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf text = BUF_INIT(100);
    buf_append(&text, STR("no driver\n"));
    struct MHD_Response *response = answers_make_text(&text, &extra);
    assert_non_null(response);
    assert_string_equal(MHD_get_response_header(response, "Content-Type"),
                        "text/plain; charset=utf-8");
    MHD_destroy_response(response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_made),
        cmocka_unit_test(test_path_too_long),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
