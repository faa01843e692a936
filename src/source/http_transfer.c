/*
 * The options are those that kubelets, DCGM exporters and API servers want, plus those
 * that keep a hostile one harmless: no redirects, no proxy, no other protocol, no
 * HTTP/0.9, bounded headers and body.
 */
#include "source/http_transfer.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#define SET(transfer, option, value)                                                     \
    ((transfer)->has_failed |= (transfer)->curl->curl_easy_setopt(                       \
                                   (transfer)->easy, (option), (value)) != CURLE_OK)

void http_url_show(const char *url, char *out, size_t bytes)
{
    struct str shown = str_from(url);
    ptrdiff_t end = str_find(shown, '?');
    if (end < 0)
        end = str_find(shown, '#');
    if (end >= 0)
        shown.n = (size_t)end;
    ptrdiff_t host = str_find_text(shown, STR("://"));
    size_t scheme = host < 0 ? 0 : (size_t)host + 3;
    ptrdiff_t at = str_find_last(shown, '@');
    size_t skipped = at >= 0 && (size_t)at >= scheme ? (size_t)at + 1 - scheme : 0;
    (void)snprintf(out, bytes, "%.*s%.*s", (int)scheme, shown.p,
                   (int)(shown.n - scheme - skipped), shown.p + scheme + skipped);
}

int http_url_check(const char *url, struct err *err)
{
    struct str text = str_from(url);
    char shown[HTTP_TARGET_BYTES];
    http_url_show(url, shown, sizeof shown);
    size_t scheme = str_starts(text, STR("http://"))    ? strlen("http://")
                    : str_starts(text, STR("https://")) ? strlen("https://")
                                                        : 0;
    struct str rest = str_part(text, scheme, text.n - scheme);
    char first = url[scheme];
    if (scheme == 0 || first == '\0' || first == '/' || first == ':')
        return err_set(err, EINVAL, ERR_USAGE, EINVAL,
                       "'%s' is no URL: write http://HOST:PORT/PATH or https://…", shown);
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.p[i] <= ' ' || rest.p[i] > '~')
            return err_set(err, EINVAL, ERR_USAGE, EINVAL,
                           "the URL '%s' has a blank or a byte outside ASCII: write such "
                           "bytes as %%XX",
                           shown);
    }
    ptrdiff_t slash = str_find(rest, '/');
    struct str host = slash < 0 ? rest : str_part(rest, 0, (size_t)slash);
    if (str_find(host, '@') >= 0)
        return err_set(err, EINVAL, ERR_USAGE, EINVAL,
                       "the URL '%s' has a password in it, which would show in the "
                       "process list: leave it out",
                       shown);
    return 0;
}

/* The value of "Name: value" when the name is NAME; p is NULL when it is not. */
static struct str header_value(struct str line, struct str name)
{
    if (line.n <= name.n || line.p[name.n] != ':' ||
        strncasecmp(line.p, name.p, name.n) != 0)
        return (struct str){0};
    return str_trim(str_part(line, name.n + 1, line.n - name.n - 1));
}

static bool take_text(struct str line, struct str name, char *out, size_t bytes)
{
    struct str value = header_value(line, name);
    if (!value.p)
        return false;
    (void)snprintf(out, bytes, "%.*s", (int)(value.n < bytes ? value.n : bytes), value.p);
    return true;
}

static bool take_number(struct str line, struct str name, bool *has, uint32_t *out)
{
    struct str value = header_value(line, name);
    if (!value.p)
        return false;
    *has = str_u32(value, out);
    return true;
}

bool http_transfer_take_header(struct http_transfer *transfer, struct str line)
{
    struct http_answer *answer = &transfer->answer;
    transfer->header_bytes += line.n;
    if (transfer->header_bytes > HTTP_MAX_HEADER_BYTES)
        return false;
    if (str_starts(line, STR("HTTP/"))) /* an interim answer's headers do not count */
        *answer = (struct http_answer){0};
    (void)(take_text(line, STR("content-type"), answer->content_type,
                     sizeof answer->content_type) ||
           take_text(line, STR("grpc-message"), answer->grpc_message,
                     sizeof answer->grpc_message) ||
           take_number(line, STR("grpc-status"), &answer->has_grpc_status,
                       &answer->grpc_status) ||
           take_number(line, STR("retry-after"), &answer->has_retry_after,
                       &answer->retry_after_seconds));
    return true;
}

static size_t on_header(const char *bytes, size_t size, size_t count, void *context)
{
    struct http_transfer *transfer = context;
    if (http_transfer_take_header(transfer, (struct str){bytes, size * count}))
        return size * count;
    transfer->is_too_large = true;
    return 0;
}

static size_t on_body(const char *bytes, size_t size, size_t count, void *context)
{
    struct http_transfer *transfer = context;
    struct str piece = {bytes, size * count};
    if (piece.n > transfer->max_body_bytes - transfer->answer.body_bytes) {
        transfer->is_too_large = true;
        return 0;
    }
    transfer->answer.body_bytes += piece.n;
    if (transfer->sink && !transfer->sink(transfer->sink_context, piece)) {
        transfer->is_stopped = true;
        return 0;
    }
    return piece.n;
}

static void append(struct http_transfer *transfer, struct curl_slist **list,
                   const char *text)
{
    struct curl_slist *longer = transfer->curl->curl_slist_append(*list, text);
    if (longer)
        *list = longer;
    else
        transfer->has_failed = true;
}

static void set_safety(struct http_transfer *transfer, bool is_unverified)
{
    SET(transfer, CURLOPT_NOSIGNAL, 1L);
    SET(transfer, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    SET(transfer, CURLOPT_FOLLOWLOCATION, 0L);
    SET(transfer, CURLOPT_PROXY, "");
    SET(transfer, CURLOPT_HTTP09_ALLOWED, 0L);
    SET(transfer, CURLOPT_SSL_VERIFYPEER, is_unverified ? 0L : 1L);
    SET(transfer, CURLOPT_SSL_VERIFYHOST, is_unverified ? 0L : 2L);
    SET(transfer, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* A name server that does not answer must not hold up the end of the request; an
     * older library does not know the option and waits. */
    (void)transfer->curl->curl_easy_setopt(transfer->easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

static void set_time(struct http_transfer *transfer, uint64_t timeout_ns)
{
    long ms = (long)(timeout_ns / 1000000);
    SET(transfer, CURLOPT_TIMEOUT_MS, timeout_ns && ms == 0 ? 1L : ms);
    SET(transfer, CURLOPT_CONNECTTIMEOUT_MS, timeout_ns && ms < 10000 ? ms + 1 : 10000L);
    SET(transfer, CURLOPT_TCP_KEEPALIVE, 1L);
}

/* An answer that says itself that it is too large need not be read. */
static void set_size(struct http_transfer *transfer, uint64_t max_body_bytes)
{
    if (max_body_bytes > 0 && max_body_bytes <= INT64_MAX)
        SET(transfer, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)max_body_bytes);
}

static void set_callbacks(struct http_transfer *transfer)
{
    SET(transfer, CURLOPT_HEADERFUNCTION, on_header);
    SET(transfer, CURLOPT_HEADERDATA, transfer);
    SET(transfer, CURLOPT_WRITEFUNCTION, on_body);
    SET(transfer, CURLOPT_WRITEDATA, transfer);
    SET(transfer, CURLOPT_ERRORBUFFER, transfer->curl_message);
}

static void set_place(struct http_transfer *transfer, const struct http_request *request)
{
    SET(transfer, CURLOPT_URL, request->url);
    if (request->unix_socket)
        SET(transfer, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
    if (request->ca_file) {
        SET(transfer, CURLOPT_CAINFO, request->ca_file);
        /* Else distributions' libcurl also trusts all authorities in /etc/ssl/certs. */
        SET(transfer, CURLOPT_CAPATH, (const char *)NULL);
    }
    if (request->connect_to) {
        char text[HTTP_TARGET_BYTES];
        (void)snprintf(text, sizeof text, "::%s", request->connect_to);
        append(transfer, &transfer->connect_to, text);
        SET(transfer, CURLOPT_CONNECT_TO, transfer->connect_to);
    }
    /* A second HTTP/2 request on one connection fails with libcurl 7.88 (Debian 12). */
    SET(transfer, CURLOPT_HTTP_VERSION,
        (long)(request->is_http2 ? CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE
                                 : CURL_HTTP_VERSION_1_1));
    SET(transfer, CURLOPT_FORBID_REUSE, request->is_http2 ? 1L : 0L);
}

static void set_content(struct http_transfer *transfer,
                        const struct http_request *request, bool is_post)
{
    SET(transfer, CURLOPT_USERAGENT, "gpu-sessions/" PROGRAM_VERSION);
    if (request->bearer_token) {
        SET(transfer, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        SET(transfer, CURLOPT_XOAUTH2_BEARER, request->bearer_token);
    }
    for (size_t i = 0; i < request->header_count; i++)
        append(transfer, &transfer->headers, request->headers[i]);
    if (is_post) {
        append(transfer, &transfer->headers, "Expect:");
        SET(transfer, CURLOPT_POST, 1L);
        SET(transfer, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.n);
        SET(transfer, CURLOPT_COPYPOSTFIELDS, request->body.n ? request->body.p : "");
    }
    SET(transfer, CURLOPT_HTTPHEADER, transfer->headers);
}

/* A line break in a token would be a header of its own. */
static bool is_token_clean(const char *token)
{
    for (const char *c = token; c && *c; c++) {
        if (*c <= ' ' || *c > '~')
            return false;
    }
    return true;
}

static void describe(struct http_transfer *transfer, const struct http_request *request)
{
    char shown[HTTP_TARGET_BYTES];
    http_url_show(request->url, shown, sizeof shown);
    if (request->unix_socket)
        (void)snprintf(transfer->target, sizeof transfer->target, "%.80s at %.40s",
                       request->unix_socket, shown);
    else if (request->connect_to)
        (void)snprintf(transfer->target, sizeof transfer->target, "%.80s at %.40s", shown,
                       request->connect_to);
    else
        (void)snprintf(transfer->target, sizeof transfer->target, "%s", shown);
    (void)snprintf(transfer->ca_file, sizeof transfer->ca_file, "%s",
                   request->ca_file ? request->ca_file : "");
}

int http_transfer_init(struct http_transfer *transfer, const struct http_curl *curl,
                       CURL *easy, const struct http_request *request, bool is_post,
                       struct err *err)
{
    *transfer = (struct http_transfer){.curl = curl,
                                       .easy = easy,
                                       .sink = request->sink,
                                       .sink_context = request->sink_context,
                                       .max_body_bytes = request->max_body_bytes,
                                       .timeout_ns = request->timeout_ns};
    int rc = http_url_check(request->url, err);
    if (rc != 0)
        return rc;
    describe(transfer, request);
    if (!is_token_clean(request->bearer_token))
        return err_set(err, EINVAL, ERR_USAGE, EINVAL,
                       "the token for %s has blanks, line breaks or bytes outside ASCII",
                       transfer->target);
    set_safety(transfer, request->is_unverified);
    set_time(transfer, request->timeout_ns);
    set_size(transfer, request->max_body_bytes);
    set_callbacks(transfer);
    set_place(transfer, request);
    set_content(transfer, request, is_post);
    if (!transfer->has_failed)
        return 0;
    http_transfer_done(transfer);
    return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM,
                   "cannot prepare the request to %s: no memory, or this libcurl is too "
                   "old (7.64 is the oldest)",
                   transfer->target);
}

void http_transfer_done(struct http_transfer *transfer)
{
    if (!transfer->easy)
        return;
    transfer->curl->curl_easy_reset(transfer->easy);
    transfer->curl->curl_slist_free_all(transfer->headers);
    transfer->curl->curl_slist_free_all(transfer->connect_to);
    transfer->headers = NULL;
    transfer->connect_to = NULL;
}
