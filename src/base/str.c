/* Views of bytes and the small kit of reading functions over them. */
#include "base/str.h"

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_equal(str_part(s, 0, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_equal(str_part(s, s.n - suffix.n, suffix.n), suffix);
}

ptrdiff_t str_find(struct str s, char c)
{
    const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;
    return hit ? hit - s.p : -1;
}

ptrdiff_t str_find_last(struct str s, char c)
{
    const char *hit = s.n ? memrchr(s.p, c, s.n) : NULL;
    return hit ? hit - s.p : -1;
}

ptrdiff_t str_find_text(struct str s, struct str needle)
{
    const char *hit = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return hit ? hit - s.p : -1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.n && is_blank(s.p[0]))
        s = str_part(s, 1, s.n - 1);
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool str_split(struct str *rest, char separator, struct str *part)
{
    if (!rest->p)
        return false;
    ptrdiff_t at = str_find(*rest, separator);
    if (at < 0) {
        *part = *rest;
        *rest = (struct str){NULL, 0};
        return true;
    }
    *part = str_part(*rest, 0, (size_t)at);
    *rest = str_part(*rest, (size_t)at + 1, rest->n - (size_t)at - 1);
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool str_u64(struct str s, uint64_t *value)
{
    uint64_t result = 0;
    if (!s.n)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i]) || __builtin_mul_overflow(result, 10, &result) ||
            __builtin_add_overflow(result, (uint64_t)(s.p[i] - '0'), &result))
            return false;
    }
    *value = result;
    return true;
}

bool str_u32(struct str s, uint32_t *value)
{
    uint64_t wide;
    if (!str_u64(s, &wide) || wide > UINT32_MAX)
        return false;
    *value = (uint32_t)wide;
    return true;
}

bool str_double(struct str s, double *value)
{
    bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_part(s, 1, s.n - 1);
    ptrdiff_t point = str_find(s, '.');
    struct str whole = point < 0 ? s : str_part(s, 0, (size_t)point);
    uint64_t integer;
    if (whole.n > 15 || !str_u64(whole, &integer))
        return false;
    double result = (double)integer;
    if (point >= 0) {
        struct str digits = str_part(s, (size_t)point + 1, s.n - (size_t)point - 1);
        uint64_t fraction;
        if (digits.n > 15 || !str_u64(digits, &fraction))
            return false;
        double scale = 1;
        for (size_t i = 0; i < digits.n; i++)
            scale *= 10;
        result += (double)fraction / scale;
    }
    *value = negative ? -result : result;
    return true;
}

bool str_is_hex(struct str s, size_t n)
{
    if (s.n != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(s.p[i]) && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
            return false;
    }
    return true;
}

uint64_t str_hash(struct str s)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < s.n; i++)
        hash = (hash ^ (unsigned char)s.p[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}
