/* The document: golden, filters, hostile text, numbers. */
#include "../../support/cmocka_all.h"
#include "../../support/golden.h"
#include "../../support/node.h"

#include "output/json.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>

/* The document of NODE, parsed; the caller releases it. */
static json_t *render(struct node *node, const struct filter *filter)
{
    CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 20);
    const struct snapshot *snapshot = node_build(node);
    assert_non_null(snapshot);
    assert_int_equal(json_render(snapshot, filter, &out), 0);
    assert_int_equal(out.p[out.len - 1], '\n');
    json_t *root = json_loadb(out.p, out.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    return root;
}

static json_t *session_at(json_t *root, size_t at)
{
    return json_array_get(json_object_get(root, "sessions"), at);
}

static void test_golden(void **state)
{
    (void)state;
    struct node node;
    node_init(&node);
    node.input.node = "gpu-node-1";
    CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 20);
    assert_int_equal(json_render(node_build(&node), &(struct filter){0}, &out), 0);
    assert_true(golden_matches("tests/unit/output/golden/node.json", buf_str(&out)));
    node_done(&node);
}

static void test_filter_and_sort(void **state)
{
    (void)state;
    struct node node;
    node_init(&node);
    json_t *root = render(&node, &(struct filter){.gpu = "1", .sort = SORT_UTILIZATION});
    assert_int_equal(json_array_size(json_object_get(root, "devices")), 3);
    assert_int_equal(json_array_size(json_object_get(root, "sessions")), 3);
    assert_int_equal(json_integer_value(json_object_get(session_at(root, 0), "pid")),
                     6001);
    /* totals are the node's */
    assert_int_equal(json_integer_value(json_object_get(root, "gpu_total_sessions")), 5);
    json_decref(root);
    node_done(&node);
}

static void test_allocations(void **state)
{
    (void)state;
    struct node node;
    node_init(&node);
    json_t *root = render(&node, &(struct filter){0});
    json_t *device = json_array_get(json_object_get(root, "devices"), 0);
    assert_null(json_object_get(device, "allocations"));
    assert_null(json_object_get(device, "state"));
    assert_null(json_object_get(session_at(root, 0), "allocated"));
    json_decref(root);
    node.input.allocations = node_allocations();
    root = render(&node, &(struct filter){0});
    json_t *devices = json_object_get(root, "devices");
    device = json_array_get(devices, 0);
    json_t *given = json_object_get(device, "allocations");
    assert_int_equal(json_array_size(given), 2);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(given, 1), "pod")), "search-0");
    assert_true(json_is_true(json_object_get(json_array_get(given, 0), "used")));
    assert_true(json_is_false(json_object_get(json_array_get(given, 1), "used")));
    json_t *states = json_object_get(device, "state");
    assert_true(json_is_true(json_object_get(states, "used")));
    assert_true(json_is_true(json_object_get(states, "allocated_unused")));
    assert_true(json_is_true(json_object_get(states, "used_unallocated")));
    assert_true(json_is_false(json_object_get(states, "free")));
    assert_true(json_is_true(json_object_get(session_at(root, 0), "allocated")));
    assert_true(json_is_false(json_object_get(session_at(root, 1), "allocated")));
    assert_null(json_object_get(json_array_get(devices, 1), "state")); /* MIG mode */
    states = json_object_get(json_array_get(devices, 5), "state");     /* lost */
    assert_true(json_is_null(json_object_get(states, "free")));
    json_decref(root);
    node_done(&node);
}

static void test_any_bytes_in_names(void **state)
{
    static const struct {
        const char *name, *expected;
    } cases[] = {
        {"a\"b\\c\nd\x01", "a\"b\\c\nd\x01"},
        {"\xFF\xFE", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"훈련", "훈련"},
    };
    (void)state;
    struct node node;
    node_init(&node);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        node.identities[0].command = node.devices[0].name = cases[i].name;
        json_t *root = render(&node, &(struct filter){0});
        assert_string_equal(
            json_string_value(json_object_get(session_at(root, 0), "command")),
            cases[i].expected);
        json_decref(root);
    }
    node_done(&node);
}

static void test_missing_is_null_with_its_state(void **state)
{
    static const struct {
        enum value_state state;
        const char *word;
    } cases[] = {{VALUE_UNSET, "unset"},
                 {VALUE_UNSUPPORTED, "unsupported"},
                 {VALUE_DENIED, "denied"},
                 {VALUE_ERROR, "error"}};
    (void)state;
    struct node node;
    node_init(&node);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        node.processes[0].sm_percent.state = cases[i].state;
        json_t *root = render(&node, &(struct filter){0});
        json_t *session = session_at(root, 0);
        assert_true(json_is_null(json_object_get(session, "gpu_process_utilization")));
        assert_string_equal(
            json_string_value(json_object_get(session, "gpu_process_utilization_state")),
            cases[i].word);
        json_decref(root);
    }
    node_done(&node);
}

static void test_driver_down(void **state)
{
    (void)state;
    struct node node;
    node_init(&node);
    node.input.driver = NULL;
    json_t *root = render(&node, &(struct filter){0});
    assert_true(json_is_null(json_object_get(root, "gpu_total_sessions")));
    assert_true(json_is_null(json_object_get(root, "driver_version")));
    assert_int_equal(json_array_size(json_object_get(root, "devices")), 0);
    assert_int_equal(json_array_size(json_object_get(root, "sources")), 3);
    json_decref(root);
    node_done(&node);
}

/* "{" + STATUS + "," + WHICH + "}" of NODE, parsed; the caller releases it. */
static json_t *render_members(struct node *node, enum json_members which)
{
    CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 20);
    const struct snapshot *snapshot = node_build(node);
    assert_non_null(snapshot);
    buf_append_char(&out, '{');
    assert_int_equal(json_render_members(snapshot, JSON_STATUS, &out), 0);
    buf_append_char(&out, ',');
    assert_int_equal(json_render_members(snapshot, which, &out), 0);
    buf_append_char(&out, '}');
    assert_true(str_find(buf_str(&out), '\n') < 0);
    json_t *root = json_loadb(out.p, out.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    return root;
}

/* Each field of PART is in WHOLE with the same value. */
static void assert_part(json_t *part, json_t *whole)
{
    const char *key;
    json_t *value;
    json_object_foreach(part, key, value)
    {
        if (!json_equal(value, json_object_get(whole, key)))
            fail_msg("%s differs", key);
    }
}

/* Together the API's documents have what `list --json` has, neither more nor less. */
static void test_members(void **state)
{
    (void)state;
    struct node node;
    for (int is_down = 0; is_down < 2; is_down++) {
        node_init(&node);
        if (is_down)
            node.input.driver = NULL;
        json_t *whole = render(&node, &(struct filter){0});
        json_t *sessions = render_members(&node, JSON_SESSIONS);
        json_t *devices = render_members(&node, JSON_DEVICES);
        assert_part(sessions, whole);
        assert_part(devices, whole);
        assert_null(json_object_get(sessions, "devices"));
        assert_null(json_object_get(devices, "sessions"));
        assert_int_equal(json_object_size(sessions), json_object_size(whole) - 1);
        assert_int_equal(json_object_size(devices), json_object_size(whole) - 1);
        json_decref(whole);
        json_decref(sessions);
        json_decref(devices);
        node_done(&node);
    }
}

static void test_output_that_does_not_fit(void **state)
{
    (void)state;
    struct node node;
    node_init(&node);
    const struct snapshot *snapshot = node_build(&node);
    for (size_t limit = 0; limit < 4096; limit += 101) {
        CLEANUP(buf_done) struct buf out = BUF_INIT(limit);
        assert_int_equal(json_render(snapshot, &(struct filter){0}, &out), -ENOMEM);
        buf_reset(&out);
        out.limit = limit / 16;
        for (int which = JSON_STATUS; which <= JSON_DEVICES; which++)
            assert_int_equal(
                json_render_members(snapshot, (enum json_members)which, &out), -ENOMEM);
    }
    node_done(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_filter_and_sort),
        cmocka_unit_test(test_allocations),
        cmocka_unit_test(test_any_bytes_in_names),
        cmocka_unit_test(test_missing_is_null_with_its_state),
        cmocka_unit_test(test_driver_down),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_output_that_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
