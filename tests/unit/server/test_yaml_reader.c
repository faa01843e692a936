/* Strict reading: every scalar type, what is refused and with which words. */
#include "server/yaml_reader.h"

#include "../../support/cmocka_all.h"
#include "base/buf.h"
#include "base/cleanup.h"

#include <errno.h>

struct thing {
    const char *text;
    bool flag;
    uint64_t count;
    struct yaml_texts texts;
};

static const struct yaml_key keys[] = {
    {"text", yaml_read_text, offsetof(struct thing, text)},
    {"flag", yaml_read_bool, offsetof(struct thing, flag)},
    {"count", yaml_read_count, offsetof(struct thing, count)},
    {"texts", yaml_read_texts, offsetof(struct thing, texts)},
};

static int read_thing(struct arena *arena, struct str text, struct thing *thing,
                      struct err *err)
{
    struct yaml_reader reader;
    yaml_node_t *root;
    int rc = yaml_reader_parse(&reader, arena, "f.yml", text, &root, err);
    if (rc != 0)
        return rc;
    if (root)
        rc =
            yaml_read_section(&reader, root, "top", keys, ARRAY_LENGTH(keys), thing, err);
    yaml_reader_done(&reader);
    return rc;
}

static void test_values(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    struct thing thing = {.count = 7};
    struct err err = {0};
    assert_int_equal(read_thing(arena,
                                STR("text: &a 12\nflag: on\ncount: 18446744073709551615\n"
                                    "texts: [*a, \"x y\", z]\n"),
                                &thing, &err),
                     0);
    assert_string_equal(thing.text, "12");
    assert_true(thing.flag);
    assert_true(thing.count == UINT64_MAX);
    assert_int_equal(thing.texts.count, 3);
    assert_string_equal(thing.texts.items[0], "12");
    assert_string_equal(thing.texts.items[1], "x y");
}

static void test_nothing_changes_nothing(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",   "# words\n", "---\n",      "null",       "~",
        "{}", "count:\n",  "count: ~\n", "text: NULL",
    };
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct thing thing = {.count = 7};
        struct err err = {0};
        assert_int_equal(read_thing(arena, str_from(rows[i]), &thing, &err), 0);
        assert_int_equal(thing.count, 7);
        assert_null(thing.text);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *message;
    } rows[] = {
        {STR("other: 1"),
         "f.yml:1: top: unknown key \"other\"; known are text, flag, count, texts"},
        {STR("text: a\n\ntext: b\n"), "f.yml:3: top.text: is there twice; remove one"},
        {STR("text: [a]"), "f.yml:1: top.text: must be a single value"},
        {STR("text: \"a\\0b\""), "f.yml:1: top.text: holds a NUL byte"},
        {STR("flag: maybe"), "f.yml:1: top.flag: must be true or false"},
        {STR("flag: {}"), "f.yml:1: top.flag: must be true or false"},
        {STR("count: -1"), "f.yml:1: top.count: must be a whole number"},
        {STR("count: 18446744073709551616"),
         "f.yml:1: top.count: must be a whole number"},
        {STR("count: [1]"), "f.yml:1: top.count: must be a whole number"},
        {STR("texts: a"), "f.yml:1: top.texts: must be a list"},
        {STR("texts: [a, [b]]"), "f.yml:1: top.texts: must be a single value"},
        {STR("texts: &a [*a]"), "f.yml:1: top.texts: must be a single value"},
        {STR("- a"), "f.yml:1: top: must be a mapping of keys to values"},
        {STR("[a]: b"), "f.yml:1: top: a key must be a single word"},
        {STR("<<: {text: a}"), "f.yml:1: top: unknown key \"<<\""},
        {STR("text: a\n---\ntext: b\n"), "f.yml: has a second document after \"---\""},
        {STR("text: a\n  b: c\n"), "f.yml:2: not valid YAML: "},
        {STR("text: {"), "not valid YAML: "},
        {STR("text: *none"), "f.yml:1: not valid YAML: found undefined alias"},
        {STR("text: \xFF\xFE"), "not valid YAML: "},
        {STR("text: \x01"), "not valid YAML: "},
    };
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct thing thing = {0};
        struct err err = {0};
        assert_int_equal(read_thing(arena, rows[i].text, &thing, &err), -EBADMSG);
        if (!strstr(err.message, rows[i].message))
            assert_string_equal(err.message, rows[i].message);
    }
}

static int read_list(struct arena *arena, size_t count, struct err *err)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT(1 << 16);
    struct thing thing = {0};
    buf_append_text(&text, "texts: [");
    for (size_t i = 0; i < count; i++)
        buf_append_text(&text, "a,");
    buf_append_text(&text, "]");
    return read_thing(arena, buf_str(&text), &thing, err);
}

static void test_bounds(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    CLEANUP(arena_freep) struct arena *small = arena_new(8);
    struct thing thing = {0};
    struct err err = {0};
    assert_int_equal(read_list(arena, YAML_TEXTS_MAX, &err), 0);
    assert_int_equal(read_list(arena, YAML_TEXTS_MAX + 1, &err), -EBADMSG);
    assert_string_equal(err.message,
                        "f.yml:1: top.texts: has 257 entries; at most 256 are read");
    assert_int_equal(read_list(small, 9, &err), -ENOMEM);
    assert_int_equal(read_thing(small, STR("text: 0123456789"), &thing, &err), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_nothing_changes_nothing),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
