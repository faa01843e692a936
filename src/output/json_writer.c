/* Where a comma, a line and a key belong is known from depth and what stands before. */
#include "output/json_writer.h"

#include "base/cleanup.h"
#include "output/text.h"

#include <math.h>

enum { INDENT = 2 };

static void begin_line(struct json_writer *writer)
{
    if (!writer->is_indented)
        return;
    buf_append_char(writer->out, '\n');
    for (unsigned i = 0; i < writer->depth * INDENT; i++)
        buf_append_char(writer->out, ' ');
}

/* What stands between the value before and this one. */
static void begin_value(struct json_writer *writer, const char *key)
{
    if (writer->has_before)
        buf_append_char(writer->out, ',');
    if (writer->depth)
        begin_line(writer);
    writer->has_before = true;
    if (!key)
        return;
    buf_append_char(writer->out, '"');
    buf_append_text(writer->out, key);
    buf_append(writer->out, writer->is_indented ? STR("\": ") : STR("\":"));
}

static void begin_nested(struct json_writer *writer, const char *key, char bracket)
{
    begin_value(writer, key);
    buf_append_char(writer->out, bracket);
    writer->depth++;
    writer->has_before = false;
}

static void end_nested(struct json_writer *writer, char bracket)
{
    writer->depth--;
    if (writer->has_before)
        begin_line(writer);
    buf_append_char(writer->out, bracket);
    writer->has_before = true;
}

void json_begin_object(struct json_writer *writer, const char *key)
{
    begin_nested(writer, key, '{');
}

void json_end_object(struct json_writer *writer)
{
    end_nested(writer, '}');
}

void json_begin_array(struct json_writer *writer, const char *key)
{
    begin_nested(writer, key, '[');
}

void json_end_array(struct json_writer *writer)
{
    end_nested(writer, ']');
}

void json_write_null(struct json_writer *writer, const char *key)
{
    begin_value(writer, key);
    buf_append(writer->out, STR("null"));
}

void json_write_bool(struct json_writer *writer, const char *key, bool value)
{
    begin_value(writer, key);
    buf_append(writer->out, value ? STR("true") : STR("false"));
}

void json_write_integer(struct json_writer *writer, const char *key, uint64_t value)
{
    begin_value(writer, key);
    buf_append_u64(writer->out, value);
}

void json_write_real(struct json_writer *writer, const char *key, double value)
{
    if (!isfinite(value)) {
        json_write_null(writer, key);
        return;
    }
    begin_value(writer, key);
    size_t start = writer->out->len;
    buf_append_double(writer->out, value);
    struct str number = str_part(buf_str(writer->out), start, writer->out->len - start);
    if (str_find(number, '.') < 0 && str_find(number, 'e') < 0)
        buf_append(writer->out, STR(".0"));
}

/* Characters that stand for themselves, as nearly all do: they are copied in one go. */
static bool is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

static size_t plain_length(struct str text)
{
    size_t n = 0;
    while (n < text.n && is_plain(text.p[n]))
        n++;
    return n;
}

static void append_character(struct buf *out, struct str c)
{
    static const struct {
        char c, letter;
    } escapes[] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                   {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};
    unsigned char first = (unsigned char)c.p[0];
    for (size_t i = 0; i < ARRAY_LENGTH(escapes); i++) {
        if (c.p[0] == escapes[i].c) {
            buf_append(out, (struct str){(char[]){'\\', escapes[i].letter}, 2});
            return;
        }
    }
    if (first < ' ')
        buf_printf(out, "\\u%04X", first);
    else if (first == 0xC2 && (unsigned char)c.p[1] < 0xA0) /* U+0080–9F */
        buf_printf(out, "\\u%04X", (unsigned char)c.p[1]);
    else
        buf_append(out, c);
}

void json_write_text(struct json_writer *writer, const char *key, const char *text)
{
    if (!text) {
        json_write_null(writer, key);
        return;
    }
    begin_value(writer, key);
    buf_append_char(writer->out, '"');
    for (struct str rest = str_from(text); rest.n;) {
        size_t n = plain_length(rest);
        buf_append(writer->out, str_part(rest, 0, n));
        rest = str_part(rest, n, rest.n - n);
        if (rest.n)
            append_character(writer->out, text_next(&rest));
    }
    buf_append_char(writer->out, '"');
}
