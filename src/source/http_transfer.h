/*
 * One request on its way: libcurl's options for it, and the callbacks that bound and keep
 * what comes back. Inside http_client.c's module only.
 */
#pragma once

#include "source/http_client.h"
#include "source/http_curl.h"

enum { HTTP_TARGET_BYTES = 128, HTTP_MAX_HEADER_BYTES = 64 << 10 };

struct http_transfer {
    const struct http_curl *curl;
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    http_sink *sink;
    void *sink_context;
    uint64_t max_body_bytes;
    uint64_t timeout_ns;
    size_t header_bytes;
    bool is_too_large; /* body or headers beyond their bound */
    bool is_stopped;   /* by the sink */
    bool has_failed;   /* an option could not be set */
    struct http_answer answer;
    char target[HTTP_TARGET_BYTES];     /* the URL for messages, without secrets */
    char ca_file[HTTP_TARGET_BYTES];    /* likewise for messages */
    char curl_message[CURL_ERROR_SIZE]; /* libcurl's own words; may be empty */
};

/* Puts REQUEST on EASY. TRANSFER must stay where it is until http_transfer_done().
 * Return: 0; -EINVAL, -ENOMEM. */
int http_transfer_init(struct http_transfer *transfer, const struct http_curl *curl,
                       CURL *easy, const struct http_request *request, bool is_post,
                       struct err *err) __attribute__((warn_unused_result));

/* Takes the request off the handle; its connection may be used again. */
void http_transfer_done(struct http_transfer *transfer);

/* Takes in one header line. Return: false when there have been too many bytes of them.
 */
bool http_transfer_take_header(struct http_transfer *transfer, struct str line);

/* Writes URL without user, password, query and fragment. */
void http_url_show(const char *url, char *out, size_t bytes);
