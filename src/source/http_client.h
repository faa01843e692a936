/*
 * HTTP requests of the optional sources: one place that bounds, verifies and words them.
 *
 * Every request has a deadline and a bound on its body. Certificates are verified.
 * Redirects are not followed, proxies of the environment not used, no content encoding is
 * asked for, and an answer in one is handed on as it came. Not thread-safe: one client
 * for one thread.
 *
 * Secrets: a bearer token never appears in a message, and of a URL only the part before
 * its query; URLs with a password are refused (http_url_check()).
 *
 * The functions return 0 when a whole HTTP answer came, *whatever its status*, and
 * otherwise -errno with words that name the URL, the cause and the remedy:
 *   -EMSGSIZE      body or headers beyond the bound
 *   -ECANCELED     the sink wanted no more
 *   -ETIMEDOUT     no whole answer before the deadline
 *   -ECONNREFUSED  nobody listens there
 *   -ENOENT        no such socket, or no libcurl
 *   -EACCES        the socket may not be used
 *   -EHOSTUNREACH  no such host, or no way to it
 *   -EKEYREJECTED  TLS: certificate or handshake
 *   -EPROTO        not HTTP, or cut off in the middle
 *   -EINVAL        the request itself
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_client;
struct http_stream;

/* Takes the next piece of the body; the piece is valid during the call only. Return:
 * false to stop the transfer. */
typedef bool http_sink(void *context, struct str piece);

struct http_request {
    const char *url;          /* http://… or https://… */
    const char *unix_socket;  /* path to connect to instead of the URL's host; or NULL */
    const char *connect_to;   /* "address:port" likewise; the certificate must still be
                                 that of the URL's host. NULL: the URL's own */
    const char *ca_file;      /* PEM; NULL: the system's authorities */
    bool is_unverified;       /* any certificate will do: the token may go to anybody */
    const char *bearer_token; /* or NULL; anew for each request, it may rotate */
    const char *const *headers; /* "Name: value"; "Name:" removes one of libcurl's */
    size_t header_count;
    struct str body;         /* of http_post(): any bytes */
    bool is_http2;           /* HTTP/2 at once, without asking (h2c, gRPC) */
    uint64_t timeout_ns;     /* of the whole request; for a stream 0 means none */
    uint64_t max_body_bytes; /* 0 means none at all; UINT64_MAX: no bound */
    http_sink *sink;         /* NULL: the body is read and dropped */
    void *sink_context;
};

enum { HTTP_CONTENT_TYPE_BYTES = 64, HTTP_GRPC_MESSAGE_BYTES = 160 };

struct http_answer {
    long status;         /* 200, 404 …; 0 before the headers came */
    uint64_t body_bytes; /* handed to the sink */
    char content_type[HTTP_CONTENT_TYPE_BYTES]; /* "" when not given */
    bool has_grpc_status;
    uint32_t grpc_status;                       /* header or trailer */
    char grpc_message[HTTP_GRPC_MESSAGE_BYTES]; /* percent-encoded, as it came */
    bool has_retry_after;
    uint32_t retry_after_seconds; /* only its form in seconds is understood */
};

/* Loads libcurl. Return: 0; -ENOENT when there is none. Also the way to ask whether HTTP
 * sources are possible at all. */
int http_client_open(struct http_client **out, struct err *err)
    __attribute__((warn_unused_result));

/* Closes its connections; its streams must have been ended. NULL is allowed. */
void http_client_close(struct http_client *client);

int http_get(struct http_client *client, const struct http_request *request,
             struct http_answer *answer, struct err *err)
    __attribute__((warn_unused_result));
int http_post(struct http_client *client, const struct http_request *request,
              struct http_answer *answer, struct err *err)
    __attribute__((warn_unused_result));

/* 0 when the status is 2xx; otherwise -EACCES (401, 403), -ENOENT (404), -EAGAIN (429,
 * 503), -ELOOP (3xx, not followed) or -EPROTO, with words and the remedy. */
int http_check_status(const struct http_request *request,
                      const struct http_answer *answer, struct err *err);

/* A word for the error counters: "timeout", "refused" … (a bounded set). RC is what one
 * of these functions returned. */
const char *http_failure_word(int rc);

/* 0 when URL can be asked; otherwise -EINVAL with words. Looks at its form only. */
int http_url_check(const char *url, struct err *err) __attribute__((warn_unused_result));

/**
 * http_stream_begin() - a GET whose body does not end soon (a watch)
 * @request: read during the call; its sink and sink_context must outlive the stream
 *
 * Return: 0 (nothing has been sent yet: http_stream_pump() does that) or -errno.
 */
int http_stream_begin(struct http_client *client, const struct http_request *request,
                      struct http_stream **out, struct err *err)
    __attribute__((warn_unused_result));

/* Hands to the sink what has come, without waiting for more; goes on while there is more
 * for at most BUDGET_NS. Return: 0 while the stream lasts; HTTP_STREAM_ENDED when the
 * server ended it in order; -errno as above. */
int http_stream_pump(struct http_stream *stream, uint64_t budget_ns, struct err *err)
    __attribute__((warn_unused_result));
#define HTTP_STREAM_ENDED 1

/* As http_stream_pump(), but waits, BUDGET_NS at most, until the status is known or the
 * stream ends. */
int http_stream_await_status(struct http_stream *stream, uint64_t budget_ns,
                             struct err *err) __attribute__((warn_unused_result));

/* What is known so far: the status is 0 until the headers have come. */
const struct http_answer *http_stream_answer(const struct http_stream *stream);

/* NULL is allowed. */
void http_stream_end(struct http_stream *stream);
