/*
 * Characters: what may be shown, and how wide it is.
 *
 * The widths follow Unicode's East Asian Width in whole blocks. wcwidth(3) would need a
 * locale, which the program never sets, so that numbers keep their decimal point.
 */
#include "output/text.h"

#include "base/cleanup.h"
#include "base/utf8.h"

struct range {
    uint32_t first, last;
};

static const struct range zero_width[] = {
    {0x0300, 0x036F}, {0x1160, 0x11FF}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF},
    {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xE0100, 0xE01EF},
};

static const struct range double_width[] = {
    {0x1100, 0x115F},   {0x231A, 0x231B},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},
    {0xA960, 0xA97F},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},
    {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF},
    {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD},
};

/* Soft hyphen, zero-width spaces and joiners, bidirectional controls, line and paragraph
 * separators, the byte order mark, tags: with them a name can look like another one. */
static const struct range unseen[] = {
    {0x00AD, 0x00AD}, {0x061C, 0x061C}, {0x180E, 0x180E}, {0x200B, 0x200F},
    {0x2028, 0x202E}, {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xE0000, 0xE007F},
};

static bool in_ranges(uint32_t code, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    }
    return false;
}

/* Code point of one valid sequence. */
static uint32_t code_point(struct str c)
{
    const unsigned char *bytes = (const unsigned char *)c.p;
    if (c.n == 1)
        return bytes[0];
    uint32_t code = bytes[0] & (0x7FU >> c.n);
    for (size_t i = 1; i < c.n; i++)
        code = code << 6 | (bytes[i] & 0x3FU);
    return code;
}

struct str text_next(struct str *rest)
{
    size_t n = utf8_sequence(*rest);
    struct str c = n ? str_part(*rest, 0, n) : STR(TEXT_REPLACEMENT);
    size_t taken = n ? n : 1;
    *rest = str_part(*rest, taken, rest->n - taken);
    return c;
}

struct str text_next_printable(struct str *rest)
{
    struct str c = text_next(rest);
    uint32_t code = code_point(c);
    return code < 0x20 || (code >= 0x7F && code <= 0x9F) ? STR(" ") : c;
}

void text_append_terminal(struct buf *buf, const char *text)
{
    for (struct str rest = str_from(text); rest.n;) {
        struct str c = text_next_printable(&rest);
        bool is_unseen = in_ranges(code_point(c), unseen, ARRAY_LENGTH(unseen));
        buf_append(buf, is_unseen ? STR(TEXT_REPLACEMENT) : c);
    }
}

static size_t character_width(struct str c)
{
    uint32_t code = code_point(c);
    if (code < zero_width[0].first)
        return 1;
    if (in_ranges(code, zero_width, ARRAY_LENGTH(zero_width)))
        return 0;
    return in_ranges(code, double_width, ARRAY_LENGTH(double_width)) ? 2 : 1;
}

size_t text_width(struct str text)
{
    size_t width = 0;
    while (text.n)
        width += character_width(text_next(&text));
    return width;
}

struct str text_cut_width(struct str text, size_t width)
{
    struct str rest = text;
    size_t used = 0, end = 0;
    while (rest.n) {
        used += character_width(text_next(&rest));
        if (used > width)
            break;
        end = text.n - rest.n;
    }
    return str_part(text, 0, end);
}

static const char *known_or_unknown(const char *name)
{
    return name && name[0] ? name : "unknown";
}

struct pod_labels text_pod_labels(const struct pod_identity *pod)
{
    if (pod->state == POD_NONE)
        return (struct pod_labels){"", "", ""};
    bool has_names = pod->state == POD_RESOLVED;
    return (struct pod_labels){
        .namespace_ = known_or_unknown(has_names ? pod->namespace_ : NULL),
        .pod = known_or_unknown(has_names ? pod->name : NULL),
        .container = known_or_unknown(pod->container),
    };
}

const char *text_status(enum session_status status)
{
    static const char *const names[] = {"", "active", "idle"};
    return names[status];
}

const char *text_device_state(enum device_state state)
{
    static const char *const names[DEVICE_STATES] = {
        [DEVICE_USED] = "used",
        [DEVICE_ALLOCATED_UNUSED] = "allocated_unused",
        [DEVICE_USED_UNALLOCATED] = "used_unallocated",
        [DEVICE_FREE] = "free",
    };
    return names[state];
}
