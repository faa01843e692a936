/*
 * One easy handle does all synchronous requests, so that its connection is used again;
 * each stream has handles of its own. libcurl's multi interface drives streams, since it
 * alone returns before the answer is whole.
 */
#include "source/http_client.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "source/http_curl.h"
#include "source/http_failure.h"
#include "source/http_transfer.h"

#include <errno.h>
#include <stdlib.h>

struct http_client {
    struct http_curl curl;
    CURL *easy;
};

struct http_stream {
    struct http_transfer transfer;
    const struct http_curl *curl;
    CURL *easy;
    CURLM *multi;
    bool is_over;
    CURLcode outcome; /* when it is over */
};

int http_client_open(struct http_client **out, struct err *err)
{
    struct http_client *client = calloc(1, sizeof *client);
    if (!client)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory for HTTP");
    int rc = http_curl_load(&client->curl, err);
    if (rc == 0 && !(client->easy = client->curl.curl_easy_init()))
        rc = err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory for HTTP");
    if (rc != 0) {
        http_client_close(client);
        return rc;
    }
    *out = client;
    return 0;
}

void http_client_close(struct http_client *client)
{
    if (!client)
        return;
    if (client->easy)
        client->curl.curl_easy_cleanup(client->easy);
    http_curl_unload(&client->curl);
    free(client);
}

/* gRPC is not to be had by other means; a plain request would be told so by the server.
 */
static int check_http2(const struct http_curl *curl, const struct http_request *request,
                       struct err *err)
{
    if (!request->is_http2 || http_curl_has_http2(curl))
        return 0;
    return err_set(err, ENOENT, ERR_ERRNO, ENOENT,
                   "this libcurl was built without HTTP/2: install one that has it, or "
                   "switch this source off");
}

static int perform(struct http_client *client, const struct http_request *request,
                   bool is_post, struct http_answer *answer, struct err *err)
{
    struct http_transfer transfer;
    int rc = check_http2(&client->curl, request, err);
    if (rc == 0)
        rc = http_transfer_init(&transfer, &client->curl, client->easy, request, is_post,
                                err);
    if (rc != 0)
        return rc;
    CURLcode code = client->curl.curl_easy_perform(client->easy);
    (void)client->curl.curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE,
                                         &transfer.answer.status);
    rc = http_failure_set(&transfer, code, err);
    http_transfer_done(&transfer);
    if (rc == 0)
        *answer = transfer.answer;
    return rc;
}

int http_get(struct http_client *client, const struct http_request *request,
             struct http_answer *answer, struct err *err)
{
    return perform(client, request, false, answer, err);
}

int http_post(struct http_client *client, const struct http_request *request,
              struct http_answer *answer, struct err *err)
{
    return perform(client, request, true, answer, err);
}

int http_stream_begin(struct http_client *client, const struct http_request *request,
                      struct http_stream **out, struct err *err)
{
    int rc = check_http2(&client->curl, request, err);
    if (rc != 0)
        return rc;
    struct http_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory for HTTP");
    stream->curl = &client->curl;
    stream->easy = client->curl.curl_easy_init();
    stream->multi = client->curl.curl_multi_init();
    if (!stream->easy || !stream->multi) {
        rc = err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory for HTTP");
    } else {
        rc = http_transfer_init(&stream->transfer, stream->curl, stream->easy, request,
                                false, err);
        if (rc == 0 && stream->curl->curl_multi_add_handle(stream->multi, stream->easy))
            rc = err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory for HTTP");
    }
    if (rc != 0) {
        http_stream_end(stream);
        return rc;
    }
    *out = stream;
    return 0;
}

/* One round. Return: whether the stream goes on. */
static bool advance(struct http_stream *stream)
{
    int running = 0;
    int left = 0;
    if (stream->curl->curl_multi_perform(stream->multi, &running) != CURLM_OK) {
        stream->is_over = true;
        stream->outcome = CURLE_OUT_OF_MEMORY;
    }
    (void)stream->curl->curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE,
                                          &stream->transfer.answer.status);
    const CURLMsg *message = stream->curl->curl_multi_info_read(stream->multi, &left);
    if (message && message->msg == CURLMSG_DONE) {
        stream->is_over = true;
        stream->outcome = message->data.result;
    }
    return !stream->is_over;
}

/* Waits for the next bytes. Return: whether some are there. */
static bool wait_for_bytes(struct http_stream *stream, uint64_t wait_ns)
{
    int ready = 0;
    int wait_ms = wait_ns < 1000000000 ? (int)(wait_ns / 1000000) : 1000;
    (void)stream->curl->curl_multi_wait(stream->multi, NULL, 0, wait_ms, &ready);
    return ready > 0;
}

static int outcome_of(const struct http_stream *stream, struct err *err)
{
    if (!stream->is_over)
        return 0;
    int rc = http_failure_set(&stream->transfer, stream->outcome, err);
    return rc == 0 ? HTTP_STREAM_ENDED : rc;
}

int http_stream_pump(struct http_stream *stream, uint64_t budget_ns, struct err *err)
{
    uint64_t end_ns = clock_monotonic_ns() + budget_ns;
    while (!stream->is_over && advance(stream) && clock_monotonic_ns() < end_ns &&
           wait_for_bytes(stream, 0))
        ;
    return outcome_of(stream, err);
}

int http_stream_await_status(struct http_stream *stream, uint64_t budget_ns,
                             struct err *err)
{
    uint64_t end_ns = clock_monotonic_ns() + budget_ns;
    while (!stream->is_over && advance(stream) && stream->transfer.answer.status == 0) {
        uint64_t now_ns = clock_monotonic_ns();
        if (now_ns >= end_ns)
            break;
        (void)wait_for_bytes(stream, end_ns - now_ns);
    }
    return outcome_of(stream, err);
}

const struct http_answer *http_stream_answer(const struct http_stream *stream)
{
    return &stream->transfer.answer;
}

void http_stream_end(struct http_stream *stream)
{
    if (!stream)
        return;
    if (stream->multi && stream->easy)
        (void)stream->curl->curl_multi_remove_handle(stream->multi, stream->easy);
    http_transfer_done(&stream->transfer);
    if (stream->easy)
        stream->curl->curl_easy_cleanup(stream->easy);
    if (stream->multi)
        (void)stream->curl->curl_multi_cleanup(stream->multi);
    free(stream);
}
