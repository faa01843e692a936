/*
 * Error slips: fixed-size, caller-owned, filled where the cause is known and prefixed
 * with context on the way up, so that the person reads one sentence.
 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, enum err_domain domain, int native,
            const char *format, ...)
{
    if (err) {
        va_list arguments;
        va_start(arguments, format);
        err->domain = domain;
        err->native = native;
        (void)vsnprintf(err->message, sizeof err->message, format, arguments);
        va_end(arguments);
    }
    return -code;
}

int err_errno(struct err *err, int code, const char *format, ...)
{
    if (err) {
        va_list arguments;
        va_start(arguments, format);
        err->domain = ERR_ERRNO;
        err->native = code;
        int n = vsnprintf(err->message, sizeof err->message, format, arguments);
        va_end(arguments);
        if (n >= 0 && (size_t)n < sizeof err->message)
            (void)snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s",
                           strerrordesc_np(code) ? strerrordesc_np(code)
                                                 : "unknown error");
    }
    return -code;
}

int err_wrap(struct err *err, int rc, const char *format, ...)
{
    if (err) {
        char inner[ERR_MESSAGE_BYTES];
        memcpy(inner, err->message, sizeof inner);
        va_list arguments;
        va_start(arguments, format);
        int n = vsnprintf(err->message, sizeof err->message, format, arguments);
        va_end(arguments);
        if (n >= 0 && (size_t)n < sizeof err->message)
            (void)snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s",
                           inner);
    }
    return rc;
}
