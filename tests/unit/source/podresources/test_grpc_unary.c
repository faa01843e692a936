/* gRPC's frame and outcome, without a server; tests/scenario has real ones. */
#include "source/podresources/grpc_unary.h"

#include "../../../support/cmocka_all.h"
#include "base/cleanup.h"

#include <errno.h>

static void test_frame(void **state)
{
    static const struct {
        struct str body;
        int rc;
        struct str message;
    } rows[] = {
        {STR("\0\0\0\0\0"), 0, STR("")},
        {STR("\0\0\0\0\3abc"), 0, STR("abc")},
        {STR(""), -EPROTO, {0}},
        {STR("\0\0\0\0"), -EPROTO, {0}},
        {STR("\0\0\0\0\3ab"), -EPROTO, {0}},
        {STR("\0\0\0\0\3abcd"), -EPROTO, {0}},
        {STR("\0\0\0\0\1a\0\0\0\0\1b"), -EPROTO, {0}}, /* two messages */
        {STR("\1\0\0\0\3abc"), -EPROTO, {0}},          /* compressed */
        {STR("\0\xff\xff\xff\xff"), -EPROTO, {0}},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct str message = {0};
        struct err err = {0};
        assert_int_equal(grpc_read_frame(rows[i].body, &message, &err), rows[i].rc);
        if (rows[i].rc == 0)
            assert_true(str_equal(message, rows[i].message));
        else
            assert_true(err.message[0] != '\0');
    }
}

static void test_outcome(void **state)
{
    static const struct {
        long status;
        const char *type;
        bool has_status;
        uint32_t grpc;
        const char *words;
        int rc;
        const char *reason, *message;
    } rows[] = {
        {200, "application/grpc", true, 0, "", 0, "", ""},
        {200, "application/grpc+proto", true, 0, "", 0, "", ""},
        {200, "application/grpc; charset=utf-8", true, 0, "", 0, "", ""},
        {200, "application/grpc-web", true, 0, "", -EPROTO, "not_grpc", "no gRPC"},
        {200, "text/html", true, 0, "", -EPROTO, "not_grpc", "no gRPC"},
        {200, "", true, 0, "", -EPROTO, "not_grpc", "no gRPC"},
        {404, "application/grpc", true, 0, "", -EPROTO, "not_grpc", "404"},
        {200, "application/grpc", false, 0, "", -EPROTO, "cut_off", "without a status"},
        {200, "application/grpc", true, 8, "rejected%20by rate limit", -EAGAIN,
         "rate_limit", "status 8: rejected by rate limit"},
        {200, "application/grpc", true, 12, "unknown service", -EOPNOTSUPP,
         "unimplemented", "status 12: unknown service"},
        {200, "application/grpc", true, 2, "", -EIO, "grpc_error", "status 2"},
        {200, "application/grpc", true, 13, "a%1B[31m%c3%A9%", -EIO, "grpc_error",
         "status 13: a?[31m??%"},
        {200, "application/grpc", true, 4000000000U, "%zz%", -EIO, "grpc_error",
         "status 4000000000: %zz%"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct http_answer answer = {.status = rows[i].status,
                                     .has_grpc_status = rows[i].has_status,
                                     .grpc_status = rows[i].grpc};
        const char *reason = NULL;
        struct err err = {0};
        memcpy(answer.content_type, rows[i].type, strlen(rows[i].type) + 1);
        memcpy(answer.grpc_message, rows[i].words, strlen(rows[i].words) + 1);
        assert_int_equal(grpc_check_answer(&answer, &reason, &err), rows[i].rc);
        if (rows[i].rc == 0)
            continue;
        assert_string_equal(reason, rows[i].reason);
        if (!strstr(err.message, rows[i].message))
            fail_msg("\"%s\" has no \"%s\"", err.message, rows[i].message);
    }
}

static void test_no_server(void **state)
{
    (void)state;
    static const char large[GRPC_REQUEST_BYTES + 1];
    struct http_client *client = NULL;
    CLEANUP(buf_done) struct buf answer = BUF_INIT(1000);
    struct str message;
    const char *reason = NULL;
    struct err err = {0};
    struct grpc_call call = {.socket = "/nowhere/kubelet.sock",
                             .method = "/a.B/C",
                             .timeout_ns = 1000000000,
                             .max_answer_bytes = 100};
    assert_int_equal(http_client_open(&client, &err), 0);
    assert_int_equal(grpc_unary(client, &call, &answer, &message, &reason, &err),
                     -ENOENT);
    assert_string_equal(reason, "not_found");
    call.request = (struct str){large, sizeof large};
    assert_int_equal(grpc_unary(client, &call, &answer, &message, &reason, &err),
                     -EINVAL);
    http_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame),
        cmocka_unit_test(test_outcome),
        cmocka_unit_test(test_no_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
