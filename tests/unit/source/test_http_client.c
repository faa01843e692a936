/* Requests to servers that answer properly, too much, too slowly, or not at all. */
#include "source/http_client.h"

#include "../../support/raw_server.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SECOND = 1000000000 };

struct taken {
    size_t n;
    size_t stop_after; /* 0: never */
    char text[4096];
};

static bool take(void *context, struct str piece)
{
    struct taken *taken = context;
    for (size_t i = 0; i < piece.n && taken->n + i < sizeof taken->text - 1; i++)
        taken->text[taken->n + i] = piece.p[i];
    taken->n += piece.n;
    return taken->stop_after == 0 || taken->n < taken->stop_after;
}

static struct http_client *open_client(void)
{
    struct http_client *client = NULL;
    struct err err = {0};
    if (http_client_open(&client, &err) != 0)
        fail_msg("%s", err.message);
    return client;
}

static struct http_request request_for(const char *url, struct taken *taken)
{
    return (struct http_request){.url = url,
                                 .timeout_ns = 5 * (uint64_t)SECOND,
                                 .max_body_bytes = 1000,
                                 .sink = take,
                                 .sink_context = taken};
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"

static void test_answers(void **state)
{
    (void)state;
    static const struct {
        struct raw_page page;
        int rc;
        long status;
        const char *body;
        const char *words; /* in the message of a failure */
    } rows[] = {
        {{RAW_CLOSE, OK_HEAD "Content-Length: 5\r\n\r\n", "hello"}, 0, 200, "hello", ""},
        {{RAW_CLOSE, OK_HEAD "\r\n", "to the end"}, 0, 200, "to the end", ""},
        {{RAW_CLOSE, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n",
          "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"},
         0,
         200,
         "abcde",
         ""},
        {{RAW_CLOSE, "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n", "no"},
         0,
         500,
         "no",
         ""},
        {{RAW_CLOSE,
          "HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:1/\r\n"
          "Content-Length: 0\r\n\r\n",
          NULL},
         0,
         302,
         "",
         ""},
        /* no gzip was asked for: the bytes are not unpacked */
        {{RAW_CLOSE, OK_HEAD "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n",
          "\x1f\x8b\x08"},
         0,
         200,
         "\x1f\x8b\x08",
         ""},
        {{RAW_CLOSE, OK_HEAD "Content-Length: 1001\r\n\r\n", "x"},
         -EMSGSIZE,
         0,
         "",
         "larger"},
        {{RAW_ENDLESS, OK_HEAD "\r\n", "0123456789abcdef"}, -EMSGSIZE, 0, "", "larger"},
        {{RAW_ENDLESS, OK_HEAD, "X-More: and more\r\n"}, -EMSGSIZE, 0, "", "larger"},
        {{RAW_CLOSE, OK_HEAD "Content-Length: 9\r\n\r\n", "half"},
         -EPROTO,
         0,
         "half",
         "cut off"},
        {{RAW_CLOSE, "", NULL}, -EPROTO, 0, "", "without an answer"},
        {{RAW_CLOSE, "220 mail.example ESMTP\r\n", NULL},
         -EPROTO,
         0,
         "",
         "not an HTTP answer"},
    };
    struct http_client *client = open_client();
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct raw_server server = raw_start(&rows[i].page);
        struct taken taken = {0};
        struct http_request request = request_for(server.url, &taken);
        struct http_answer answer = {0};
        struct err err = {0};
        int rc = http_get(client, &request, &answer, &err);
        raw_stop(&server);
        if (rc != rows[i].rc || !strstr(err.message, rows[i].words))
            fail_msg("row %zu: %d %s", i, rc, err.message);
        assert_int_equal(answer.status, rows[i].status);
        if (rc != -EMSGSIZE)
            assert_string_equal(taken.text, rows[i].body);
        assert_true(taken.n <= 1000);
        assert_true(rc == 0 || strstr(err.message, server.url));
    }
    http_client_close(client);
}

static void test_deadline(void **state)
{
    (void)state;
    static const struct raw_page pages[] = {
        {RAW_DRIP, OK_HEAD "Content-Length: 1000\r\n\r\n", "a"},
        {RAW_DRIP, "HTTP/1.1 200 OK\r\nX-Slow: ", "a"},
        {RAW_SILENT, NULL, NULL},
    };
    struct http_client *client = open_client();
    for (size_t i = 0; i < ARRAY_LENGTH(pages); i++) {
        struct raw_server server = raw_start(&pages[i]);
        struct taken taken = {0};
        struct http_request request = request_for(server.url, &taken);
        struct http_answer answer;
        struct err err = {0};
        request.timeout_ns = SECOND / 10;
        assert_int_equal(http_get(client, &request, &answer, &err), -ETIMEDOUT);
        assert_non_null(strstr(err.message, "(0.1 s)"));
        raw_stop(&server);
    }
    http_client_close(client);
}

static void test_unreachable(void **state)
{
    (void)state;
    static const struct {
        const char *url, *unix_socket;
        int rc;
    } rows[] = {
        {"http://127.0.0.1:1/", NULL, -ECONNREFUSED},
        {"http://localhost/", "/nonexistent/kubelet.sock", -ENOENT},
        {"http://no-such-host.invalid/", NULL, -EHOSTUNREACH},
        {"http://user:secret@127.0.0.1/", NULL, -EINVAL},
        {"file:///etc/passwd", NULL, -EINVAL},
    };
    struct http_client *client = open_client();
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct http_request request = request_for(rows[i].url, NULL);
        struct http_answer answer;
        struct err err = {0};
        request.sink = NULL;
        request.unix_socket = rows[i].unix_socket;
        int rc = http_get(client, &request, &answer, &err);
        if (rc != rows[i].rc)
            fail_msg("%s: %d %s", rows[i].url, rc, err.message);
        assert_null(strstr(err.message, "secret"));
        assert_true(strlen(err.message) > 10);
    }
    http_client_close(client);
}

static void test_sink_stops(void **state)
{
    (void)state;
    const struct raw_page page = {RAW_ENDLESS, OK_HEAD "\r\n", "0123456789"};
    struct http_client *client = open_client();
    struct raw_server server = raw_start(&page);
    struct taken taken = {.stop_after = 100};
    struct http_request request = request_for(server.url, &taken);
    struct http_answer answer;
    request.max_body_bytes = UINT64_MAX;
    assert_int_equal(http_get(client, &request, &answer, NULL), -ECANCELED);
    raw_stop(&server);
    http_client_close(client);
}

/* The second request of a client goes over the first one's connection: this server takes
 * only one at a time. */
static void test_reuses_connection(void **state)
{
    (void)state;
    const struct raw_page page = {RAW_KEEP, OK_HEAD "Content-Length: 2\r\n\r\n", "ok"};
    struct http_client *client = open_client();
    struct raw_server server = raw_start_unix(&page);
    for (size_t i = 0; i < 3; i++) {
        struct taken taken = {0};
        struct http_request request = request_for(server.url, &taken);
        struct http_answer answer;
        struct err err = {0};
        request.unix_socket = server.path;
        if (http_get(client, &request, &answer, &err) != 0)
            fail_msg("%s", err.message);
        assert_string_equal(taken.text, "ok");
        assert_int_equal(answer.body_bytes, 2);
        assert_string_equal(answer.content_type, "text/plain; version=0.0.4");
    }
    raw_stop(&server);
    http_client_close(client);
}

static void test_post(void **state)
{
    (void)state;
    const struct raw_page page = {
        RAW_CLOSE,
        "HTTP/1.1 100 Continue\r\nGrpc-Status: 9\r\n\r\n" OK_HEAD
        "Retry-After: 7\r\ngrpc-status: 8\r\nGRPC-Message: too%20many\r\n"
        "Content-Length: 0\r\n\r\n",
        NULL};
    static const char *const headers[] = {"Content-Type: application/grpc",
                                          "TE: trailers"};
    struct http_client *client = open_client();
    struct raw_server server = raw_start(&page);
    struct http_request request = request_for(server.url, NULL);
    struct http_answer answer;
    struct err err = {0};
    request.sink = NULL;
    request.headers = headers;
    request.header_count = ARRAY_LENGTH(headers);
    request.body = (struct str){"\0\0\0\0\0", 5};
    request.bearer_token = "token";
    if (http_post(client, &request, &answer, &err) != 0)
        fail_msg("%s", err.message);
    assert_true(answer.has_grpc_status && answer.grpc_status == 8);
    assert_string_equal(answer.grpc_message, "too%20many");
    assert_true(answer.has_retry_after && answer.retry_after_seconds == 7);
    request.bearer_token = "secret\r\nX-Evil: 1";
    assert_int_equal(http_post(client, &request, &answer, &err), -EINVAL);
    assert_null(strstr(err.message, "secret"));
    raw_stop(&server);
    http_client_close(client);
}

static void test_stream(void **state)
{
    (void)state;
    const struct raw_page page = {RAW_DRIP, OK_HEAD "\r\n", "e"};
    struct http_client *client = open_client();
    struct raw_server server = raw_start(&page);
    struct taken taken = {0};
    struct http_request request = request_for(server.url, &taken);
    struct http_stream *stream = NULL;
    request.timeout_ns = 0;
    request.max_body_bytes = 20;
    assert_int_equal(http_stream_begin(client, &request, &stream, NULL), 0);
    assert_int_equal(http_stream_answer(stream)->status, 0);
    assert_int_equal(http_stream_await_status(stream, 5 * (uint64_t)SECOND, NULL), 0);
    assert_int_equal(http_stream_answer(stream)->status, 200);
    /* Nothing waits for the rest: each call takes what is there. */
    int rc = 0;
    size_t calls = 0;
    struct err err = {0};
    while ((rc = http_stream_pump(stream, SECOND / 1000, &err)) == 0)
        calls++;
    assert_int_equal(rc, -EMSGSIZE);
    assert_true(calls > 1);
    assert_int_equal(taken.n, 20);
    assert_int_equal(http_stream_pump(stream, SECOND, &err), -EMSGSIZE);
    http_stream_end(stream);
    raw_stop(&server);
    http_client_close(client);
}

static void test_stream_ends(void **state)
{
    (void)state;
    const struct raw_page page = {RAW_CLOSE, OK_HEAD "Content-Length: 3\r\n\r\n", "end"};
    struct http_client *client = open_client();
    struct raw_server server = raw_start(&page);
    struct taken taken = {0};
    struct http_request request = request_for(server.url, &taken);
    struct http_stream *stream = NULL;
    assert_int_equal(http_stream_begin(client, &request, &stream, NULL), 0);
    int rc = 0;
    while ((rc = http_stream_pump(stream, SECOND / 1000, NULL)) == 0)
        ;
    assert_int_equal(rc, HTTP_STREAM_ENDED);
    assert_string_equal(taken.text, "end");
    http_stream_end(stream);
    http_stream_end(NULL);
    raw_stop(&server);
    request.url = "http://127.0.0.1:1/";
    assert_int_equal(http_stream_begin(client, &request, &stream, NULL), 0);
    while ((rc = http_stream_pump(stream, SECOND / 1000, NULL)) == 0)
        ;
    assert_int_equal(rc, -ECONNREFUSED);
    http_stream_end(stream);
    http_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_unreachable),
        cmocka_unit_test(test_sink_stops),
        cmocka_unit_test(test_reuses_connection),
        cmocka_unit_test(test_post),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_stream_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
