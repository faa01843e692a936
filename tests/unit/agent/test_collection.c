/* What a command prints and logs of a snapshot, and the ceilings of both. */
#include "agent/collection.h"

#include "base/cleanup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int render_word(const struct snapshot *snapshot, const void *context,
                       struct buf *out)
{
    (void)snapshot;
    buf_append_text(out, context);
    return 0;
}

static int render_nothing(const struct snapshot *snapshot, const void *context,
                          struct buf *out)
{
    (void)snapshot;
    (void)context;
    (void)out;
    return -ENOMEM;
}

static void test_body_and_notes(void **state)
{
    (void)state;
    static const struct source_status sources[] = {
        {"nvml", true, NULL},
        {"procfs", false, "not mounted"},
        {"podlogs", false, NULL},
        {"dcgm", true, "half of it"},
    };
    static const struct device_facts facts[] = {{.index = 0},
                                                {.index = 1, .fault = "GPU is lost"}};
    static const struct device devices[] = {{.facts = &facts[0], .label = "0"},
                                            {.facts = &facts[1], .label = "1"}};
    const struct snapshot snapshot = {.sources = sources,
                                      .source_count = ARRAY_LENGTH(sources),
                                      .devices = devices,
                                      .device_count = ARRAY_LENGTH(devices)};
    CLEANUP(collection_done) struct collection collection = COLLECTION_INIT;
    for (int i = 0; i < 2; i++) { /* filled anew, not appended to */
        assert_int_equal(
            collection_render(&collection, &snapshot, render_word, "page", NULL), 0);
        assert_true(str_equal(buf_str(&collection.body), STR("page")));
        assert_true(str_equal(buf_str(&collection.notes),
                              STR("procfs: not mounted\npodlogs: down\ndcgm: half of it\n"
                                  "GPU 1: GPU is lost\n")));
        assert_false(collection.is_complete);
    }
}

static void test_failures(void **state)
{
    (void)state;
    const struct snapshot snapshot = {.session_count = 7};
    struct err err = {0};
    CLEANUP(collection_done) struct collection collection = COLLECTION_INIT;
    assert_int_equal(
        collection_render(&collection, &snapshot, render_nothing, NULL, &err), -ENOMEM);
    assert_non_null(strstr(err.message, "7 sessions"));
    collection.body.limit = 3;
    assert_int_equal(collection_render(&collection, &snapshot, render_word, "page", &err),
                     -ENOMEM);
    collection.body.limit = 4;
    assert_int_equal(collection_render(&collection, &snapshot, render_word, "page", &err),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_and_notes),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
