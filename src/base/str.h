/*
 * A borrowed view of bytes: pointer and length, no NUL needed, nothing owned.
 *
 * All parsers of text from outside read through these functions: they check bounds and
 * overflow, know no locale and never allocate. A cursor (struct str *) moves only on
 * success.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

static inline struct str str_from(const char *text)
{
    return (struct str){text, text ? strlen(text) : 0};
}

static inline struct str str_part(struct str s, size_t from, size_t n)
{
    return (struct str){s.p + from, n};
}

static inline bool str_equal(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* The bytes without const: for libraries that only read but do not promise it, and for
 * the owner of the memory. */
static inline void *str_without_const(struct str s)
{
    const union {
        const char *in;
        void *out;
    } view = {s.p};
    return view.out;
}

bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);

/* Position of the first (last) byte C, or -1. */
ptrdiff_t str_find(struct str s, char c);
ptrdiff_t str_find_last(struct str s, char c);
/* Position of the first occurrence of NEEDLE, or -1. */
ptrdiff_t str_find_text(struct str s, struct str needle);

/* Without blanks and tabs, CR and LF at both ends. */
struct str str_trim(struct str s);

/* Takes the text up to the first SEPARATOR (or to the end) off *REST into *PART and drops
 * the separator. Return: false when *REST was exhausted (p == NULL) before the call.
 * After the last part REST->p is NULL, so "a," has two parts, the second one empty. */
bool str_split(struct str *rest, char separator, struct str *part);

/* Decimal digits only, all of S, no sign; false on overflow, emptiness or a stray byte.
 */
bool str_u64(struct str s, uint64_t *value);
bool str_u32(struct str s, uint32_t *value);
/* Decimal with optional sign and fraction, no exponent: "-1", "41.25". */
bool str_double(struct str s, double *value);

/* FNV-1a, folded once so that its low bits are good for a table. */
uint64_t str_hash(struct str s);

/* True when S is N lower-case hex digits. */
bool str_is_hex(struct str s, size_t n);
