/*
 * One line per event on standard error, as logfmt or JSON.
 *
 * Only agent/ and main log above debug level; sources and outputs report through struct
 * err and the snapshot.
 */
#pragma once

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log {
    enum log_level level;
    enum log_format format;
};

/* Writes one line of at most 2 KiB with time, level and MESSAGE. Never fails, never
 * waits: where standard error is full, the line is dropped. */
__attribute__((format(printf, 3, 4))) void log_line(const struct log *log,
                                                    enum log_level level,
                                                    const char *format, ...);

/* Reads "debug", "info", "warn" or "error". Return: false for any other word. */
bool log_level_parse(const char *word, enum log_level *level);
/* Reads "logfmt" or "json". Return: false for any other word. */
bool log_format_parse(const char *word, enum log_format *format);
