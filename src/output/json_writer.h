/*
 * JSON as a stream: each call appends to the bytes, nothing is built in memory first.
 *
 * Keys are this program's own words and are not escaped; texts may hold any byte. A key
 * is NULL for the outermost value and for the elements of an array. What does not fit
 * marks the bytes as full (buf_is_full()).
 */
#pragma once

#include "base/buf.h"

struct json_writer {
    struct buf *out;
    bool is_indented; /* two blanks a level, a line for each value; else one line */
    unsigned depth;
    bool has_before; /* a value stands before the next one in the same object or array */
};

/* Between begin and end the values are members or elements of it. */
void json_begin_object(struct json_writer *writer, const char *key);
void json_end_object(struct json_writer *writer);
void json_begin_array(struct json_writer *writer, const char *key);
void json_end_array(struct json_writer *writer);

void json_write_null(struct json_writer *writer, const char *key);
void json_write_bool(struct json_writer *writer, const char *key, bool value);
void json_write_integer(struct json_writer *writer, const char *key, uint64_t value);

/* Always with a point or an exponent; null for what is no number. */
void json_write_real(struct json_writer *writer, const char *key, double value);

/* TEXT as valid UTF-8, with TEXT_REPLACEMENT for what is not; null for NULL. Control
 * characters are escaped, U+0080–9F too: a terminal obeys them. */
void json_write_text(struct json_writer *writer, const char *key, const char *text);
