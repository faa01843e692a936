/*
 * Finding and loading libcurl. The names are those of Debian's two flavours; everyone
 * else has the second. It stays in memory once loaded: the TLS libraries below it do not
 * bear being unloaded.
 */
#include "source/http_curl.h"

#include "base/cleanup.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const sonames[] = {"libcurl-gnutls.so.4", "libcurl.so.4"};

static const struct {
    const char *name;
    size_t offset; /* of its pointer in struct http_curl */
} symbols[] = {
#define SYMBOL(symbol) {#symbol, offsetof(struct http_curl, symbol)},
    HTTP_CURL_SYMBOLS(SYMBOL)
#undef SYMBOL
};

static void *open_library(struct err *err)
{
    for (size_t i = 0; i < ARRAY_LENGTH(sonames); i++) {
        void *library = dlopen(sonames[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
        if (library)
            return library;
    }
    const char *text = dlerror(); /* NOLINT(concurrency-mt-unsafe): per thread in glibc */
    (void)err_set(err, ENOENT, ERR_ERRNO, ENOENT,
                  "cannot load libcurl: %.160s; install it (Debian: libcurl3-gnutls, "
                  "Red Hat: libcurl) or switch this source off",
                  text ? text : "no reason given");
    return NULL;
}

static const char *find_symbols(struct http_curl *curl)
{
    for (size_t i = 0; i < ARRAY_LENGTH(symbols); i++) {
        void *address = dlsym(curl->library, symbols[i].name);
        if (!address)
            return symbols[i].name;
        memcpy((char *)curl + symbols[i].offset, &address, sizeof address);
    }
    return NULL;
}

int http_curl_load(struct http_curl *curl, struct err *err)
{
    struct http_curl loaded = {.library = open_library(err)};
    if (!loaded.library)
        return -ENOENT;
    const char *missing = find_symbols(&loaded);
    if (missing || loaded.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)dlclose(loaded.library);
        return err_set(err, ENOENT, ERR_ERRNO, ENOENT,
                       "libcurl cannot be used (%s fails or is missing): update it",
                       missing ? missing : "curl_global_init");
    }
    *curl = loaded;
    return 0;
}

void http_curl_unload(struct http_curl *curl)
{
    if (!curl->library)
        return;
    curl->curl_global_cleanup();
    (void)dlclose(curl->library);
    *curl = (struct http_curl){0};
}

int http_curl_has_http2(const struct http_curl *curl)
{
    return (curl->curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_HTTP2) != 0;
}
