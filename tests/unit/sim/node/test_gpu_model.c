/* MIG placement: the ids that real GPUs give. */
#include "sim/node/gpu_model.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void placement(void **state)
{
    (void)state;
    static const struct {
        const char *gpu;
        const char *profiles; /* comma-separated */
        const char *ids;      /* gi/ci of each; "-": no place */
    } cases[] = {
        {"NVIDIA A100-SXM4-40GB",
         "1g.5gb,1g.5gb,1g.5gb,1g.5gb,1g.5gb,1g.5gb,1g.5gb,1g.5gb",
         "7/0 8/0 9/0 10/0 11/0 12/0 13/0 -"},
        {"NVIDIA H100 80GB HBM3", "3g.40gb,2g.20gb,1g.10gb,1g.10gb", "2/0 3/0 9/0 10/0"},
        {"NVIDIA H200", "1c.3g.71gb,2c.3g.71gb,2g.35gb,1g.18gb,1g.18gb",
         "2/0 2/1 3/0 9/0 10/0"},
        {"NVIDIA A100-SXM4-40GB", "7g.40gb", "0/0"},
        {"NVIDIA A100-SXM4-40GB", "3g.20gb,3g.20gb,1g.5gb", "2/0 1/0 -"},
        {"NVIDIA A100-SXM4-40GB", "4g.20gb,3g.20gb", "1/0 2/0"},
        {"NVIDIA A100-SXM4-40GB", "2g.10gb,2g.10gb,2g.10gb,2g.10gb", "3/0 4/0 5/0 -"},
        {"NVIDIA A100-SXM4-40GB", "1g.10gb,1g.10gb,1g.10gb,1g.10gb", "3/0 4/0 5/0 6/0"},
        {"NVIDIA A100-SXM4-40GB", "1g.5gb+me,2c.3g.20gb,2c.3g.20gb", "7/0 2/0 -"},
        /* Words that are no profile. */
        {"NVIDIA A100-SXM4-40GB", "9g.5gb,0g.5gb,1g,1g.gb,1g.5gbx,4c.3g.20gb,1g.0gb",
         "- - - - - - -"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char ids[128] = "";
        struct mig_layout layout = {0};
        const struct gpu_model *model = gpu_model_find(str_from(cases[i].gpu));
        struct str rest = str_from(cases[i].profiles);
        struct str profile;
        while (str_split(&rest, ',', &profile)) {
            struct mig_device device;
            size_t at = strlen(ids);
            const char *blank = at ? " " : "";
            if (mig_layout_add(&layout, model, profile, &device))
                (void)snprintf(ids + at, sizeof(ids) - at, "%s%u/%u", blank, device.gi,
                               device.ci);
            else
                (void)snprintf(ids + at, sizeof(ids) - at, "%s-", blank);
        }
        assert_string_equal(ids, cases[i].ids);
    }
}

static void sizes(void **state)
{
    (void)state;
    struct mig_layout layout = {0};
    struct mig_device device;
    const struct gpu_model *model = gpu_model_find(STR("NVIDIA H200"));
    assert_true(mig_layout_add(&layout, model, STR("2c.3g.71gb"), &device));
    assert_string_equal(device.profile, "2c.3g.71gb");
    assert_int_equal(device.memory_bytes, UINT64_C(71424) << 20);
    assert_int_equal(device.compute_slices, 2);
    assert_int_equal(device.gpu_slices, 3);
    /* A shape of no capture has its nominal size. */
    layout = (struct mig_layout){0};
    assert_true(mig_layout_add(&layout, gpu_model_find(STR("NVIDIA B200")),
                               STR("1g.23gb"), &device));
    assert_int_equal(device.memory_bytes, UINT64_C(23) << 30);
}

static void unknown_model(void **state)
{
    (void)state;
    const struct gpu_model *model = gpu_model_find(STR("Voodoo 2"));
    assert_false(model->mig_capable);
    assert_true(model->memory_mib > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placement),
        cmocka_unit_test(sizes),
        cmocka_unit_test(unknown_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
