/* The scalar grammars of scenarios. */
#include "sim/node/scenario_text.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
        uint64_t bytes;
    } cases[] = {
        {"40GiB", true, UINT64_C(40) << 30},
        {"1.5 MiB", true, 1572864},
        {"12", true, 12},
        {" 900KiB ", true, 921600},
        {"0", true, 0},
        {"none", true, UINT64_MAX},
        {"", false, 0},
        {"GiB", false, 0},
        {"-1GiB", false, 0},
        {"4GB", false, 0},
        {"4GiB x", false, 0},
        {"99999999999GiB", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint64_t bytes = 0;
        assert_int_equal(scenario_text_size(str_from(cases[i].text), &bytes),
                         cases[i].is_valid);
        assert_int_equal(bytes, cases[i].bytes);
    }
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
        double seconds;
    } cases[] = {
        {"90", true, 90},     {"1.5h", true, 5400}, {"-60", true, -60},
        {"3d", true, 259200}, {"2m", true, 120},    {"7s", true, 7},
        {"", false, 0},       {"h", false, 0},      {"1w", false, 0},
        {"1h30m", false, 0},  {"4000d", false, 0},  {"-4000d", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        double seconds = 0;
        assert_int_equal(scenario_text_seconds(str_from(cases[i].text), &seconds),
                         cases[i].is_valid);
        assert_float_equal(seconds, cases[i].seconds, 1e-9);
    }
}

static void loads(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
        struct sim_load load;
    } cases[] = {
        {"55", true, {55, 0, 0, 0}},
        {"55 amplitude 20 period 40", true, {55, 20, 40, 0}},
        {"  55   amplitude 20   period 40 phase 0.5 ", true, {55, 20, 40, 0.5}},
        {"5 phase 0.25 amplitude 1", true, {5, 1, 0, 0.25}},
        {"", false, {0, 0, 0, 0}},
        {"amplitude 5", false, {0, 0, 0, 0}},
        {"55 amplitude", false, {0, 0, 0, 0}},
        {"55 wobble 3", false, {0, 0, 0, 0}},
        {"55 period -1", false, {0, 0, 0, 0}},
        {"55%", false, {0, 0, 0, 0}},
        {"5000000000", false, {0, 0, 0, 0}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct sim_load load = {0};
        assert_int_equal(scenario_text_load(str_from(cases[i].text), &load),
                         cases[i].is_valid);
        assert_memory_equal(&load, &cases[i].load, sizeof(load));
    }
}

static void positions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t count; /* 0: refused */
        uint32_t positions[4];
    } cases[] = {
        {"3", 1, {3}},
        {"0,2", 2, {0, 2}},
        {"0-3", 4, {0, 1, 2, 3}},
        {"all", 4, {0, 1, 2, 3}},
        {" 1 , 3 ", 2, {1, 3}},
        {"0-1,3", 3, {0, 1, 3}},
        {"4", 0, {0}},
        {"", 0, {0}},
        {"1,", 0, {0}},
        {"2-1", 0, {0}},
        {"-1", 0, {0}},
        {"x", 0, {0}},
        {"0-3,0", 0, {0}}, /* five do not fit four */
        {"0-4294967295", 0, {0}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint32_t found[4] = {0};
        size_t count = 0;
        bool is_valid =
            scenario_text_positions(str_from(cases[i].text), 4, found, 4, &count);
        assert_int_equal(is_valid, cases[i].count > 0);
        if (is_valid) {
            assert_int_equal(count, cases[i].count);
            assert_memory_equal(found, cases[i].positions, count * sizeof(*found));
        }
    }
    uint32_t none[1];
    size_t count;
    assert_false(scenario_text_positions(STR("all"), 0, none, 1, &count));
}

static void copies(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t n;
        const char *expanded;
    } cases[] = {
        {"worker-{n}", 7, "worker-7"},
        {"{n%7}/{n/7}", 15, "1/2"},
        {"{n/7%8}", 63, "1"},
        {"{n*4+1}", 3, "13"},
        {"plain", 3, "plain"},
        {"{name} {n", 3, "{name} {n"},
        {"{n%0}{n/0}", 3, "{n%0}{n/0}"},
        {"{n%}{nn}{}", 3, "{n%}{nn}{}"},
        {"{{n}}", 3, "{3}"},
        {"", 3, ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(buf_done) struct buf buf = BUF_INIT(100);
        scenario_text_expand(&buf, str_from(cases[i].text), cases[i].n);
        assert_true(str_equal(buf_str(&buf), str_from(cases[i].expanded)));
    }
}

static void bytes(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        const char *bytes; /* NULL: refused */
    } cases[] = {
        {"70 79 C0aF", "py\xC0\xAF"},
        {"", ""},
        {"7", NULL},
        {"7 0", NULL},
        {"00", NULL},
        {"7x", NULL},
        {"70 00", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(buf_done) struct buf buf = BUF_INIT(100);
        bool is_valid = scenario_text_bytes(&buf, str_from(cases[i].hex));
        assert_int_equal(is_valid, cases[i].bytes != NULL);
        if (is_valid)
            assert_true(str_equal(buf_str(&buf), str_from(cases[i].bytes)));
    }
}

static void codes(void **state)
{
    (void)state;
    uint32_t code = 0;
    assert_true(scenario_text_code(STR("GPU_IS_LOST"), &code));
    assert_int_equal(code, 15);
    assert_true(scenario_text_code(STR("UNKNOWN"), &code));
    assert_int_equal(code, 999);
    assert_true(scenario_text_code(STR("1234"), &code));
    assert_int_equal(code, 1234);
    assert_false(scenario_text_code(STR("gpu_is_lost"), &code));
    assert_false(scenario_text_code(STR(""), &code));
    assert_false(scenario_text_code(STR("-1"), &code));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),     cmocka_unit_test(durations), cmocka_unit_test(loads),
        cmocka_unit_test(positions), cmocka_unit_test(copies),    cmocka_unit_test(bytes),
        cmocka_unit_test(codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
