/*
 * A strict reader of the Prometheus text format 0.0.4 as this program writes it: stricter
 * than the format, so that every consumer's dialect is satisfied. prom_check() returns
 * NULL, or what is wrong.
 */
#pragma once

#include "base/str.h"
#include "base/utf8.h"
#include "output/prom.h"

struct prom_checker {
    struct str family; /* of the last TYPE line */
    struct str help;   /* of the last HELP line */
    size_t rows;       /* of this family */
};

static inline bool prom_is_name_byte(char c, bool is_first)
{
    return (c >= 'a' && c <= 'z') || c == '_' || (!is_first && c >= '0' && c <= '9');
}

static inline struct str prom_take_name(struct str *line)
{
    size_t n = 0;
    while (n < line->n && prom_is_name_byte(line->p[n], n == 0))
        n++;
    struct str name = str_part(*line, 0, n);
    *line = str_part(*line, n, line->n - n);
    return name;
}

static inline bool prom_take(struct str *line, struct str what)
{
    if (!str_starts(*line, what))
        return false;
    *line = str_part(*line, what.n, line->n - what.n);
    return true;
}

/* A quoted, escaped label value of bounded size without control characters. */
static inline const char *prom_take_value(struct str *line)
{
    size_t bytes = 0;
    if (!prom_take(line, STR("\"")))
        return "label value does not begin with a quote";
    while (!prom_take(line, STR("\""))) {
        size_t n = utf8_sequence(*line);
        if (!n)
            return "label value is not UTF-8 or does not end";
        unsigned char c = (unsigned char)line->p[0];
        if (c < 0x20 || c == 0x7F || (c == 0xC2 && (unsigned char)line->p[1] < 0xA0))
            return "control character in a label value";
        size_t taken = n;
        if (c == '\\') {
            taken = 2;
            if (line->n < 2 || !memchr("\\\"n", line->p[1], 3))
                return "unknown escape";
        }
        bytes += n;
        *line = str_part(*line, taken, line->n - taken);
    }
    return bytes > PROM_LABEL_BYTES ? "label value is too long" : NULL;
}

static inline const char *prom_take_labels(struct str *line)
{
    do {
        if (!prom_take_name(line).n || !prom_take(line, STR("=")))
            return "label without a name";
        const char *wrong = prom_take_value(line);
        if (wrong)
            return wrong;
    } while (prom_take(line, STR(",")));
    return prom_take(line, STR("}")) ? NULL : "labels do not end";
}

static inline size_t prom_take_digits(struct str *text)
{
    size_t n = 0;
    while (n < text->n && text->p[n] >= '0' && text->p[n] <= '9')
        n++;
    *text = str_part(*text, n, text->n - n);
    return n;
}

/* -?digits(.digits)?(e[+-]?digits)?: a finite number, as every consumer reads it. */
static inline bool prom_is_number(struct str text)
{
    (void)prom_take(&text, STR("-"));
    if (!prom_take_digits(&text) ||
        (prom_take(&text, STR(".")) && !prom_take_digits(&text)))
        return false;
    if (prom_take(&text, STR("e"))) {
        (void)(prom_take(&text, STR("-")) || prom_take(&text, STR("+")));
        if (!prom_take_digits(&text))
            return false;
    }
    return text.n == 0;
}

static inline const char *prom_check_row(struct prom_checker *checker, struct str line)
{
    if (!str_equal(prom_take_name(&line), checker->family))
        return "row outside its family's block";
    checker->rows++;
    if (prom_take(&line, STR("{"))) {
        const char *wrong = prom_take_labels(&line);
        if (wrong)
            return wrong;
    }
    if (!prom_take(&line, STR(" ")))
        return "no single blank before the value";
    return prom_is_number(line) ? NULL : "value is not a number";
}

static inline const char *prom_check_comment(struct prom_checker *checker,
                                             struct str line)
{
    if (prom_take(&line, STR("# HELP "))) {
        if (checker->family.n && !checker->rows)
            return "family without rows";
        checker->help = prom_take_name(&line);
        checker->family = (struct str){0};
        return checker->help.n && line.n > 1 ? NULL : "HELP without text";
    }
    if (!prom_take(&line, STR("# TYPE ")))
        return "unknown comment";
    checker->family = prom_take_name(&line);
    checker->rows = 0;
    if (!str_equal(checker->family, checker->help))
        return "TYPE of another family than HELP";
    return str_equal(line, STR(" gauge")) || str_equal(line, STR(" counter"))
               ? NULL
               : "unknown type";
}

/* No two rows of the page are the same series. Quadratic: for small pages. */
static inline const char *prom_check_unique(struct str page)
{
    struct str rest = page, line, other;
    while (str_split(&rest, '\n', &line)) {
        ptrdiff_t end = str_find_last(line, ' ');
        struct str later = rest;
        while (end > 0 && later.p && str_split(&later, '\n', &other)) {
            if (other.n && other.p[0] != '#' &&
                str_starts(other, str_part(line, 0, (size_t)end + 1)) &&
                str_find_last(other, ' ') == end)
                return "a series appears twice";
        }
    }
    return NULL;
}

static inline const char *prom_check(struct str page)
{
    struct prom_checker checker = {0};
    struct str line;
    if (page.n && page.p[page.n - 1] != '\n')
        return "no newline at the end";
    if (page.n)
        page.n--;
    for (struct str rest = page; str_split(&rest, '\n', &line);) {
        bool is_comment = line.n && line.p[0] == '#';
        const char *wrong = is_comment ? prom_check_comment(&checker, line)
                                       : prom_check_row(&checker, line);
        if (wrong)
            return wrong;
    }
    if (!checker.rows)
        return "family without rows";
    return prom_check_unique(page);
}
