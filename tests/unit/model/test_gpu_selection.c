/* Lists of GPUs: what is one, and which devices it means. */
#include "model/gpu_selection.h"

#include "../../support/cmocka_all.h"
#include "../../support/node.h"

#define UUID "GPU-5c2a1d34-8f1e-4b0a-9c55-0d1f6a7b8c90"

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t count; /* 0: refused */
    } rows[] = {
        {"0", 1},    {"0,1,17", 3}, {" 0 , 1 ", 2}, {UUID, 1},    {"3," UUID, 2},
        {"", 0},     {",", 0},      {"0,", 0},      {"0_1_0", 0}, {"-1", 0},
        {"GPU-", 0}, {"all", 0},    {"MIG-1", 0},   {"0 1", 0},   {"4294967296", 0},
    };
    struct gpu_selection selection;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        bool is_valid = gpu_selection_parse(str_from(rows[i].text), &selection);
        assert_int_equal(is_valid, rows[i].count > 0);
        if (is_valid)
            assert_int_equal(selection.count, rows[i].count);
    }
}

static void test_as_many_as_there_can_be_gpus(void **state)
{
    (void)state;
    char text[2 * FACTS_MAX_GPUS + 2];
    struct gpu_selection selection;
    for (size_t i = 0; i <= FACTS_MAX_GPUS; i++) {
        text[2 * i] = '7';
        text[2 * i + 1] = ',';
    }
    assert_false(gpu_selection_parse((struct str){text, sizeof text - 1}, &selection));
    assert_true(gpu_selection_parse((struct str){text, sizeof text - 3}, &selection));
    assert_int_equal(selection.count, FACTS_MAX_GPUS);
}

static void test_devices_meant(void **state)
{
    (void)state;
    struct device_facts gpu = node_gpu(1, UUID), other = node_gpu(11, NULL),
                        mig = node_mig(1, 7);
    mig.parent_uuid = UUID;
    static const struct {
        const char *text;
        bool has_gpu, has_mig, has_other;
    } rows[] = {
        {"1", true, true, false},
        {UUID, true, true, false},
        {"11," UUID, true, true, true},
        {"0", false, false, false},
        {"GPU-5c2a1d34", false, false, false}, /* no prefixes: they may mean several */
    };
    struct gpu_selection selection = {.count = 0};
    assert_true(gpu_selection_has(&selection, &gpu));
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_true(gpu_selection_parse(str_from(rows[i].text), &selection));
        assert_int_equal(gpu_selection_has(&selection, &gpu), rows[i].has_gpu);
        assert_int_equal(gpu_selection_has(&selection, &mig), rows[i].has_mig);
        assert_int_equal(gpu_selection_has(&selection, &other), rows[i].has_other);
    }
}

static void test_an_entry_that_means_nothing_is_named(void **state)
{
    (void)state;
    struct device_facts devices[] = {node_gpu(0, UUID), node_gpu(1, NULL)};
    const struct driver_facts driver = {.devices = devices, .device_count = 2};
    struct gpu_selection selection = {.count = 0};
    assert_null(gpu_selection_absent(&selection, &driver));
    assert_true(gpu_selection_parse(STR("1," UUID), &selection));
    assert_null(gpu_selection_absent(&selection, &driver));
    assert_true(gpu_selection_parse(STR("1,2,3"), &selection));
    assert_true(str_equal(*gpu_selection_absent(&selection, &driver), STR("2")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_as_many_as_there_can_be_gpus),
        cmocka_unit_test(test_devices_meant),
        cmocka_unit_test(test_an_entry_that_means_nothing_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
