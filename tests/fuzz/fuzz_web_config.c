/*
 * Any bytes as a web configuration: refused with a message, or settings that hold what
 * they promise.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "server/web_settings.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct web_settings *settings)
{
    CLEANUP(buf_done) struct buf priority = BUF_INIT(1 << 16);
    struct err err = {0};
    const struct tls_settings *tls = &settings->tls;
    if (settings->user_count > WEB_USERS_MAX || settings->header_count > WEB_HEADERS_MAX)
        abort();
    for (size_t i = 0; i < settings->header_count; i++) {
        if (strpbrk(settings->headers[i].value, "\r\n"))
            abort(); /* would end the header */
    }
    if (!settings->with_tls)
        return;
    if (!!tls->cert.text == !!tls->cert.file || !!tls->key.text == !!tls->key.file)
        abort();
    if (tls_priority_build(&tls->protocol, &priority, &err) != 0 && !err.message[0])
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct web_settings settings;
    struct err err = {0};
    if (size > WEB_FILE_BYTES_MAX)
        return 0;
    CLEANUP(arena_freep) struct arena *arena = arena_new(4 << 20);
    if (!arena)
        return 0;
    if (web_settings_parse(arena, "web.yml", (struct str){(const char *)data, size},
                           &settings, &err) == 0) {
        check(&settings);
        web_settings_wipe(&settings);
    } else if (!err.message[0]) {
        abort(); /* a refusal without a reason helps nobody */
    }
    return 0;
}
