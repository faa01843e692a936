/* Commas and lines at every place, numbers, any bytes; read back by jansson. */
#include "../../support/cmocka_all.h"

#include "base/cleanup.h"
#include "output/json_writer.h"

#include <jansson.h>
#include <math.h>

static void assert_bytes(const struct buf *buf, const char *expected)
{
    assert_int_equal(buf->len, strlen(expected));
    assert_memory_equal(buf_str(buf).p, expected, buf->len);
}

/* Each kind of value, empty and nested containers, after and before another. */
static void write_document(struct json_writer *writer)
{
    json_begin_object(writer, NULL);
    json_begin_array(writer, "none");
    json_end_array(writer);
    json_begin_object(writer, "empty");
    json_end_object(writer);
    json_begin_array(writer, "some");
    json_write_integer(writer, NULL, 1);
    json_begin_object(writer, NULL);
    json_write_bool(writer, "yes", true);
    json_write_bool(writer, "no", false);
    json_end_object(writer);
    json_write_null(writer, NULL);
    json_end_array(writer);
    json_write_text(writer, "word", "w");
    json_end_object(writer);
}

static void test_indented(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf out = BUF_INIT(4096);
    struct json_writer writer = {.out = &out, .is_indented = true};
    write_document(&writer);
    assert_bytes(&out, "{\n"
                       "  \"none\": [],\n"
                       "  \"empty\": {},\n"
                       "  \"some\": [\n"
                       "    1,\n"
                       "    {\n"
                       "      \"yes\": true,\n"
                       "      \"no\": false\n"
                       "    },\n"
                       "    null\n"
                       "  ],\n"
                       "  \"word\": \"w\"\n"
                       "}");
}

static void test_on_one_line(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf out = BUF_INIT(4096);
    struct json_writer writer = {.out = &out};
    write_document(&writer);
    assert_bytes(&out,
                 "{\"none\":[],\"empty\":{},\"some\":[1,{\"yes\":true,\"no\":false},"
                 "null],\"word\":\"w\"}");
}

/* Outside any object, as the daemon's documents are put together from members. */
static void test_members_without_braces(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf out = BUF_INIT(4096);
    struct json_writer writer = {.out = &out};
    json_write_integer(&writer, "a", 1);
    json_write_text(&writer, "b", NULL);
    assert_bytes(&out, "\"a\":1,\"b\":null");
}

static void test_numbers(void **state)
{
    static const struct {
        double value;
        const char *expected;
    } cases[] = {
        {0, "0.0"},
        {78, "78.0"},
        {0.1, "0.1"},
        {-41.25, "-41.25"},
        {1e300, "1e+300"},
        {1.0 / 3, "0.3333333333333333"},
        {(double)NAN, "null"},
        {(double)INFINITY, "null"},
        {-(double)INFINITY, "null"},
    };
    (void)state;
    CLEANUP(buf_done) struct buf out = BUF_INIT(4096);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct json_writer writer = {.out = &out};
        json_write_real(&writer, NULL, cases[i].value);
        assert_bytes(&out, cases[i].expected);
        buf_reset(&out);
    }
    struct json_writer writer = {.out = &out};
    json_write_integer(&writer, NULL, UINT64_MAX);
    assert_bytes(&out, "18446744073709551615");
}

static void test_texts(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {NULL, "null"},
        {"", "\"\""},
        {"a\"b\\c/d", "\"a\\\"b\\\\c/d\""},
        {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
        {"\x01\x1f\x7f", "\"\\u0001\\u001F\x7f\""},
        {"\xC2\x80\xC2\x9B\xC2\x9F\xC2\xA0", "\"\\u0080\\u009B\\u009F\xC2\xA0\""},
        {"훈련", "\"훈련\""},
        {"\xFF\xED\xA0\x80", "\"\uFFFD\uFFFD\uFFFD\uFFFD\""},
        {"cut\xC2", "\"cut\uFFFD\""},
    };
    (void)state;
    CLEANUP(buf_done) struct buf out = BUF_INIT(4096);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct json_writer writer = {.out = &out};
        json_write_text(&writer, NULL, cases[i].text);
        assert_bytes(&out, cases[i].expected);
        buf_reset(&out);
    }
}

/* Every byte, alone and after a lead byte, gives what a strict reader takes. */
static void test_every_byte_is_read_back(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf out = BUF_INIT(4096);
    for (unsigned byte = 1; byte < 256; byte++) {
        const char texts[2][3] = {{(char)byte}, {(char)0xC2, (char)byte}};
        for (size_t i = 0; i < 2; i++) {
            struct json_writer writer = {.out = &out};
            json_begin_array(&writer, NULL);
            json_write_text(&writer, NULL, texts[i]);
            json_end_array(&writer);
            json_t *root = json_loadb(out.p, out.len, 0, NULL);
            assert_non_null(root);
            json_decref(root);
            buf_reset(&out);
        }
    }
}

static void test_what_does_not_fit(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < 60; limit++) {
        CLEANUP(buf_done) struct buf out = BUF_INIT(limit);
        struct json_writer writer = {.out = &out, .is_indented = true};
        write_document(&writer);
        json_write_real(&writer, NULL, 1);
        assert_true(buf_is_full(&out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_indented),
        cmocka_unit_test(test_on_one_line),
        cmocka_unit_test(test_members_without_braces),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_every_byte_is_read_back),
        cmocka_unit_test(test_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
