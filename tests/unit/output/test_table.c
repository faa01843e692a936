/* The table: golden, units, empty states, hints, what a terminal must not be sent. */
#include "../../support/cmocka_all.h"
#include "../../support/golden.h"
#include "../../support/node.h"

#include "output/table.h"
#include "output/text.h"

#include <errno.h>

static const struct table_options plain = {false, 0};

/* The table of NODE with a NUL behind it; the caller releases it. */
static struct buf render(struct node *node, const struct filter *filter,
                         const struct table_options *options)
{
    struct buf out = BUF_INIT(1 << 20);
    const struct snapshot *snapshot = node_build(node);
    assert_non_null(snapshot);
    assert_int_equal(table_render(snapshot, filter, options, &out), 0);
    buf_append_char(&out, '\0');
    return out;
}

static void assert_shows(struct node *node, const struct filter *filter, const char *text)
{
    struct buf out = render(node, filter, &plain);
    if (!strstr(out.p, text))
        fail_msg("no \"%s\" in:\n%s", text, out.p);
    buf_done(&out);
}

static void assert_hides(struct node *node, const struct filter *filter, const char *text)
{
    struct buf out = render(node, filter, &plain);
    if (strstr(out.p, text))
        fail_msg("\"%s\" in:\n%s", text, out.p);
    buf_done(&out);
}

static void test_golden(void **state)
{
    static const struct {
        struct table_options options;
        const char *path;
    } cases[] = {
        {{false, 0}, "tests/unit/output/golden/node.txt"},
        {{false, 72}, "tests/unit/output/golden/node_narrow.txt"},
        {{true, 0}, "tests/unit/output/golden/node_color.txt"},
    };
    (void)state;
    struct node node;
    node_init(&node);
    node.identities[1].pod.name = "노트북-1";
    node.driver.processes_omitted = 2;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buf out = render(&node, &(struct filter){0}, &cases[i].options);
        out.len--;
        assert_true(golden_matches(cases[i].path, buf_str(&out)));
        buf_done(&out);
    }
    node_done(&node);
}

static void test_allocations(void **state)
{
    static const char unused[] = "\n    allocated to  web/search-0/main  unused\n";
    static const char mark[] = "\"!\": used without";
    const struct filter all = {0}, web = {.namespace_ = "web"}, somebody = {.user = "x"};
    const struct filter trainers = {.namespace_ = "ml-team"};
    (void)state;
    struct node node;
    node_init(&node);
    assert_hides(&node, &all, "allocated");
    assert_hides(&node, &all, "!");
    node.input.allocations = node_allocations();
    assert_shows(&node, &all, unused);
    assert_shows(&node, &all, "web/search-1/main  unused\n");
    assert_shows(&node, &all, "idle !");
    assert_shows(&node, &all, mark);
    /* Only what was asked for. */
    assert_shows(&node, &web, unused);
    assert_hides(&node, &web, "train-0");
    assert_hides(&node, &web, mark);
    assert_hides(&node, &trainers, "search");
    assert_hides(&node, &trainers, "!");
    assert_hides(&node, &somebody, "search");
    node_done(&node);
}

static void test_age(void **state)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } cases[] = {
        {0, " 0s\n"},       {45, " 45s\n"},      {59, " 59s\n"},
        {60, " 1m0s\n"},    {307, " 5m7s\n"},    {3599, " 59m59s\n"},
        {3600, " 1h0m\n"},  {7980, " 2h13m\n"},  {86399, " 23h59m\n"},
        {86400, " 1d0h\n"}, {273600, " 3d4h\n"}, {400 * 86400, " 400d0h\n"},
    };
    (void)state;
    struct node node;
    node_init(&node);
    node.driver.process_count = 1;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        node.identities[0].start_ticks = 0;
        node.input.clock.now_ticks = cases[i].seconds * NODE_HZ + NODE_HZ / 2;
        assert_shows(&node, &(struct filter){0}, cases[i].text);
    }
    node_done(&node);
}

static void test_memory_units(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, " 0 MiB "},          {MIB - 1, " 0 MiB "}, {512 * MIB, " 512 MiB "},
        {GIB - 1, " 1023 MiB "}, {GIB, " 1.0 GiB "},   {3 * GIB / 2, " 1.5 GiB "},
    };
    (void)state;
    struct node node;
    node_init(&node);
    node.driver.process_count = 1;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        node.processes[0].memory_used_bytes.v = cases[i].bytes;
        assert_shows(&node, &(struct filter){0}, cases[i].text);
    }
    node_done(&node);
}

static void test_summary(void **state)
{
    static const struct {
        struct filter filter;
        const char *text;
    } cases[] = {
        {{0}, "\n5 sessions of at least 3 users on 4 GPUs (2 MIG devices)\n"},
        {{.user = "alice"},
         "\n1 of 5 sessions of at least 3 users on 4 GPUs (2 MIG devices)\n"},
        {{.user = "bob"},
         "No session of user \"bob\", among 5 sessions of at least 3 users on 4 GPUs "
         "(2 MIG devices).\nLooked at: nvml, procfs\n"},
        {{.namespace_ = "x\x1b", .gpu = "0"},
         "No session in namespace \"x \" on GPU 0, among 5 sessions"},
        {{.gpu = "2"}, "No session on GPU 2, among 5 sessions"},
        {{.gpu = "9"},
         "There is no GPU or MIG device \"9\" here; there are 0, 1, 1_7_0, "
         "1_8_0, 2, 3\n"},
    };
    (void)state;
    struct node node;
    node_init(&node);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_shows(&node, &cases[i].filter, cases[i].text);
    /* who asks for somebody does not read about other devices */
    assert_hides(&node, &(struct filter){.user = "alice"}, "GPU 0");
    node_done(&node);
}

static void test_empty_states(void **state)
{
    (void)state;
    const struct filter all = {0};
    struct node node;
    node_init(&node);
    node.driver.process_count = 0;
    assert_shows(&node, &all,
                 "No session on 4 GPUs (2 MIG devices).\nLooked at: nvml, procfs");
    assert_hides(&node, &all, "COMMAND");
    node.driver.device_count = 1;
    assert_shows(&node, &all, "No session on 1 GPU.");
    node.devices[0].process_list = VALUE_DENIED;
    assert_shows(&node, &all, "sessions unknown: denied");
    assert_shows(&node, &all, "No process list could be read on 1 GPU.");
    node.driver.device_count = 0;
    assert_shows(&node, &all, "No GPU on this node.\nLooked at: nvml, procfs");
    node.input.driver = NULL;
    node.sources[0] = (struct source_status){"nvml", false, "library\nnot found"};
    assert_shows(&node, &all,
                 "No driver answered: nothing is known about GPUs.\nLooked at: procfs\n"
                 "nvml is down: library not found\n");
    node_done(&node);
}

static void test_footer(void **state)
{
    (void)state;
    const struct filter all = {0};
    struct node node;
    node_init(&node);
    assert_hides(&node, &all, "left out");
    node.driver.processes_omitted = 7;
    assert_shows(&node, &all, "7 more left out");
    assert_shows(&node, &all, "\nGPU 3: GPU is lost (NVML 15)\n");
    node.sources[1].reason = "2 processes are hidden";
    assert_shows(&node, &all, "\nprocfs is limited: 2 processes are hidden\n");
    node.devices[4].has_mig_mode = true;
    assert_shows(&node, &all, "MIG mode, no MIG device");
    node_done(&node);
}

static void test_hint_of_hidden_processes(void **state)
{
    static const struct {
        uint64_t used, total;
        bool has_hint;
    } cases[] = {
        {GIB, 40 * GIB, false},
        {GIB + MIB, 40 * GIB, true},
        {2 * GIB, 100 * GIB, false},
        {3 * GIB, 100 * GIB, true},
    };
    (void)state;
    struct node node;
    node_init(&node);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        node.devices[4].memory_used_bytes = value_u64_ok(cases[i].used);
        node.devices[4].memory_total_bytes = value_u64_ok(cases[i].total);
        (cases[i].has_hint ? assert_shows : assert_hides)(
            &node, &(struct filter){0}, "on GPU 2 but no process is visible");
    }
    node.devices[4].process_list = VALUE_ERROR;
    assert_hides(&node, &(struct filter){0}, "hint:");
    node_done(&node);
}

/* No line is wider than the terminal while cutting POD and COMMAND can help. */
static void test_width(void **state)
{
    (void)state;
    struct node node;
    node_init(&node);
    node.driver.device_count = 5; /* without the fault's footer */
    node.input.allocations = node_allocations();
    node.identities[0].pod.name = "훈련-작업-매우-긴-이름의-파드-0123456789";
    node.identities[1].command = "a-command-of-a-very-long-name-indeed";
    for (unsigned width = 76; width < 160; width += 7) {
        struct buf out =
            render(&node, &(struct filter){0}, &(struct table_options){0, width});
        struct str rest = str_from(out.p), line;
        while (str_split(&rest, '\n', &line))
            assert_true(text_width(line) <= width);
        buf_done(&out);
    }
    node_done(&node);
}

static void test_hostile_names_reach_no_terminal(void **state)
{
    (void)state;
    struct node node;
    node_init(&node);
    node.identities[0].command = "\x1b[2Jx\r\n\xC2\x9B"
                                 "31m\xFF\u202Ey";
    node.devices[0].name = "GPU\x07";
    struct buf out = render(&node, &(struct filter){0}, &plain);
    for (const char *p = out.p; *p; p++)
        assert_true(*p == '\n' || (unsigned char)*p >= ' ');
    assert_non_null(strstr(out.p, " [2Jx   31m\xEF\xBF\xBD\xEF\xBF\xBDy"));
    buf_done(&out);
    node_done(&node);
}

static void test_output_that_does_not_fit(void **state)
{
    (void)state;
    struct node node;
    node_init(&node);
    CLEANUP(buf_done) struct buf out = BUF_INIT(100);
    assert_int_equal(table_render(node_build(&node), &(struct filter){0}, &plain, &out),
                     -ENOMEM);
    node_done(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_allocations),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_memory_units),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_empty_states),
        cmocka_unit_test(test_footer),
        cmocka_unit_test(test_hint_of_hidden_processes),
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_hostile_names_reach_no_terminal),
        cmocka_unit_test(test_output_that_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
