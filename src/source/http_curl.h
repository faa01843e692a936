/*
 * libcurl as a table of typed functions, loaded when the first HTTP source is switched
 * on.
 *
 * Linking it would load about thirty libraries at every start: 3.5 ms that most runs,
 * which ask nobody over HTTP, need not pay.
 */
#pragma once

#include "base/err.h"

/* The macros of these would hide the table's fields of the same name; deprecated names
 * are the ones that the oldest supported library (7.61) knows. */
#define CURL_DISABLE_TYPECHECK
#define CURL_DISABLE_DEPRECATION
#include <curl/curl.h>

#define HTTP_CURL_SYMBOLS(FIELD)                                                         \
    FIELD(curl_global_init)                                                              \
    FIELD(curl_global_cleanup)                                                           \
    FIELD(curl_version_info)                                                             \
    FIELD(curl_slist_append)                                                             \
    FIELD(curl_slist_free_all)                                                           \
    FIELD(curl_easy_init)                                                                \
    FIELD(curl_easy_setopt)                                                              \
    FIELD(curl_easy_getinfo)                                                             \
    FIELD(curl_easy_perform)                                                             \
    FIELD(curl_easy_reset)                                                               \
    FIELD(curl_easy_cleanup)                                                             \
    FIELD(curl_easy_strerror)                                                            \
    FIELD(curl_multi_init)                                                               \
    FIELD(curl_multi_add_handle)                                                         \
    FIELD(curl_multi_remove_handle)                                                      \
    FIELD(curl_multi_perform)                                                            \
    FIELD(curl_multi_wait)                                                               \
    FIELD(curl_multi_info_read)                                                          \
    FIELD(curl_multi_cleanup)

struct http_curl {
    void *library; /* of dlopen; NULL when there is nothing to close */
#define HTTP_CURL_FIELD(symbol) __typeof__(&(symbol)) symbol;
    HTTP_CURL_SYMBOLS(HTTP_CURL_FIELD)
#undef HTTP_CURL_FIELD
};

/* Loads libcurl (GnuTLS's flavour first: our HTTP server has that TLS library loaded
 * already). CURL is written only on success; give it to http_curl_unload().
 * Return: 0; -ENOENT when there is none or it cannot be used, with the remedy. */
int http_curl_load(struct http_curl *curl, struct err *err)
    __attribute__((warn_unused_result));

void http_curl_unload(struct http_curl *curl);

/* Whether it was built with HTTP/2. */
int http_curl_has_http2(const struct http_curl *curl);
