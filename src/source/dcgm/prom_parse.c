/*
 * Grammar of a line: name {label="value", …} value [timestamp] [# exemplar]. Blanks and
 * tabs may stand between any two of these. Comments (HELP, TYPE, # EOF) are passed over:
 * what a family is called and what its samples mean is the caller's knowledge.
 */
#include "source/dcgm/prom_parse.h"

#include <math.h>
#include <strings.h>

enum { MAX_EXPONENT = 5000 };

/* A place in the line that is being read. */
struct cursor {
    char *p;
    char *end;
};

void prom_parser_init(struct prom_parser *parser, prom_sink *sink, void *context)
{
    *parser = (struct prom_parser){.sink = sink, .context = context};
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void skip_blanks(struct cursor *at)
{
    while (at->p < at->end && (*at->p == ' ' || *at->p == '\t'))
        at->p++;
}

static bool take(struct cursor *at, char c)
{
    skip_blanks(at);
    if (at->p == at->end || *at->p != c)
        return false;
    at->p++;
    return true;
}

/* A metric's name may have colons, a label's may not. */
static bool take_name(struct cursor *at, bool with_colons, struct str *out)
{
    skip_blanks(at);
    char *start = at->p;
    while (at->p < at->end && (is_letter(*at->p) || (with_colons && *at->p == ':') ||
                               (at->p > start && is_digit(*at->p))))
        at->p++;
    *out = (struct str){start, (size_t)(at->p - start)};
    return out->n > 0;
}

/* A value in quotation marks, its escapes undone where it stands. */
static bool take_quoted(struct cursor *at, struct str *out)
{
    if (!take(at, '"'))
        return false;
    char *start = at->p;
    char *to = at->p;
    while (at->p < at->end && *at->p != '"') {
        char c = *at->p++;
        if (c == '\\' && at->p < at->end) {
            char next = *at->p++;
            if (next != '\\' && next != '"' && next != 'n')
                *to++ = c;
            c = next;
            if (next == 'n')
                c = '\n';
        }
        *to++ = c;
    }
    *out = (struct str){start, (size_t)(to - start)};
    if (at->p == at->end)
        return false;
    at->p++;
    return true;
}

static bool take_labels(struct prom_parser *parser, struct cursor *at, size_t *count)
{
    *count = 0;
    if (!take(at, '{'))
        return true;
    while (!take(at, '}')) {
        struct prom_label *label = &parser->labels[*count];
        if (*count == PROM_MAX_LABELS || !take_name(at, false, &label->name) ||
            !take(at, '=') || !take_quoted(at, &label->value))
            return false;
        ++*count;
        if (!take(at, ','))
            return take(at, '}');
    }
    return true;
}

/* The next word, up to a blank. */
static struct str take_word(struct cursor *at)
{
    skip_blanks(at);
    char *start = at->p;
    while (at->p < at->end && *at->p != ' ' && *at->p != '\t')
        at->p++;
    return (struct str){start, (size_t)(at->p - start)};
}

static bool is_word(struct str text, const char *word)
{
    return text.n == strlen(word) && strncasecmp(text.p, word, text.n) == 0;
}

static bool read_special(struct str text, double *out)
{
    if (is_word(text, "nan"))
        *out = (double)NAN;
    else if (is_word(text, "inf") || is_word(text, "infinity"))
        *out = (double)INFINITY;
    else
        return false;
    return true;
}

/* The digits of TEXT before its exponent: the first nineteen in *DIGITS, and in *SCALE
 * the power of ten that they lack. Return: how many bytes were read; 0 when there is no
 * digit.
 */
static size_t read_digits(struct str text, uint64_t *digits, int *scale)
{
    size_t i = 0;
    bool has_digit = false;
    bool has_point = false;
    *digits = 0;
    *scale = 0;
    for (; i < text.n && (is_digit(text.p[i]) || (text.p[i] == '.' && !has_point)); i++) {
        if (text.p[i] == '.') {
            has_point = true;
            continue;
        }
        has_digit = true;
        if (*digits <= (UINT64_MAX - 9) / 10) {
            *digits = *digits * 10 + (uint64_t)(text.p[i] - '0');
            *scale -= has_point;
        } else {
            *scale += !has_point;
        }
    }
    return has_digit ? i : 0;
}

static bool read_exponent(struct str text, int *exponent)
{
    *exponent = 0;
    if (text.n == 0)
        return true;
    if (text.p[0] != 'e' && text.p[0] != 'E')
        return false;
    size_t i = 1;
    bool is_negative = i < text.n && text.p[i] == '-';
    i += i < text.n && (text.p[i] == '-' || text.p[i] == '+');
    if (i == text.n)
        return false;
    for (; i < text.n; i++) {
        if (!is_digit(text.p[i]))
            return false;
        if (*exponent < MAX_EXPONENT)
            *exponent = *exponent * 10 + (text.p[i] - '0');
    }
    if (is_negative)
        *exponent = -*exponent;
    return true;
}

/* As Go's ParseFloat, which writes and reads these pages, but for hexadecimal. To the
 * last bit but one: more than any percentage needs. */
static bool read_number(struct str text, double *out)
{
    bool is_negative = text.n && text.p[0] == '-';
    if (text.n && (text.p[0] == '-' || text.p[0] == '+'))
        text = str_part(text, 1, text.n - 1);
    double value = 0;
    if (!read_special(text, &value)) {
        uint64_t digits;
        int scale;
        int exponent;
        size_t n = read_digits(text, &digits, &scale);
        if (n == 0 || !read_exponent(str_part(text, n, text.n - n), &exponent))
            return false;
        value = digits ? (double)((long double)digits * powl(10, scale + exponent)) : 0;
    }
    *out = is_negative ? -value : value;
    return true;
}

/* Milliseconds as an integer; OpenMetrics writes seconds, with a point. */
static bool read_timestamp(struct str text, double *seconds)
{
    double value;
    if (!read_number(text, &value) || !isfinite(value))
        return false;
    *seconds = str_find(text, '.') >= 0 ? value : value / 1000;
    return true;
}

static bool read_sample(struct prom_parser *parser, struct cursor at,
                        struct prom_sample *sample)
{
    if (!take_name(&at, true, &sample->name) ||
        !take_labels(parser, &at, &sample->label_count) ||
        !read_number(take_word(&at), &sample->value))
        return false;
    sample->labels = parser->labels;
    struct str next = take_word(&at);
    sample->has_timestamp = next.n && next.p[0] != '#';
    if (sample->has_timestamp) {
        if (!read_timestamp(next, &sample->timestamp_seconds))
            return false;
        next = take_word(&at);
    }
    return next.n == 0 || next.p[0] == '#';
}

static void end_line(struct prom_parser *parser)
{
    struct cursor at = {parser->line, parser->line + parser->length};
    bool is_overlong = parser->is_overlong;
    parser->length = 0;
    parser->is_overlong = false;
    if (at.end > at.p && at.end[-1] == '\r')
        at.end--;
    skip_blanks(&at);
    if (!is_overlong && (at.p == at.end || *at.p == '#'))
        return;
    struct prom_sample sample = {0};
    if (is_overlong || !read_sample(parser, at, &sample)) {
        parser->skipped++;
        return;
    }
    parser->samples++;
    parser->is_stopped = !parser->sink(parser->context, &sample);
}

static void append(struct prom_parser *parser, struct str text)
{
    if (parser->is_overlong || text.n > sizeof parser->line - parser->length) {
        parser->is_overlong = true;
        return;
    }
    memcpy(parser->line + parser->length, text.p, text.n);
    parser->length += text.n;
}

bool prom_parser_feed(struct prom_parser *parser, struct str piece)
{
    while (piece.n && !parser->is_stopped) {
        ptrdiff_t feed = str_find(piece, '\n');
        size_t n = feed < 0 ? piece.n : (size_t)feed;
        append(parser, str_part(piece, 0, n));
        if (feed < 0)
            break;
        end_line(parser);
        piece = str_part(piece, n + 1, piece.n - n - 1);
    }
    return !parser->is_stopped;
}

bool prom_parser_end(struct prom_parser *parser)
{
    if (!parser->is_stopped && (parser->length || parser->is_overlong))
        end_line(parser);
    return !parser->is_stopped;
}

struct str prom_label_value(const struct prom_sample *sample, struct str name)
{
    for (size_t i = 0; i < sample->label_count; i++) {
        if (str_equal(sample->labels[i].name, name))
            return sample->labels[i].value;
    }
    return (struct str){0};
}
