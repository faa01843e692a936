/* What may be shown and how wide it is. */
#include "../../support/cmocka_all.h"

#include "base/cleanup.h"
#include "output/text.h"

#include <stdlib.h>

static void assert_text(struct buf *buf, const char *expected)
{
    buf_append_char(buf, '\0');
    assert_string_equal(buf->p, expected);
    buf_reset(buf);
}

static void test_terminal(void **state)
{
    static const struct {
        const char *text, *terminal;
    } cases[] = {
        {NULL, ""},
        {"", ""},
        {"python3", "python3"},
        {"a\tb\n\x1b[0m", "a b  [0m"},
        {"\x7f\xC2\x9B", "  "},
        {"훈련", "훈련"},
        {"\xFFx", TEXT_REPLACEMENT "x"},
        /* right-to-left override: "exe.pdf" would read "fdp.exe" */
        {"\u202Efdp", TEXT_REPLACEMENT "fdp"},
        {"a\u200Bb\uFEFF", "a" TEXT_REPLACEMENT "b" TEXT_REPLACEMENT},
    };
    (void)state;
    CLEANUP(buf_done) struct buf buf = BUF_INIT(4096);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        text_append_terminal(&buf, cases[i].text);
        assert_text(&buf, cases[i].terminal);
    }
}

static void test_width(void **state)
{
    static const struct {
        const char *text;
        size_t width;
    } cases[] = {
        {"", 0},
        {"abc", 3},
        {"é", 1},
        {"e\u0301", 1},
        {"훈련", 4},
        {"学習", 4},
        {"ｶ", 1},
        {"Ａ", 2},
        {"😀", 2},
        {"…", 1},
        {TEXT_REPLACEMENT, 1},
        {"\u1100\u1161", 2},
        {"°C", 2},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_int_equal(text_width(str_from(cases[i].text)), cases[i].width);
}

static void test_cut_width(void **state)
{
    static const struct {
        const char *text;
        size_t width;
        const char *kept;
    } cases[] = {
        {"abc", 0, ""},      {"abc", 2, "ab"}, {"abc", 3, "abc"},
        {"abc", 9, "abc"},   {"훈련", 1, ""},  {"훈련", 3, "훈"},
        {"훈련", 4, "훈련"}, {"a훈", 2, "a"},  {"e\u0301x", 1, "e\u0301"},
        {"", 5, ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct str kept = text_cut_width(str_from(cases[i].text), cases[i].width);
        assert_true(str_equal(kept, str_from(cases[i].kept)));
    }
}

static void test_pod_labels(void **state)
{
    const struct {
        struct pod_identity pod;
        const char *namespace_, *name, *container;
    } cases[] = {
        {{.state = POD_NONE, .container = "x"}, "", "", ""},
        {{.state = POD_UNKNOWN}, "unknown", "unknown", "unknown"},
        {{.state = POD_UNRESOLVED, .container = "web"}, "unknown", "unknown", "web"},
        /* half a name is no name */
        {{.state = POD_UNRESOLVED, .namespace_ = "a", .name = "b"},
         "unknown",
         "unknown",
         "unknown"},
        {{.state = POD_RESOLVED, .namespace_ = "a", .name = "b", .container = "c"},
         "a",
         "b",
         "c"},
        {{.state = POD_RESOLVED, .namespace_ = "a", .name = "b"}, "a", "b", "unknown"},
        {{.state = POD_RESOLVED, .namespace_ = "a", .name = ""},
         "a",
         "unknown",
         "unknown"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct pod_labels labels = text_pod_labels(&cases[i].pod);
        assert_string_equal(labels.namespace_, cases[i].namespace_);
        assert_string_equal(labels.pod, cases[i].name);
        assert_string_equal(labels.container, cases[i].container);
    }
}

static void test_device_state(void **state)
{
    (void)state;
    assert_string_equal(text_device_state(DEVICE_USED), "used");
    assert_string_equal(text_device_state(DEVICE_ALLOCATED_UNUSED), "allocated_unused");
    assert_string_equal(text_device_state(DEVICE_USED_UNALLOCATED), "used_unallocated");
    assert_string_equal(text_device_state(DEVICE_FREE), "free");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terminal),     cmocka_unit_test(test_width),
        cmocka_unit_test(test_cut_width),    cmocka_unit_test(test_pod_labels),
        cmocka_unit_test(test_device_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
