/* The bounded byte buffer that all renderers write to. */
#include "base/buf.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 4096 };

void buf_done(struct buf *buf)
{
    free(buf->p);
    *buf = BUF_INIT(buf->limit);
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->full = false;
}

static bool buf_make_room(struct buf *buf, size_t n)
{
    if (buf->full)
        return false;
    if (n > buf->limit - buf->len) {
        buf->full = true;
        return false;
    }
    size_t needed = buf->len + n;
    if (needed <= buf->cap)
        return true;
    size_t capacity = buf->cap ? buf->cap : FIRST_CAPACITY;
    while (capacity < needed)
        capacity *= 2;
    char *grown = realloc(buf->p, capacity);
    if (!grown) {
        buf->full = true;
        return false;
    }
    buf->p = grown;
    buf->cap = capacity;
    return true;
}

void buf_append(struct buf *buf, struct str text)
{
    if (!text.n || !buf_make_room(buf, text.n))
        return;
    memcpy(buf->p + buf->len, text.p, text.n);
    buf->len += text.n;
}

char *buf_extend(struct buf *buf, size_t n)
{
    if (!buf_make_room(buf, n))
        return NULL;
    char *bytes = buf->p + buf->len;
    buf->len += n;
    return bytes;
}

void buf_append_char(struct buf *buf, char c)
{
    buf_append(buf, (struct str){&c, 1});
}

void buf_append_u64(struct buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    buf_append(buf, (struct str){digits + at, sizeof digits - at});
}

/* Writes VALUE when it is a decimal of at most six places, as most readings are: several
 * times faster than trying precisions. Whole and fraction together stay below 2^53
 * and 10^15, so the division is exactly what a reader's strtod() does (Clinger's fast
 * path), and no shorter decimal can exist. */
static bool append_short_decimal(struct buf *buf, double value)
{
    enum { PLACES = 6, SCALE = 1000000 };
    if (!(value >= 1e-4 && value < 1e9))
        return false;
    uint64_t scaled = (uint64_t)(value * SCALE + 0.5);
    double back = (double)scaled / SCALE;
    if (back < value || back > value)
        return false;
    char digits[PLACES + 1] = ".";
    size_t length = 1;
    uint64_t rest = scaled % SCALE;
    for (uint64_t place = SCALE / 10; rest; place /= 10) {
        digits[length++] = (char)('0' + rest / place);
        rest %= place;
    }
    buf_append_u64(buf, scaled / SCALE);
    buf_append(buf, (struct str){digits, length});
    return true;
}

void buf_append_double(struct buf *buf, double value)
{
    if (isnan(value)) {
        buf_append(buf, STR("NaN"));
        return;
    }
    if (isinf(value)) {
        buf_append(buf, value > 0 ? STR("+Inf") : STR("-Inf"));
        return;
    }
    if (value >= 0 && value < 1e15 && trunc(value) >= value) {
        buf_append_u64(buf, (uint64_t)value);
        return;
    }
    if (append_short_decimal(buf, value))
        return;
    char text[40];
    for (int precision = 15; precision <= 17; precision++) {
        (void)snprintf(text, sizeof text, "%.*g", precision, value);
        /* The program never leaves the C locale, so strtod reads what %g wrote. */
        double back = strtod(text, NULL);
        if (back >= value && back <= value)
            break;
    }
    buf_append_text(buf, text);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (n < 0 || !buf_make_room(buf, (size_t)n + 1))
        return;
    va_start(arguments, format);
    (void)vsnprintf(buf->p + buf->len, (size_t)n + 1, format, arguments);
    va_end(arguments);
    buf->len += (size_t)n;
}
