/* Log lines: time=… level=… msg="…", escaped so that hostile text stays on its line. */
#include "base/log.h"

#include "base/fdio.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 1024, LINE_BYTES = 2048 };

static const char *const level_names[] = {"debug", "info", "warn", "error"};

bool log_level_parse(const char *word, enum log_level *level)
{
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        if (strcmp(word, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_format_parse(const char *word, enum log_format *format)
{
    bool is_json = strcmp(word, "json") == 0;
    if (!is_json && strcmp(word, "logfmt") != 0)
        return false;
    *format = is_json ? LOG_JSON : LOG_LOGFMT;
    return true;
}

/* Copies MESSAGE so that it can stand between double quotes in both formats. */
static size_t quote_message(char *out, size_t capacity, const char *message)
{
    size_t n = 0;
    for (const char *c = message; *c && n + 2 < capacity; c++) {
        if (*c == '"' || *c == '\\')
            out[n++] = '\\';
        out[n++] = (unsigned char)*c < 0x20 || *c == 0x7F ? ' ' : *c;
    }
    out[n] = '\0';
    return n;
}

void log_line(const struct log *log, enum log_level level, const char *format, ...)
{
    if (level < log->level)
        return;
    char message[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    char quoted[LINE_BYTES - 100];
    (void)quote_message(quoted, sizeof quoted, message);

    struct timespec now;
    struct tm utc;
    char stamp[32];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    char line[LINE_BYTES];
    int milliseconds = (int)(now.tv_nsec / 1000000);
    int n = log->format == LOG_JSON
                ? snprintf(line, sizeof line,
                           "{\"time\":\"%s.%03dZ\",\"level\":\"%s\",\"msg\":\"%s\"}\n",
                           stamp, milliseconds, level_names[level], quoted)
                : snprintf(line, sizeof line, "time=%s.%03dZ level=%s msg=\"%s\"\n",
                           stamp, milliseconds, level_names[level], quoted);
    if (n > 0)
        (void)fdio_write_all(STDERR_FILENO, (struct str){line, (size_t)n});
}
