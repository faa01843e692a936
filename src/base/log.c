/* Log lines: time=… level=… msg="…", escaped so that hostile text stays on its line. */
#include "base/log.h"

#include "base/fdio.h"
#include "base/utf8.h"

#include <poll.h>
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

/* Copies MESSAGE so that it can stand between double quotes in both formats: quotes and
 * backslashes escaped, control characters made spaces, bytes that are not UTF-8 made '?'.
 */
static void quote_message(char *out, size_t capacity, const char *message)
{
    size_t at = 0;
    struct str rest = str_from(message);
    while (rest.n) {
        size_t length = utf8_sequence(rest);
        size_t step = length ? length : 1;
        if (at + step + 1 >= capacity)
            break;
        unsigned char first = (unsigned char)rest.p[0];
        if (first == '"' || first == '\\')
            out[at++] = '\\';
        if (first < 0x20 || first == 0x7F || !length) {
            out[at++] = length ? ' ' : '?';
        } else {
            memcpy(out + at, rest.p, length);
            at += length;
        }
        rest = str_part(rest, step, rest.n - step);
    }
    out[at] = '\0';
}

static void utc_stamp(char *out, size_t capacity)
{
    struct timespec now;
    struct tm utc;
    char seconds[32];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(out, capacity, "%s.%03dZ", seconds, (int)(now.tv_nsec / 1000000));
}

/* Whether a line can be written without waiting for who reads it. Asked of the descriptor
 * each time: its flags are shared with other programs. A pipe that says yes takes a page
 * at least, unless another process fills it first. */
static bool takes_a_line(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLOUT};
    return poll(&poller, 1, 0) == 1 && (poller.revents & POLLOUT);
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
    quote_message(quoted, sizeof quoted, message);
    char stamp[48];
    utc_stamp(stamp, sizeof stamp);

    char line[LINE_BYTES];
    int n = log->format == LOG_JSON
                ? snprintf(line, sizeof line,
                           "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":\"%s\"}\n", stamp,
                           level_names[level], quoted)
                : snprintf(line, sizeof line, "time=%s level=%s msg=\"%s\"\n", stamp,
                           level_names[level], quoted);
    if (n > 0 && takes_a_line(STDERR_FILENO))
        (void)fdio_write_all(STDERR_FILENO, (struct str){line, (size_t)n});
}
