/* The push parser: the grammar's edges whole and in single bytes, bounds of depth and
 * text, agreement with jansson on what JSON is. */
#include "base/json_scan.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void write_token(void *context, const struct scan_token *token)
{
    static const char marks[] = {'{', '}', '[', ']', 'k', 's', 'n', 't', 'f', '0'};
    struct buf *buf = context;
    buf_append_char(buf, marks[token->event]);
    if (token->event == SCAN_KEY || token->event == SCAN_STRING ||
        token->event == SCAN_NUMBER) {
        buf_append_char(buf, '(');
        buf_append(buf, token->text);
        buf_append_text(buf, token->is_cut ? "~)" : ")");
    }
}

/* Feeds TEXT in pieces of PIECE bytes. Return: 0 or negative; the tokens are in OUT. */
static int scan(struct str text, size_t piece, bool allows_many, struct buf *out)
{
    struct json_scan scan;
    json_scan_init(&scan, write_token, out);
    scan.allows_many = allows_many;
    while (text.n) {
        size_t n = text.n < piece ? text.n : piece;
        int rc = json_scan_feed(&scan, str_part(text, 0, n), NULL);
        if (rc != 0)
            return rc;
        text = str_part(text, n, text.n - n);
    }
    return json_scan_finish(&scan, NULL);
}

static void test_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *text, *tokens;
    } cases[] = {
        {"{}", "{}"},
        {" [ ] ", "[]"},
        {"{\"a\":1,\"b\":[true,false,null]}", "{k(a)n(1)k(b)[tf0]}"},
        {"\"a\\n\\\"\\\\\\/\\u0041\\u00e9\\u20ac\"", "s(a\n\"\\/A\xC3\xA9\xE2\x82\xAC)"},
        {"\"\\ud83d\\ude00\"", "s(\xF0\x9F\x98\x80)"},
        {"\"\\ud83dx\"", "s(\xEF\xBF\xBDx)"},
        {"\"\\ud83d\"", "s(\xEF\xBF\xBD)"},
        {"\"\\ud83d\\n\"", "s(\xEF\xBF\xBD\n)"},
        {"\"\\ud83d\\ud83d\\ude00\"", "s(\xEF\xBF\xBD\xF0\x9F\x98\x80)"},
        {"\"\\ude00\"", "s(\xEF\xBF\xBD)"},
        {"\"\\u0000\"", "s(\xEF\xBF\xBD)"},
        {"-0.5e+10", "n(-0.5e+10)"},
        {"[0,-1,2.25]", "[n(0)n(-1)n(2.25)]"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        for (size_t piece = 1; piece <= 64; piece *= 4) {
            CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 16);
            assert_int_equal(scan(str_from(cases[i].text), piece, false, &out), 0);
            buf_append_char(&out, '\0');
            assert_string_equal(buf_str(&out).p, cases[i].tokens);
        }
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",     " ",    "{",         "}",           "[",         "]",        "[1",
        "[1,]", "[,1]", "[1 2]",     "{\"a\"}",     "{a:1}",     "{\"a\":}", "{\"a\":1,}",
        "{,}",  "\"",   "\"\\x\"",   "\"\\u12g4\"", "\"\\u12\"", "\"\n\"",   "tru",
        "trux", "nul",  "01",        "1.",          ".5",        "+1",       "-",
        "1e",   "1e+",  "--1",       "1 2",         "{} {}",     "[}",       "{]",
        "'a'",  "NaN",  "{\"a\" 1}", "[1}",         "\"a\"b",    "/**/1",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 16);
        if (scan(str_from(cases[i]), 1, false, &out) == 0)
            fail_msg("taken: %s", cases[i]);
        assert_null(json_loads(cases[i], JSON_DECODE_ANY, NULL));
    }
}

static void test_many_values(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 16);
    assert_int_equal(scan(STR("{}\n[]\r\n {} 1 2"), 3, true, &out), 0);
    buf_append_char(&out, '\0');
    assert_string_equal(buf_str(&out).p, "{}[]{}n(1)n(2)");
    buf_reset(&out);
    assert_int_equal(scan(STR("\n"), 1, true, &out), 0);
    assert_true(scan(STR("{}{"), 1, true, &out) < 0);
}

static void test_depth(void **state)
{
    (void)state;
    char text[2 * SCAN_DEPTH_MAX + 2];
    memset(text, '[', SCAN_DEPTH_MAX);
    memset(text + SCAN_DEPTH_MAX, ']', SCAN_DEPTH_MAX);
    CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 16);
    assert_int_equal(scan((struct str){text, 2 * SCAN_DEPTH_MAX}, 7, false, &out), 0);
    memset(text, '[', SCAN_DEPTH_MAX + 1);
    assert_true(scan((struct str){text, SCAN_DEPTH_MAX + 1}, 7, false, &out) < 0);
}

static void test_long_text_is_cut_at_the_bound(void **state)
{
    (void)state;
    static const size_t lengths[] = {SCAN_TEXT_BYTES - 1, SCAN_TEXT_BYTES,
                                     SCAN_TEXT_BYTES + 1, 100 * SCAN_TEXT_BYTES};
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        CLEANUP(buf_done) struct buf text = BUF_INIT(1 << 20);
        CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 20);
        bool is_cut = lengths[i] > SCAN_TEXT_BYTES;
        size_t kept = is_cut ? SCAN_TEXT_BYTES : lengths[i];
        buf_append_char(&text, '"');
        for (size_t k = 0; k < lengths[i]; k++)
            buf_append_char(&text, 'x');
        buf_append_char(&text, '"');
        assert_int_equal(scan(buf_str(&text), 1000, false, &out), 0);
        assert_int_equal(out.len, kept + 3 + is_cut);
        assert_true(str_ends(buf_str(&out), is_cut ? STR("x~)") : STR("x)")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_many_values),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_long_text_is_cut_at_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
