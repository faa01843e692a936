/* When the page is asked for, and what becomes of answers that cannot be used. */
#include "source/dcgm.h"

#include "../../../support/raw_server.h"
#include "base/cleanup.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)
#define HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#define ENERGY "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{UUID=\"GPU-a\"} 5\n"
#define READING "DCGM_FI_PROF_GR_ENGINE_ACTIVE{UUID=\"GPU-a\"} 0.25\n"

struct bench {
    struct error_counters errors;
    struct arena *arena;
    struct dcgm_source *source;
    struct device_facts device;
    struct driver_facts facts;
    struct source_status status;
};

static void bench_open(struct bench *bench, const char *url)
{
    *bench = (struct bench){.arena = arena_new(1 << 20)};
    bench->source =
        dcgm_open(&(struct dcgm_config){.url = url, .errors = &bench->errors});
    assert_non_null(bench->source);
}

static void bench_close(struct bench *bench)
{
    dcgm_close(bench->source);
    arena_free(bench->arena);
}

/* Collects at NOW_NS. Return: the utilisation of the node's GPU, negative when it has
 * none.
 */
static double collect(struct bench *bench, uint64_t now_ns, uint64_t budget_ns)
{
    arena_reset(bench->arena);
    bench->device =
        (struct device_facts){.uuid = "GPU-a", .gi = MIG_ID_NONE, .ci = MIG_ID_NONE};
    bench->facts = (struct driver_facts){.devices = &bench->device, .device_count = 1};
    const struct dcgm_collection collection = {.facts = &bench->facts,
                                               .now_ns = now_ns,
                                               .wall_seconds = 1.7e9,
                                               .budget_ns = budget_ns};
    bench->status = dcgm_collect(bench->source, bench->arena, &collection);
    assert_string_equal(bench->status.name, "dcgm");
    assert_true(bench->status.is_up == (bench->status.reason == NULL));
    struct value_double value = bench->device.utilization_percent;
    return value.state == VALUE_OK ? value.v : -1;
}

static uint64_t counted(const struct bench *bench, const char *reason)
{
    for (size_t i = 0; i < bench->errors.count; i++) {
        if (strcmp(bench->errors.entries[i].reason, reason) == 0)
            return bench->errors.entries[i].value;
    }
    return 0;
}

static void test_pages(void **state)
{
    (void)state;
    static const struct {
        struct raw_page page;
        const char *reason; /* counted; NULL: none */
        const char *words;
        bool is_up;
    } rows[] = {
        {{RAW_CLOSE, HEAD READING, NULL}, NULL, NULL, true},
        {{RAW_CLOSE, HEAD "garbage\n" READING, NULL}, "malformed_line", NULL, true},
        {{RAW_CLOSE, HEAD READING "DCGM_FI_PROF_SM_ACTIVE{UUID=\"GPU-a\"} 9e18\n", NULL},
         "implausible",
         NULL,
         true},
        {{RAW_CLOSE, HEAD "<html><body>hello</body></html>\n", NULL},
         "not_metrics",
         "no page of metrics",
         false},
        {{RAW_CLOSE, HEAD, NULL}, "not_metrics", "no page of metrics", false},
        {{RAW_CLOSE, HEAD ENERGY, NULL},
         "no_utilization",
         "DCGM_FI_PROF_SM_ACTIVE",
         false},
        {{RAW_CLOSE, HEAD "DCGM_FI_DEV_GPU_UTIL{UUID=\"GPU-z\"} 5\n", NULL},
         "other_node",
         "one of this node's",
         false},
        {{RAW_CLOSE, "HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\n" READING, NULL},
         "bad_answer",
         "HTTP 500",
         false},
        {{RAW_CLOSE, "HTTP/1.1 301 Go\r\nLocation: /there\r\n\r\n" READING, NULL},
         "redirect",
         "HTTP 301",
         false},
        {{RAW_CLOSE, "HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n" READING, NULL},
         "too_large",
         "larger",
         false},
        {{RAW_SILENT, NULL, NULL}, "timeout", "in time", false},
        {{RAW_ENDLESS, HEAD, READING}, NULL, "", false}, /* either bound */
        {{RAW_ENDLESS, HEAD, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
         NULL,
         "",
         false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct raw_server server = raw_start(&rows[i].page);
        struct bench bench;
        bench_open(&bench, server.url);
        double value = collect(&bench, SECOND, SECOND / 2);
        raw_stop(&server);
        if (bench.status.is_up != rows[i].is_up)
            fail_msg("row %zu: %s", i, bench.status.reason);
        assert_int_equal(value > 0, rows[i].is_up);
        if (rows[i].words && !strstr(bench.status.reason, rows[i].words))
            fail_msg("row %zu: %s", i, bench.status.reason);
        if (rows[i].reason)
            assert_int_equal(counted(&bench, rows[i].reason), 1);
        bench_close(&bench);
    }
}

/* A page is good for ten seconds; when the exporter is gone after that, so are the
 * values.
 */
static void test_refresh(void **state)
{
    (void)state;
    const struct raw_page page = {RAW_CLOSE, HEAD READING, NULL};
    struct raw_server server = raw_start(&page);
    struct bench bench;
    bench_open(&bench, server.url);
    assert_true(fabs(collect(&bench, SECOND, SECOND) - 25) < 1e-9);
    raw_stop(&server);
    assert_true(fabs(collect(&bench, 10 * SECOND, SECOND) - 25) < 1e-9);
    assert_true(bench.status.is_up);
    assert_true(collect(&bench, 11 * SECOND, SECOND) < 0);
    assert_non_null(strstr(bench.status.reason, "nobody listens"));
    assert_int_equal(counted(&bench, "refused"), 1);
    /* In backoff nobody is asked, and the reason stays. */
    assert_true(collect(&bench, 12 * SECOND, SECOND) < 0);
    assert_non_null(strstr(bench.status.reason, "nobody listens"));
    assert_int_equal(counted(&bench, "refused"), 1);
    assert_true(collect(&bench, 24 * SECOND, SECOND) < 0);
    assert_int_equal(counted(&bench, "refused"), 2);
    bench_close(&bench);
}

/* Energy that does not rise for three minutes: the exporter serves values of before. */
static void test_standstill(void **state)
{
    (void)state;
    const struct raw_page page = {RAW_CLOSE, HEAD READING ENERGY, NULL};
    struct raw_server server = raw_start(&page);
    struct bench bench;
    bench_open(&bench, server.url);
    for (uint64_t at = 1; at < 180; at += 10)
        assert_true(collect(&bench, at * SECOND, SECOND) > 0);
    assert_true(collect(&bench, 181 * SECOND, SECOND) < 0);
    assert_non_null(strstr(bench.status.reason, "stand still"));
    assert_int_equal(counted(&bench, "stale"), 1);
    bench_close(&bench);
    raw_stop(&server);
}

static void test_no_devices(void **state)
{
    (void)state;
    const struct raw_page page = {RAW_CLOSE, HEAD READING, NULL};
    struct raw_server server = raw_start(&page);
    struct bench bench;
    bench_open(&bench, server.url);
    struct driver_facts none = {0};
    const struct dcgm_collection collection = {
        .facts = &none, .now_ns = 1, .wall_seconds = 1.7e9, .budget_ns = SECOND};
    assert_true(dcgm_collect(bench.source, bench.arena, &collection).is_up);
    bench_close(&bench);
    raw_stop(&server);
    dcgm_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_refresh),
        cmocka_unit_test(test_standstill),
        cmocka_unit_test(test_no_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
