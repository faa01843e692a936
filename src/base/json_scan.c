/*
 * A push parser: one state, one bit per open container, one bounded text. The usual
 * parsers hold a string until it ends, and grow with it; here a hostile string of any
 * length costs its first kilobyte.
 */
#include "base/json_scan.h"

#include <errno.h>

enum state {
    AT_VALUE = 0,   /* a value must come */
    AT_FIRST_VALUE, /* … or the end of the array */
    AT_KEY,         /* a key must come */
    AT_FIRST_KEY,   /* … or the end of the object */
    AT_COLON,
    AT_NEXT, /* a comma or the end of the container */
    AT_END,  /* behind the outermost value */
    IN_STRING,
    IN_ESCAPE,
    IN_HEX,
    IN_NUMBER,
    IN_LITERAL,
};

/* Where in a number; those from NUMBER_ZERO on may end it, if they are not listed before.
 */
enum number {
    NUMBER_SIGN,
    NUMBER_POINT,
    NUMBER_EXPONENT,
    NUMBER_EXPONENT_SIGN,
    NUMBER_ZERO,
    NUMBER_DIGITS,
    NUMBER_FRACTION,
    NUMBER_EXPONENT_DIGITS,
};

#define REPLACEMENT 0xFFFDU

void json_scan_init(struct json_scan *scan, scan_handler *handler, void *context)
{
    *scan = (struct json_scan){.handler = handler, .context = context, .state = AT_VALUE};
}

static int malformed(struct err *err, const char *what)
{
    return err_set(err, EBADMSG, ERR_PARSE, 0, "malformed JSON: %s", what);
}

static void emit(struct json_scan *scan, enum scan_event event, bool has_text)
{
    const struct scan_token token = {
        .event = event,
        .text = {scan->text, has_text ? scan->text_bytes : 0},
        .is_cut = has_text && scan->is_cut,
        .depth = scan->depth,
    };
    scan->handler(scan->context, &token);
}

static bool in_object(const struct json_scan *scan)
{
    return scan->depth > 0 && scan->objects >> (scan->depth - 1) & 1;
}

static void end_value(struct json_scan *scan)
{
    scan->state = scan->depth > 0 ? AT_NEXT : AT_END;
}

static int open_container(struct json_scan *scan, bool is_object, struct err *err)
{
    if (scan->depth == SCAN_DEPTH_MAX)
        return malformed(err, "nested too deeply");
    emit(scan, is_object ? SCAN_OBJECT : SCAN_ARRAY, false);
    uint64_t bit = UINT64_C(1) << scan->depth;
    scan->objects = is_object ? scan->objects | bit : scan->objects & ~bit;
    scan->depth++;
    scan->state = is_object ? AT_FIRST_KEY : AT_FIRST_VALUE;
    return 0;
}

static int close_container(struct json_scan *scan, bool is_object, struct err *err)
{
    if (scan->depth == 0 || in_object(scan) != is_object)
        return malformed(err, "a bracket that closes nothing");
    scan->depth--;
    emit(scan, is_object ? SCAN_OBJECT_END : SCAN_ARRAY_END, false);
    end_value(scan);
    return 0;
}

static void text_begin(struct json_scan *scan)
{
    scan->text_bytes = 0;
    scan->is_cut = false;
    scan->high_surrogate = 0;
}

/* After a cut nothing more is added, so that what is kept is a head of the text. */
static void text_add(struct json_scan *scan, struct str bytes)
{
    if (scan->is_cut || bytes.n > SCAN_TEXT_BYTES - scan->text_bytes) {
        size_t room = scan->is_cut ? 0 : SCAN_TEXT_BYTES - scan->text_bytes;
        memcpy(scan->text + scan->text_bytes, bytes.p, room);
        scan->text_bytes += room;
        scan->is_cut = true;
        return;
    }
    memcpy(scan->text + scan->text_bytes, bytes.p, bytes.n);
    scan->text_bytes += bytes.n;
}

static void text_add_code(struct json_scan *scan, uint32_t code)
{
    char utf8[4];
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char heads[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
    for (size_t i = n; i-- > 1; code >>= 6)
        utf8[i] = (char)(0x80U | (code & 0x3FU));
    utf8[0] = (char)(heads[n] | code);
    text_add(scan, (struct str){utf8, n});
}

/* The first half of a pair, of which the second did not follow. */
static void drop_surrogate(struct json_scan *scan)
{
    if (scan->high_surrogate)
        text_add_code(scan, REPLACEMENT);
    scan->high_surrogate = 0;
}

static void add_unicode(struct json_scan *scan, uint32_t code)
{
    bool is_low = code >= 0xDC00 && code <= 0xDFFF;
    if (scan->high_surrogate && is_low) {
        code = 0x10000 + ((scan->high_surrogate - 0xD800) << 10) + (code - 0xDC00);
        scan->high_surrogate = 0;
    } else {
        drop_surrogate(scan);
        if (code >= 0xD800 && code <= 0xDBFF) {
            scan->high_surrogate = code;
            return;
        }
    }
    /* NUL would end a text for every reader behind this one. */
    bool is_character = code != 0 && !(code >= 0xD800 && code <= 0xDFFF);
    text_add_code(scan, is_character ? code : REPLACEMENT);
}

static int take_escape(struct json_scan *scan, char c, struct err *err)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = c ? strchr(from, c) : NULL;
    if (c == 'u') {
        scan->code = scan->hex_digits = 0;
        scan->state = IN_HEX;
        return 0;
    }
    if (!at)
        return malformed(err, "an escape that there is not");
    drop_surrogate(scan);
    text_add(scan, (struct str){&to[at - from], 1});
    scan->state = IN_STRING;
    return 0;
}

static int take_hex(struct json_scan *scan, char c, struct err *err)
{
    uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                            : 16;
    if (digit == 16)
        return malformed(err, "a \\u without four hex digits");
    scan->code = scan->code << 4 | digit;
    if (++scan->hex_digits < 4)
        return 0;
    add_unicode(scan, scan->code);
    scan->state = IN_STRING;
    return 0;
}

static bool is_plain(char c)
{
    return c != '"' && c != '\\' && (unsigned char)c >= 0x20;
}

static void end_string(struct json_scan *scan)
{
    drop_surrogate(scan);
    emit(scan, scan->is_key ? SCAN_KEY : SCAN_STRING, true);
    if (scan->is_key)
        scan->state = AT_COLON;
    else
        end_value(scan);
}

/* Takes what it can of *REST, which is not empty. */
static int take_string(struct json_scan *scan, struct str *rest, struct err *err)
{
    size_t n = 0;
    while (n < rest->n && is_plain(rest->p[n]))
        n++;
    if (n) {
        drop_surrogate(scan);
        text_add(scan, str_part(*rest, 0, n));
        *rest = str_part(*rest, n, rest->n - n);
        return 0;
    }
    char c = rest->p[0];
    *rest = str_part(*rest, 1, rest->n - 1);
    if (c == '"')
        end_string(scan);
    else if (c == '\\')
        scan->state = IN_ESCAPE;
    else
        return malformed(err, "a control character in a string");
    return 0;
}

/* Where character class C leads from each place in a number; 0 stands for nowhere, since
 * no character leads back to the sign. */
enum character { CHAR_ZERO, CHAR_DIGIT, CHAR_POINT, CHAR_E, CHAR_SIGN, CHAR_OTHER };

static const unsigned char number_ways[][CHAR_OTHER + 1] = {
    [NUMBER_SIGN] = {[CHAR_ZERO] = NUMBER_ZERO, [CHAR_DIGIT] = NUMBER_DIGITS},
    [NUMBER_POINT] = {[CHAR_ZERO] = NUMBER_FRACTION, [CHAR_DIGIT] = NUMBER_FRACTION},
    [NUMBER_EXPONENT] = {[CHAR_ZERO] = NUMBER_EXPONENT_DIGITS,
                         [CHAR_DIGIT] = NUMBER_EXPONENT_DIGITS,
                         [CHAR_SIGN] = NUMBER_EXPONENT_SIGN},
    [NUMBER_EXPONENT_SIGN] =
        {[CHAR_ZERO] = NUMBER_EXPONENT_DIGITS, [CHAR_DIGIT] = NUMBER_EXPONENT_DIGITS},
    [NUMBER_ZERO] = {[CHAR_POINT] = NUMBER_POINT, [CHAR_E] = NUMBER_EXPONENT},
    [NUMBER_DIGITS] = {[CHAR_ZERO] = NUMBER_DIGITS,
                       [CHAR_DIGIT] = NUMBER_DIGITS,
                       [CHAR_POINT] = NUMBER_POINT,
                       [CHAR_E] = NUMBER_EXPONENT},
    [NUMBER_FRACTION] = {[CHAR_ZERO] = NUMBER_FRACTION,
                         [CHAR_DIGIT] = NUMBER_FRACTION,
                         [CHAR_E] = NUMBER_EXPONENT},
    [NUMBER_EXPONENT_DIGITS] =
        {[CHAR_ZERO] = NUMBER_EXPONENT_DIGITS, [CHAR_DIGIT] = NUMBER_EXPONENT_DIGITS},
};

static enum character character_of(char c)
{
    switch (c) {
    case '0': return CHAR_ZERO;
    case '.': return CHAR_POINT;
    case 'e':
    case 'E': return CHAR_E;
    case '+':
    case '-': return CHAR_SIGN;
    default: return c >= '1' && c <= '9' ? CHAR_DIGIT : CHAR_OTHER;
    }
}

/* Where character C leads in a number, or 0 when it does not belong to it. */
static unsigned number_next(unsigned at, char c)
{
    return number_ways[at][character_of(c)];
}

static int end_number(struct json_scan *scan, struct err *err)
{
    if (scan->number < NUMBER_ZERO)
        return malformed(err, "a number that breaks off");
    emit(scan, SCAN_NUMBER, true);
    end_value(scan);
    return 0;
}

/* The first character behind a number is left in *REST: it belongs to what follows. */
static int take_number(struct json_scan *scan, struct str *rest, struct err *err)
{
    unsigned next = number_next(scan->number, rest->p[0]);
    if (!next)
        return end_number(scan, err);
    scan->number = next;
    text_add(scan, str_part(*rest, 0, 1));
    *rest = str_part(*rest, 1, rest->n - 1);
    return 0;
}

static int take_literal(struct json_scan *scan, char c, struct err *err)
{
    if (c != *scan->literal)
        return malformed(err, "a word that is neither true, false nor null");
    scan->literal++;
    if (*scan->literal)
        return 0;
    emit(scan, scan->literal_event, false);
    end_value(scan);
    return 0;
}

static void begin_literal(struct json_scan *scan, const char *rest, enum scan_event event)
{
    scan->literal = rest;
    scan->literal_event = event;
    scan->state = IN_LITERAL;
}

static void begin_string(struct json_scan *scan, bool is_key)
{
    text_begin(scan);
    scan->is_key = is_key;
    scan->state = IN_STRING;
}

static int begin_number(struct json_scan *scan, char c, struct err *err)
{
    unsigned next = number_next(NUMBER_SIGN, c);
    if (!next && c != '-')
        return malformed(err, "a value was expected");
    text_begin(scan);
    text_add(scan, (struct str){&c, 1});
    scan->number = next;
    scan->state = IN_NUMBER;
    return 0;
}

static int begin_value(struct json_scan *scan, char c, struct err *err)
{
    switch (c) {
    case '{': return open_container(scan, true, err);
    case '[': return open_container(scan, false, err);
    case '"': begin_string(scan, false); return 0;
    case 't': begin_literal(scan, "rue", SCAN_TRUE); return 0;
    case 'f': begin_literal(scan, "alse", SCAN_FALSE); return 0;
    case 'n': begin_literal(scan, "ull", SCAN_NULL); return 0;
    case ']':
        if (scan->state == AT_FIRST_VALUE)
            return close_container(scan, false, err);
        break;
    default: break;
    }
    return begin_number(scan, c, err);
}

/* Between tokens. */
static int take_mark(struct json_scan *scan, char c, struct err *err)
{
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
        return 0;
    switch ((enum state)scan->state) {
    case AT_END:
        if (!scan->allows_many)
            return malformed(err, "something follows the end");
        scan->state = AT_VALUE;
        return begin_value(scan, c, err);
    case AT_KEY:
    case AT_FIRST_KEY:
        if (c == '}' && scan->state == AT_FIRST_KEY)
            return close_container(scan, true, err);
        if (c != '"')
            return malformed(err, "a key was expected");
        begin_string(scan, true);
        return 0;
    case AT_COLON:
        scan->state = AT_VALUE;
        return c == ':' ? 0 : malformed(err, "a colon was expected");
    case AT_NEXT:
        if (c == ',')
            scan->state = in_object(scan) ? AT_KEY : AT_VALUE;
        else if (c == '}' || c == ']')
            return close_container(scan, c == '}', err);
        else
            return malformed(err, "a comma was expected");
        return 0;
    case AT_VALUE:
    case AT_FIRST_VALUE:
    case IN_STRING:
    case IN_ESCAPE:
    case IN_HEX:
    case IN_NUMBER:
    case IN_LITERAL: break;
    }
    return begin_value(scan, c, err);
}

int json_scan_feed(struct json_scan *scan, struct str piece, struct err *err)
{
    int rc = 0;
    while (rc == 0 && piece.n) {
        if (scan->state == IN_STRING) {
            rc = take_string(scan, &piece, err);
            continue;
        }
        if (scan->state == IN_NUMBER) {
            rc = take_number(scan, &piece, err);
            continue;
        }
        char c = piece.p[0];
        piece = str_part(piece, 1, piece.n - 1);
        rc = scan->state == IN_ESCAPE    ? take_escape(scan, c, err)
             : scan->state == IN_HEX     ? take_hex(scan, c, err)
             : scan->state == IN_LITERAL ? take_literal(scan, c, err)
                                         : take_mark(scan, c, err);
    }
    return rc;
}

int json_scan_finish(struct json_scan *scan, struct err *err)
{
    if (scan->state == IN_NUMBER && scan->depth == 0) {
        int rc = end_number(scan, err);
        if (rc != 0)
            return rc;
    }
    if (scan->state == AT_END ||
        (scan->allows_many && scan->state == AT_VALUE && scan->depth == 0))
        return 0;
    return malformed(err, "it breaks off");
}
