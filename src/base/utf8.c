/* UTF-8 validation after the table of well-formed byte sequences (Unicode, table 3-7). */
#include "base/utf8.h"

static bool in_range(unsigned char byte, unsigned char low, unsigned char high)
{
    return byte >= low && byte <= high;
}

/* Length promised by the first byte, and the range that its second byte must have. */
static size_t sequence_shape(unsigned char first, unsigned char *low, unsigned char *high)
{
    *low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    *high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (first < 0x80)
        return 1;
    if (in_range(first, 0xC2, 0xDF))
        return 2;
    if (in_range(first, 0xE0, 0xEF))
        return 3;
    return in_range(first, 0xF0, 0xF4) ? 4 : 0;
}

size_t utf8_sequence(struct str text)
{
    const unsigned char *bytes = (const unsigned char *)text.p;
    if (!text.n)
        return 0;
    unsigned char low, high;
    size_t length = sequence_shape(bytes[0], &low, &high);
    if (length > text.n)
        return 0;
    if (length > 1 && !in_range(bytes[1], low, high))
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (!in_range(bytes[i], 0x80, 0xBF))
            return 0;
    }
    return length;
}

struct str utf8_cut(struct str text, size_t limit)
{
    if (text.n <= limit)
        return text;
    size_t end = limit;
    while (end > 0 && end + 4 > limit && ((unsigned char)text.p[end] & 0xC0) == 0x80)
        end--;
    return str_part(text, 0, end);
}
