/* A table from libcurl's codes; where the code alone does not say why (a connection that
 * failed), the system's errno does. */
#include "source/http_failure.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>

struct failure {
    int code; /* an errno value */
    const char *cause;
    const char *remedy;
};

static const struct {
    CURLcode curl;
    struct failure failure;
} failures[] = {
    {CURLE_URL_MALFORMAT, {EINVAL, "no such URL", "correct it"}},
    {CURLE_COULDNT_RESOLVE_HOST,
     {EHOSTUNREACH, "no address for this host name", "correct the name, or ask DNS why"}},
    {CURLE_OPERATION_TIMEDOUT,
     {ETIMEDOUT, "no whole answer in time", "see whether the server is overloaded"}},
    {CURLE_PEER_FAILED_VERIFICATION,
     {EKEYREJECTED, "its certificate is not trusted",
      "name the authority's file, or the host as the certificate names it"}},
    {CURLE_SSL_CACERT_BADFILE,
     {EKEYREJECTED, "the authority's file cannot be used", "name a readable PEM file"}},
    {CURLE_SSL_CONNECT_ERROR,
     {EKEYREJECTED, "the TLS handshake failed",
      "see whether the port speaks TLS 1.2 or newer"}},
    {CURLE_HTTP2,
     {EPROTO, "not HTTP/2, or broken", "see whether the right server listens there"}},
    {CURLE_HTTP2_STREAM,
     {EPROTO, "the server refused the request before reading it",
      "see whether it knows this service"}},
    {CURLE_GOT_NOTHING,
     {EPROTO, "it closed the connection without an answer", "see its log"}},
    {CURLE_PARTIAL_FILE, {EPROTO, "the answer was cut off", "see its log"}},
    {CURLE_RECV_ERROR, {EPROTO, "the connection broke", "see its log"}},
    {CURLE_SEND_ERROR, {EPROTO, "the connection broke", "see its log"}},
    {CURLE_OUT_OF_MEMORY, {ENOMEM, "no memory", "raise the memory limit"}},
};

static const struct failure anything_else = {
    EPROTO, "not an HTTP answer", "see whether the right server listens there"};

static const struct {
    int system_code;
    struct failure failure;
} connect_failures[] = {
    /* The system refused nothing: the other end took the connection and was gone before
     * libcurl looked. */
    {0, {EPROTO, "it closed the connection without an answer", "see its log"}},
    {ECONNREFUSED,
     {ECONNREFUSED, "nobody listens there", "start the server or correct the address"}},
    {ENOENT, {ENOENT, "no such socket", "start the server or correct the path"}},
    {EACCES,
     {EACCES, "the socket may not be used by this user",
      "run as a user that may (uid 0), or switch this source off"}},
    {EPERM,
     {EACCES, "the kernel forbids the connection",
      "allow it in the sandbox or firewall"}},
};

static const struct failure unreachable = {EHOSTUNREACH, "no connection",
                                           "see whether the address can be reached"};

static struct failure find_connect_failure(const struct http_transfer *transfer)
{
    long system_code = 0;
    (void)transfer->curl->curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO,
                                            &system_code);
    for (size_t i = 0; i < ARRAY_LENGTH(connect_failures); i++) {
        if (connect_failures[i].system_code == system_code)
            return connect_failures[i].failure;
    }
    return unreachable;
}

static struct failure find_failure(const struct http_transfer *transfer, CURLcode code)
{
    if (transfer->is_too_large || code == CURLE_FILESIZE_EXCEEDED)
        return (struct failure){EMSGSIZE, "the answer is larger than allowed",
                                "see whether the right server listens there"};
    if (transfer->is_stopped)
        return (struct failure){ECANCELED, "the answer cannot be used",
                                "see whether the right server listens there"};
    if (code == CURLE_COULDNT_CONNECT)
        return find_connect_failure(transfer);
    for (size_t i = 0; i < ARRAY_LENGTH(failures); i++) {
        if (failures[i].curl == code)
            return failures[i].failure;
    }
    return anything_else;
}

int http_failure_set(const struct http_transfer *transfer, CURLcode code, struct err *err)
{
    if (code == CURLE_OK)
        return 0;
    struct failure failure = find_failure(transfer, code);
    if (failure.code == ETIMEDOUT)
        return err_set(err, ETIMEDOUT, ERR_HTTP, (int)code, "%s: %s (%.1f s): %s",
                       transfer->target, failure.cause,
                       (double)transfer->timeout_ns / 1e9, failure.remedy);
    if (code == CURLE_SSL_CACERT_BADFILE)
        return err_set(err, failure.code, ERR_HTTP, (int)code, "%s: %s (%.100s): %s",
                       transfer->target, failure.cause,
                       transfer->ca_file[0] ? transfer->ca_file : "the system's",
                       failure.remedy);
    if (failure.code == EKEYREJECTED || failure.code == EPROTO)
        return err_set(err, failure.code, ERR_HTTP, (int)code, "%s: %s (%.90s): %s",
                       transfer->target, failure.cause,
                       transfer->curl_message[0]
                           ? transfer->curl_message
                           : transfer->curl->curl_easy_strerror(code),
                       failure.remedy);
    return err_set(err, failure.code, ERR_HTTP, (int)code, "%s: %s: %s", transfer->target,
                   failure.cause, failure.remedy);
}

const char *http_failure_word(int rc)
{
    static const struct {
        int code;
        const char *word;
    } words[] = {
        {EMSGSIZE, "too_large"},   {ECANCELED, "unusable"},  {ETIMEDOUT, "timeout"},
        {ECONNREFUSED, "refused"}, {ENOENT, "not_found"},    {EACCES, "denied"},
        {EHOSTUNREACH, "no_host"}, {EKEYREJECTED, "tls"},    {EPROTO, "bad_answer"},
        {EINVAL, "bad_request"},   {EAGAIN, "told_to_wait"}, {ELOOP, "redirect"},
        {ENOMEM, "no_memory"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (words[i].code == -rc)
            return words[i].word;
    }
    return "failed";
}

int http_check_status(const struct http_request *request,
                      const struct http_answer *answer, struct err *err)
{
    static const struct {
        long from, to;
        struct failure failure;
    } rows[] = {
        {300, 399, {ELOOP, "it points elsewhere", "name the final URL"}},
        {401, 401, {EACCES, "it does not accept the credentials", "see the token"}},
        {403, 403, {EACCES, "not permitted", "grant the right, see docs/privileges.md"}},
        {404, 404, {ENOENT, "no such page", "correct the path"}},
        {429, 429, {EAGAIN, "too many requests", "wait; it is asked again"}},
        {503, 503, {EAGAIN, "not available now", "wait; it is asked again"}},
        {500, 599, {EPROTO, "the server failed", "see its log"}},
    };
    struct failure failure = {EPROTO, "not the answer to expect",
                              "see whether the right server listens there"};
    if (answer->status >= 200 && answer->status <= 299)
        return 0;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (answer->status >= rows[i].from && answer->status <= rows[i].to) {
            failure = rows[i].failure;
            break;
        }
    }
    char shown[HTTP_TARGET_BYTES];
    http_url_show(request->url, shown, sizeof shown);
    return err_set(err, failure.code, ERR_HTTP, (int)answer->status,
                   "%s: HTTP %ld, %s: %s", shown, answer->status, failure.cause,
                   failure.remedy);
}
