/* Lines of the text format, right and wrong, whole and cut into pieces. */
#include "source/dcgm/prom_parse.h"

#include "base/cleanup.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* The samples in one text: name{label=value,…}value@timestamp; */
struct log {
    char text[8192];
    size_t n;
    size_t stop_after; /* 0: never */
    size_t count;
};

static bool note(void *context, const struct prom_sample *sample)
{
    struct log *log = context;
    size_t room = sizeof log->text;
    log->n += (size_t)snprintf(log->text + log->n, room - log->n, "%.*s{",
                               (int)sample->name.n, sample->name.p);
    for (size_t i = 0; i < sample->label_count; i++)
        log->n +=
            (size_t)snprintf(log->text + log->n, room - log->n, "%.*s=%.*s,",
                             (int)sample->labels[i].name.n, sample->labels[i].name.p,
                             (int)sample->labels[i].value.n, sample->labels[i].value.p);
    log->n += (size_t)snprintf(log->text + log->n, room - log->n, "}%g", sample->value);
    if (sample->has_timestamp)
        log->n += (size_t)snprintf(log->text + log->n, room - log->n, "@%.3f",
                                   sample->timestamp_seconds);
    log->n += (size_t)snprintf(log->text + log->n, room - log->n, ";");
    return ++log->count != log->stop_after;
}

static const struct {
    const char *text;
    const char *samples;
    uint64_t skipped;
} rows[] = {
    {"", "", 0},
    {"\n\r\n  \n", "", 0},
    {"# HELP a Words.\n# TYPE a gauge\n#\n# EOF\n", "", 0},
    {"a 1\n", "a{}1;", 0},
    {"a 1", "a{}1;", 0},
    {"a 1\r\n", "a{}1;", 0},
    {"a{} 1\n", "a{}1;", 0},
    {"a{b=\"c\"} 2\n", "a{b=c,}2;", 0},
    {"a{b=\"c\",} 2\n", "a{b=c,}2;", 0},
    {" a { b = \"c\" , d=\"\" }\t2  \n", "a{b=c,d=,}2;", 0},
    {"a{b=\"c}d,e=\"}3\n", "a{b=c}d,e=,}3;", 0},
    {"a{b=\"\\\\ \\\" \\n \\t\"} 1\n", "a{b=\\ \" \n \\t,}1;", 0},
    {"a:b_1:c 1\n", "a:b_1:c{}1;", 0},
    {"a 1 1700000000123\n", "a{}1@1700000000.123;", 0},
    {"a 1 1700000000.5\n", "a{}1@1700000000.500;", 0},
    {"a 1 -1000\n", "a{}1@-1.000;", 0},
    {"a_bucket{le=\"1\"} 3 # {trace=\"x\"} 0.5 1.0\n", "a_bucket{le=1,}3;", 0},
    {"a 1 1.5 # {t=\"x\"} 2\n", "a{}1@1.500;", 0},
    /* numbers */
    {"a 1e3\na 1E-2\na +4\na -0.5\na .5\na 5.\n",
     "a{}1000;a{}0.01;a{}4;a{}-0.5;a{}0.5;a{}5;", 0},
    {"a NaN\na nan\na +Inf\na -Inf\na infinity\n", "a{}nan;a{}nan;a{}inf;a{}-inf;a{}inf;",
     0},
    {"a 1e999\na 1e-999\na 0e99999999999\n", "a{}inf;a{}0;a{}0;", 0},
    {"a 9223372036854775794\na 123456789012345678901234567890\n",
     "a{}9.22337e+18;a{}1.23457e+29;", 0},
    {"a 0.00000000000000000000000000000000001\n", "a{}1e-35;", 0},
    {"a\na{b=\"c\"}\na x\na 1x\na 1e\na 1e+\na 1e2.5\na --1\na .\na e5\na 0x10\na 1_0\n",
     "", 12},
    /* wrong lines leave the others alone */
    {"a 1\nb c\nd 2\n", "a{}1;d{}2;", 1},
    {"1a 1\n-a 1\n=\n{b=\"c\"} 1\n", "", 4},
    {"a{b=\"c} 1\na{b=c} 1\na{=\"c\"} 1\na{b} 1\na{b=\"c\"\na{b=\"c\" d=\"e\"} 1\n", "",
     6},
    {"a{b=\"\\\n", "", 1},
    {"a{,} 1\na{b=\"c\",,} 1\na{a:b=\"c\"} 1\n", "", 3},
    {"a 1 2 3\na 1 x\na 1 nan\n", "", 3},
    /* UTF-8 names of Prometheus 3 are not ours */
    {"{\"a.b\",c=\"d\"} 1\n", "", 1},
};

static void check(size_t row, size_t piece)
{
    struct log log = {0};
    struct prom_parser parser;
    struct str rest = str_from(rows[row].text);
    prom_parser_init(&parser, note, &log);
    while (rest.n) {
        size_t n = rest.n < piece ? rest.n : piece;
        assert_true(prom_parser_feed(&parser, str_part(rest, 0, n)));
        rest = str_part(rest, n, rest.n - n);
    }
    assert_true(prom_parser_end(&parser));
    if (strcmp(log.text, rows[row].samples) != 0)
        fail_msg("row %zu in pieces of %zu: %s", row, piece, log.text);
    assert_int_equal(parser.skipped, rows[row].skipped);
    assert_int_equal(parser.samples, log.count);
}

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        for (size_t piece = 1; piece < 8; piece++)
            check(i, piece);
        check(i, 4096);
    }
}

/* Feeds "a{…N bytes…} 1" and "b 2"; returns what came out. */
static size_t samples_of_line(size_t bytes, uint64_t *skipped)
{
    struct log log = {0};
    struct prom_parser parser;
    prom_parser_init(&parser, note, &log);
    assert_true(prom_parser_feed(&parser, STR("a 1")));
    for (size_t i = 3; i < bytes; i++)
        assert_true(prom_parser_feed(&parser, STR(" ")));
    assert_true(prom_parser_feed(&parser, STR("\nb 2\n")));
    *skipped = parser.skipped;
    return log.count;
}

static void test_line_bound(void **state)
{
    (void)state;
    uint64_t skipped;
    assert_int_equal(samples_of_line(PROM_LINE_BYTES, &skipped), 2);
    assert_int_equal(skipped, 0);
    assert_int_equal(samples_of_line(PROM_LINE_BYTES + 1, &skipped), 1);
    assert_int_equal(skipped, 1);
    assert_int_equal(samples_of_line(PROM_LINE_BYTES * 3, &skipped), 1);
    assert_int_equal(skipped, 1);
}

static void test_label_bound(void **state)
{
    (void)state;
    for (size_t count = PROM_MAX_LABELS - 1; count <= PROM_MAX_LABELS + 1; count++) {
        struct log log = {0};
        struct prom_parser parser;
        prom_parser_init(&parser, note, &log);
        assert_true(prom_parser_feed(&parser, STR("a{")));
        for (size_t i = 0; i < count; i++)
            assert_true(prom_parser_feed(&parser, STR("l=\"v\",")));
        assert_true(prom_parser_feed(&parser, STR("} 1\nb 2\n")));
        assert_int_equal(log.count, count <= PROM_MAX_LABELS ? 2 : 1);
        assert_int_equal(parser.skipped, count <= PROM_MAX_LABELS ? 0 : 1);
    }
}

static void test_stops(void **state)
{
    (void)state;
    struct log log = {.stop_after = 2};
    struct prom_parser parser;
    prom_parser_init(&parser, note, &log);
    assert_false(prom_parser_feed(&parser, STR("a 1\nb 2\nc 3\n")));
    assert_false(prom_parser_feed(&parser, STR("d 4\n")));
    assert_false(prom_parser_end(&parser));
    assert_int_equal(log.count, 2);
}

static void test_label_value(void **state)
{
    (void)state;
    const struct prom_label labels[] = {{STR("a"), STR("1")}, {STR("b"), STR("")}};
    const struct prom_sample sample = {.labels = labels, .label_count = 2};
    assert_true(str_equal(prom_label_value(&sample, STR("a")), STR("1")));
    assert_non_null(prom_label_value(&sample, STR("b")).p);
    assert_null(prom_label_value(&sample, STR("c")).p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),       cmocka_unit_test(test_line_bound),
        cmocka_unit_test(test_label_bound), cmocka_unit_test(test_stops),
        cmocka_unit_test(test_label_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
