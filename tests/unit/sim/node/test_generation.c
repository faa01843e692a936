/* What driver generations lack. */
#include "sim/node/generation.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct generation *find(const char *name)
{
    const struct generation *generation = generation_find(str_from(name));
    assert_non_null(generation);
    return generation;
}

static void symbols(void **state)
{
    (void)state;
    static const struct {
        const char *generation, *symbol;
        bool lacks;
    } cases[] = {
        {"450", "nvmlDeviceGetComputeRunningProcesses_v2", true},
        {"450.66", "nvmlDeviceGetComputeRunningProcesses_v2", false},
        {"450", "nvmlDeviceGetComputeRunningProcesses", false},
        {"460", "nvmlDeviceGetMPSComputeRunningProcesses", true},
        {"470", "nvmlDeviceGetMPSComputeRunningProcesses_v2", false},
        {"470", "nvmlDeviceGetMemoryInfo_v2", true},
        {"510", "nvmlDeviceGetMemoryInfo_v2", false},
        {"510", "nvmlGpmMetricsGet", true},
        {"520", "nvmlGpmMetricsGet", false},
        {"520", "nvmlGpmMigSampleGet", true},
        {"535.54", "nvmlDeviceGetGraphicsRunningProcesses_v3", false},
        {"535.98", "nvmlDeviceGetGraphicsRunningProcesses_v3", true},
        {"535.104", "nvmlDeviceGetGraphicsRunningProcesses_v3", false},
        {"535.54", "nvmlDeviceGetRunningProcessDetailList", true},
        {"550", "nvmlDeviceGetProcessesUtilizationInfo", false},
        {"610", "nvmlDeviceGetAccountingStats_v2", false},
        {"450", "nvmlInit_v2", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_int_equal(
            generation_lacks(find(cases[i].generation), str_from(cases[i].symbol)),
            cases[i].lacks);
}

static void layouts(void **state)
{
    (void)state;
    assert_int_equal(generation_process_v3_stride(find("535.54")), 32);
    assert_int_equal(generation_process_v3_stride(find("535.104")), 24);
    assert_int_equal(generation_process_v3_stride(find("525")), 24);
    assert_true(generation_has_old_mig_uuid(find("460")));
    assert_false(generation_has_old_mig_uuid(find("470")));
    assert_false(generation_has_gpm(find("510")));
    assert_true(generation_has_gpm(find("520")));
}

static void names(void **state)
{
    (void)state;
    struct str rest = str_from(generation_names());
    struct str name;
    size_t count = 0;
    while (str_split(&rest, ',', &name)) {
        assert_non_null(generation_find(str_trim(name)));
        count++;
    }
    assert_true(count > 10);
    assert_null(generation_find(STR("430")));
    assert_null(generation_find(STR("")));
    assert_null(generation_symbol(1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(symbols),
        cmocka_unit_test(layouts),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
