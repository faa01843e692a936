/*
 * gRPC on top of HTTP/2 (doc/PROTOCOL-HTTP2.md of grpc): each message behind a flag byte
 * and its length, the outcome in a trailer. Success wants all of it: HTTP 200, gRPC's
 * content type, status 0, and one whole message.
 */
#include "source/podresources/grpc_unary.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>

/* Percent-encoding undone, what a terminal must not see left out. */
static void decode_message(const char *encoded, char *out, size_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    struct str rest = str_from(encoded);
    size_t n = 0;
    while (rest.n && n + 1 < bytes) {
        char c = rest.p[0];
        size_t taken = 1;
        if (c == '%' && rest.n >= 3) {
            const char *high = memchr(digits, rest.p[1] | 0x20, sizeof digits - 1);
            const char *low = memchr(digits, rest.p[2] | 0x20, sizeof digits - 1);
            if (high && low) {
                c = (char)((high - digits) * 16 + (low - digits));
                taken = 3;
            }
        }
        if (c < ' ' || c > '~')
            c = '?';
        out[n++] = c;
        rest = str_part(rest, taken, rest.n - taken);
    }
    out[n] = '\0';
}

static int status_error(const struct http_answer *answer, const char **reason,
                        struct err *err)
{
    char words[HTTP_GRPC_MESSAGE_BYTES];
    int code = EIO;
    *reason = "grpc_error";
    decode_message(answer->grpc_message, words, sizeof words);
    if (answer->grpc_status == GRPC_RESOURCE_EXHAUSTED) {
        code = EAGAIN;
        *reason = "rate_limit";
    } else if (answer->grpc_status == GRPC_UNIMPLEMENTED) {
        code = EOPNOTSUPP;
        *reason = "unimplemented";
    }
    return err_set(err, code, ERR_PARSE, (int)answer->grpc_status,
                   "the server answers with gRPC status %u%s%s", answer->grpc_status,
                   words[0] ? ": " : "", words);
}

static bool is_grpc_type(struct str type)
{
    return str_equal(type, STR("application/grpc")) ||
           str_starts(type, STR("application/grpc+")) ||
           str_starts(type, STR("application/grpc;"));
}

int grpc_check_answer(const struct http_answer *answer, const char **reason,
                      struct err *err)
{
    *reason = "not_grpc";
    if (answer->status != 200)
        return err_set(err, EPROTO, ERR_PARSE, (int)answer->status,
                       "HTTP status %ld: no gRPC server there", answer->status);
    if (!is_grpc_type(str_from(answer->content_type)))
        return err_set(err, EPROTO, ERR_PARSE, 0, "the answer's type is no gRPC");
    if (!answer->has_grpc_status) {
        *reason = "cut_off";
        return err_set(err, EPROTO, ERR_PARSE, 0, "the answer ends without a status");
    }
    return answer->grpc_status ? status_error(answer, reason, err) : 0;
}

int grpc_read_frame(struct str body, struct str *message, struct err *err)
{
    if (body.n < GRPC_PREFIX_BYTES)
        return err_set(err, EPROTO, ERR_PARSE, 0, "an answer without a message");
    if (body.p[0] != 0)
        return err_set(err, EPROTO, ERR_PARSE, 0, "a compressed message");
    uint32_t n = 0;
    for (size_t i = 1; i < GRPC_PREFIX_BYTES; i++)
        n = n << 8 | (unsigned char)body.p[i];
    if (n != body.n - GRPC_PREFIX_BYTES)
        return err_set(err, EPROTO, ERR_PARSE, 0,
                       "the message says that it has %u bytes, but %zu came", n,
                       body.n - GRPC_PREFIX_BYTES);
    *message = str_part(body, GRPC_PREFIX_BYTES, n);
    return 0;
}

static bool keep_piece(void *context, struct str piece)
{
    struct buf *answer = context;
    buf_append(answer, piece);
    return !buf_is_full(answer);
}

static int post(struct http_client *client, const struct grpc_call *call, char *url,
                size_t url_bytes, struct buf *answer, struct http_answer *head,
                struct err *err)
{
    static const char *const headers[] = {"Content-Type: application/grpc",
                                          "TE: trailers"};
    char body[GRPC_PREFIX_BYTES + GRPC_REQUEST_BYTES] = {0};
    size_t n = call->request.n;
    if (n > GRPC_REQUEST_BYTES ||
        snprintf(url, url_bytes, "http://localhost%s", call->method) >= (int)url_bytes)
        return err_set(err, EINVAL, ERR_PARSE, 0, "a request too large to send");
    body[3] = (char)(n >> 8);
    body[4] = (char)(n & 0xFF);
    if (n)
        memcpy(body + GRPC_PREFIX_BYTES, call->request.p, n);
    struct http_request request = {
        .url = url,
        .unix_socket = call->socket,
        .headers = headers,
        .header_count = ARRAY_LENGTH(headers),
        .body = {body, GRPC_PREFIX_BYTES + n},
        .is_http2 = true,
        .timeout_ns = call->timeout_ns,
        .max_body_bytes = call->max_answer_bytes + GRPC_PREFIX_BYTES,
        .sink = keep_piece,
        .sink_context = answer,
    };
    return http_post(client, &request, head, err);
}

int grpc_unary(struct http_client *client, const struct grpc_call *call,
               struct buf *answer, struct str *message, const char **reason,
               struct err *err)
{
    struct http_answer head = {0};
    char url[160];
    buf_reset(answer);
    int rc = post(client, call, url, sizeof url, answer, &head, err);
    if (rc != 0) {
        *reason = http_failure_word(rc);
        return rc;
    }
    rc = grpc_check_answer(&head, reason, err);
    if (rc != 0)
        return rc;
    *reason = "malformed";
    return grpc_read_frame(buf_str(answer), message, err);
}
