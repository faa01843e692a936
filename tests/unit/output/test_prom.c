/* The page: the contract's rows to the letter, escaping of any byte, bounds. */
#include "../../support/cmocka_all.h"
#include "../../support/golden.h"
#include "../../support/node.h"
#include "../../support/prom_check.h"

#include "model/daemon_status.h"
#include "model/tracker.h"

/* The page of NODE by OPTIONS, which the caller releases. */
static struct buf render_as(struct node *node, struct prom_options options)
{
    struct buf page = BUF_INIT(PROM_PAGE_BYTES);
    const struct snapshot *snapshot = node_build(node);
    assert_non_null(snapshot);
    prom_render(snapshot, &options, &page);
    assert_false(buf_is_full(&page));
    return page;
}

static struct buf render(struct node *node, bool without_volatile_labels)
{
    struct buf page = render_as(
        node, (struct prom_options){.without_volatile_labels = without_volatile_labels});
    assert_null(prom_check(buf_str(&page)));
    return page;
}

static bool has_line(const struct buf *page, const char *line)
{
    struct str rest = buf_str(page), part;
    while (str_split(&rest, '\n', &part)) {
        if (str_equal(part, str_from(line)))
            return true;
    }
    return false;
}

static bool has_text(const struct buf *page, const char *text)
{
    return str_find_text(buf_str(page), str_from(text)) >= 0;
}

static void test_golden(void **state)
{
    (void)state;
    struct node node;
    node_init(&node);
    struct buf page = render(&node, false);
    assert_true(golden_matches("tests/unit/output/golden/node.prom", buf_str(&page)));
    buf_done(&page);
    node_done(&node);
}

static void test_allocations(void **state)
{
    static const char *const rows[] = {
        ",pod=\"search-0\",container=\"main\"} 1\n",
        "\ngpu_device_state{gpu=\"0\",state=\"used\"} 1\n",
        "\ngpu_device_state{gpu=\"2\",state=\"used\"} 0\n",
        "\ngpu_device_state{gpu=\"2\",state=\"allocated_unused\"} 1\n",
        "\ngpu_device_state{gpu=\"3\",state=\"used\"} 0\n",
    };
    static const char *const absent[] = {
        "gpu_device_state{gpu=\"1\"",                /* in MIG mode */
        "gpu_device_state{gpu=\"3\",state=\"free\"", /* lost */
    };
    (void)state;
    struct node node;
    node_init(&node);
    struct buf page = render(&node, false);
    assert_false(has_text(&page, "gpu_device_allocated"));
    assert_false(has_text(&page, "gpu_device_state"));
    buf_done(&page);
    node.input.allocations = node_allocations();
    page = render(&node, false);
    assert_true(
        golden_matches("tests/unit/output/golden/allocated.prom", buf_str(&page)));
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        assert_true(has_text(&page, rows[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(absent); i++)
        assert_false(has_text(&page, absent[i]));
    buf_done(&page);
    node_done(&node);
}

/* A daemon of some hours, which has replaced collecting processes. */
static const struct daemon_status a_daemon = {
    .collections = 1234,
    .collector_restarts_crashed = 2,
    .collector_restarts_timeout = 1,
    .collectors_stuck = 1,
    .server_restarts = 4,
    .is_driver_released = true,
    .usage = {.cpu_seconds = {12.25, VALUE_OK},
              .resident_bytes = {9 * MIB, VALUE_OK},
              .virtual_bytes = {64 * MIB, VALUE_OK},
              .open_descriptors = {23, VALUE_OK},
              .max_descriptors = {1024, VALUE_OK},
              .start_time_seconds = {NODE_BOOT + 60.5, VALUE_OK}},
    .refusals = {{"method", 3}, {"rate_limit", 0}},
    .refusal_count = 2,
};

struct followed_node {
    struct node node;
    void *memory;
};

/* A node whose daemon has seen one session end. */
static void followed_node_init(struct followed_node *followed)
{
    struct node *node = &followed->node;
    node_init(node);
    followed->memory = calloc(1, tracker_bytes(NODE_PROCESSES));
    node->input.tracker = tracker_init(followed->memory, NODE_PROCESSES, 1000);
    node->input.daemon = &a_daemon;
    assert_non_null(node_build(node));
    node->driver.process_count--;
}

static void followed_node_done(struct followed_node *followed)
{
    node_done(&followed->node);
    free(followed->memory);
}

static void test_golden_of_a_daemon(void **state)
{
    (void)state;
    struct followed_node followed;
    followed_node_init(&followed);
    struct buf page = render(&followed.node, false);
    assert_true(golden_matches("tests/unit/output/golden/daemon.prom", buf_str(&page)));
    buf_done(&page);
    page = render_as(&followed.node, (struct prom_options){.openmetrics = true});
    buf_append(&page, STR("# EOF\n"));
    assert_true(
        golden_matches("tests/unit/output/golden/daemon.openmetrics", buf_str(&page)));
    buf_done(&page);
    followed_node_done(&followed);
}

/* The page is its sections one after the other, and what was measured reads the same in
 * both formats. */
static void test_sections(void **state)
{
    (void)state;
    struct followed_node followed;
    followed_node_init(&followed);
    for (int openmetrics = 0; openmetrics < 2; openmetrics++) {
        struct prom_options options = {.openmetrics = openmetrics};
        struct buf whole = render_as(&followed.node, options);
        options.sections = PROM_MEASURED | PROM_STATUS | PROM_PROCESS;
        struct buf both = render_as(&followed.node, options);
        options.sections = PROM_MEASURED;
        struct buf parts = render_as(&followed.node, options);
        options.openmetrics = !openmetrics;
        struct buf measured = render_as(&followed.node, options);
        assert_true(str_equal(buf_str(&parts), buf_str(&measured)));
        assert_false(has_text(&parts, " counter\n") || has_text(&parts, "_total{"));
        options =
            (struct prom_options){.openmetrics = openmetrics, .sections = PROM_STATUS};
        struct buf status = render_as(&followed.node, options);
        assert_false(has_text(&status, "pid=") || has_text(&status, "gpu_process_"));
        assert_false(has_text(&status, "\nprocess_"));
        options.sections = PROM_PROCESS;
        struct buf process = render_as(&followed.node, options);
        buf_append(&parts, buf_str(&status));
        buf_append(&parts, buf_str(&process));
        assert_true(str_equal(buf_str(&parts), buf_str(&whole)));
        assert_true(str_equal(buf_str(&both), buf_str(&whole)));
        struct buf *all[] = {&whole, &both, &parts, &measured, &status, &process};
        for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
            buf_done(all[i]);
    }
    followed_node_done(&followed);
}

static void test_usage_that_could_not_be_read_has_no_row(void **state)
{
    (void)state;
    static const struct daemon_status blind = {
        .usage = {.cpu_seconds.state = VALUE_ERROR, .max_descriptors = {7, VALUE_OK}}};
    struct node node;
    node_init(&node);
    node.input.daemon = &blind;
    struct buf page = render(&node, false);
    assert_true(has_line(&page, "process_max_fds 7"));
    assert_false(has_text(&page, "process_cpu") || has_text(&page, "process_open"));
    assert_false(has_text(&page, "gpu_session_http_refused"));
    assert_true(
        has_line(&page, "gpu_session_collector_restarts_total{reason=\"timeout\"} 0"));
    assert_true(has_line(&page, "gpu_session_driver_released 0"));
    buf_done(&page);
    node_done(&node);
}

static void test_node_is_the_last_label_of_every_row(void **state)
{
    (void)state;
    struct node node;
    node_init(&node);
    node.input.node = "gpu \"1\"";
    struct buf page = render(&node, false);
    struct str rest = buf_str(&page), line;
    while (str_split(&rest, '\n', &line)) {
        if (!line.n || line.p[0] == '#')
            continue;
        struct str labels = str_part(line, 0, (size_t)str_find_last(line, ' '));
        assert_true(str_ends(labels, STR("node=\"gpu \\\"1\\\"\"}")));
    }
    assert_true(has_line(&page, "gpu_total_sessions{node=\"gpu \\\"1\\\"\"} 5"));
    buf_done(&page);
    node_done(&node);
}

static void test_without_volatile_labels(void **state)
{
    (void)state;
    struct node node;
    node_init(&node);
    struct buf page = render(&node, true);
    assert_false(has_text(&page, "status=") || has_text(&page, "gpu_memory="));
    assert_true(has_line(&page,
                         "gpu_process_info{gpu=\"2\",pid=\"\",command=\"\",pod=\"\","
                         "namespace=\"\",container=\"\",user=\"\"} 0"));
    buf_done(&page);
    node_done(&node);
}

static void test_pod_labels_stand_behind_the_user(void **state)
{
    (void)state;
    static const char *const values[] = {"l\"l\nm"};
    static const struct pod_metadata metadata = {"ml-team", "p", NULL, values};
    static const struct label_names names = {.entries = {{0, "label_team"}}, .count = 1};
    struct node node;
    node_init(&node);
    node.identities[0].pod.metadata = &metadata;
    node.input.labels = &names;
    struct buf page = render(&node, true);
    assert_true(has_text(&page, ",user=\"ml-team\",label_team=\"l\\\"l\\nm\"} 1\n"));
    assert_true(has_text(&page, ",user=\"research\",label_team=\"\"} 1\n"));
    assert_true(has_text(&page, "container=\"\",user=\"\",label_team=\"\"} 0\n"));
    buf_done(&page);
    node_done(&node);
}

static void test_driver_down_leaves_no_session_family(void **state)
{
    (void)state;
    struct node node;
    node_init(&node);
    node.input.driver = NULL;
    struct buf page = render(&node, false);
    assert_false(has_text(&page, "gpu_session_count") ||
                 has_text(&page, "gpu_process_") || has_text(&page, "gpu_total_") ||
                 has_text(&page, "gpu_device_"));
    assert_true(has_line(&page, "gpu_session_source_up{source=\"nvml\"} 1"));
    buf_done(&page);
    node_done(&node);
}

static void test_no_gpu_has_no_total(void **state)
{
    (void)state;
    struct node node;
    node_init(&node);
    node.driver.device_count = node.driver.process_count = 0;
    struct buf page = render(&node, false);
    assert_false(has_text(&page, "gpu_total_"));
    assert_false(has_text(&page, "gpu_session_count"));
    buf_done(&page);
    node_done(&node);
}

static void test_memory_is_whole_mib(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "\"0MiB\""},
                 {MIB - 1, "\"0MiB\""},
                 {MIB, "\"1MiB\""},
                 {2 * MIB - 1, "\"1MiB\""},
                 {1024 * MIB, "\"1024MiB\""},
                 {81559 * MIB + 5, "\"81559MiB\""}};
    (void)state;
    struct node node;
    node_init(&node);
    node.driver.process_count = 1;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        node.processes[0].memory_used_bytes.v = cases[i].bytes;
        struct buf page = render(&node, false);
        assert_true(has_text(&page, cases[i].text));
        buf_done(&page);
    }
    node_done(&node);
}

/* The value of `command` as the page has it. */
static void assert_command(const char *command, const char *escaped)
{
    struct node node;
    node_init(&node);
    node.driver.process_count = 1;
    node.identities[0].command = command;
    struct buf page = render(&node, false);
    CLEANUP(buf_done) struct buf expected = BUF_INIT(1 << 16);
    buf_printf(&expected, "command=\"%s\",pod=", escaped);
    buf_append_char(&expected, '\0');
    if (!has_text(&page, expected.p))
        fail_msg("no %s in %.*s", expected.p, (int)page.len, page.p);
    buf_done(&page);
    node_done(&node);
}

static void test_escaping(void **state)
{
    static const struct {
        const char *command, *escaped;
    } cases[] = {
        {"", ""},
        {"python3", "python3"},
        {"a\"b", "a\\\"b"},
        {"a\\b", "a\\\\b"},
        {"a\nb", "a\\nb"},
        {"a\\nb", "a\\\\nb"},
        {"\"\"", "\\\"\\\""},
        {"a\tb\rc\x01"
         "d\x7f",
         "a b c d "},
        {"\x1b[31mred", " [31mred"},
        {"\xC2\x85"
         "next",
         " next"},
        {"\xC2\xA0", "\xC2\xA0"},
        {"훈련", "훈련"},
        {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"},
        {"\xFF", "\xEF\xBF\xBD"},
        {"a\xE2\x82", "a\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"{}=,# ", "{}=,# "},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_command(cases[i].command, cases[i].escaped);
}

/* COUNT times TEXT, then TAIL; the caller releases it. */
static struct buf repeated(const char *text, size_t count, const char *tail)
{
    struct buf buf = BUF_INIT(1 << 16);
    while (count--)
        buf_append_text(&buf, text);
    buf_append_text(&buf, tail);
    buf_append_char(&buf, '\0');
    return buf;
}

/* A value is cut by its own bytes, not by those of its escapes, and never in a character.
 */
static void test_bound(void **state)
{
    static const struct {
        const char *text;
        size_t count;
        const char *tail;
        const char *kept_text;
        size_t kept;
        const char *kept_tail;
    } cases[] = {
        {"x", 256, "", "x", 256, ""},     {"x", 255, "yz", "x", 255, "y"},
        {"x", 4096, "", "x", 256, ""},    {"x", 255, "é", "x", 255, ""},
        {"x", 254, "éz", "x", 254, "é"},  {"x", 255, "éz", "x", 255, ""},
        {"\"", 300, "", "\\\"", 256, ""}, {"\\", 300, "", "\\\\", 256, ""},
        {"\n", 300, "", "\\n", 256, ""},  {"\xFF", 300, "", "\xEF\xBF\xBD", 85, ""},
        {"\x01", 300, "", " ", 256, ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buf in = repeated(cases[i].text, cases[i].count, cases[i].tail);
        struct buf out = repeated(cases[i].kept_text, cases[i].kept, cases[i].kept_tail);
        assert_command(in.p, out.p);
        buf_done(&in);
        buf_done(&out);
    }
}

/* Random bytes as name: the strict reader in render() accepts every page. */
static void test_random_names(void **state)
{
    (void)state;
    uint32_t seed = 12345;
    struct node node;
    node_init(&node);
    for (int round = 0; round < 200; round++) {
        char name[300];
        size_t length = 1 + (size_t)round;
        for (size_t i = 0; i < length; i++) {
            seed = seed * 1664525 + 1013904223;
            name[i] = (char)(1 + (seed >> 16) % 255);
        }
        name[length] = '\0';
        node.identities[0].command = node.identities[0].pod.name = name;
        node.devices[0].name = node.input.node = name;
        struct buf page = render(&node, round & 1);
        buf_done(&page);
    }
    node_done(&node);
}

/* Whatever the ceiling: the page is whole, or the buffer says that it is full. */
static void test_full(void **state)
{
    (void)state;
    struct node node;
    node_init(&node);
    struct buf whole = render(&node, false);
    const struct snapshot *snapshot = node_build(&node);
    for (size_t limit = 0; limit <= whole.len; limit += 97) {
        CLEANUP(buf_done) struct buf page = BUF_INIT(limit);
        prom_render(snapshot, &(struct prom_options){0}, &page);
        assert_true(buf_is_full(&page));
    }
    buf_done(&whole);
    node_done(&node);
}

static void test_families(void **state)
{
    (void)state;
    size_t count = 0;
    for (const struct prom_family *family; (family = prom_family_at(count)); count++) {
        assert_true(str_starts(str_from(family->name), STR("gpu_")) ||
                    str_starts(str_from(family->name), STR("process_")));
        /* One of the formats escapes each of these. */
        assert_null(strpbrk(family->help, "\"\\\n"));
        bool is_counter = str_ends(str_from(family->name), STR("_total"));
        assert_string_equal(family->type, is_counter ? "counter" : "gauge");
        for (size_t i = 0; i < count; i++)
            assert_string_not_equal(prom_family_at(i)->name, family->name);
    }
    assert_int_equal(count, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_allocations),
        cmocka_unit_test(test_golden_of_a_daemon),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_usage_that_could_not_be_read_has_no_row),
        cmocka_unit_test(test_node_is_the_last_label_of_every_row),
        cmocka_unit_test(test_without_volatile_labels),
        cmocka_unit_test(test_pod_labels_stand_behind_the_user),
        cmocka_unit_test(test_driver_down_leaves_no_session_family),
        cmocka_unit_test(test_no_gpu_has_no_total),
        cmocka_unit_test(test_memory_is_whole_mib),
        cmocka_unit_test(test_escaping),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_random_names),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_families),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
