/* Grants and devices: every way to name a device, ids without one, repetitions. */
#include "model/allocation.h"

#include "../../support/cmocka_all.h"
#include "../../support/node.h"

#include <errno.h>

#define UUID_A "5c2a1d34-8f1e-4b0a-9c55-0d1f6a7b8c90"
#define UUID_B "77e0b1c2-3d4f-4a5b-8c6d-7e8f90a1b2c3"

enum { SLOTS = 6 };

struct fixture {
    struct arena *arena;
    struct device_facts devices[SLOTS];
    struct driver_facts driver;
    struct allocation_set set;
};

/* GPU 0; GPU 1 (minor 5) with three MIG devices, two in one instance; GPU 2, which does
 * not tell its UUID. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    f->arena = arena_new(1 << 24);
    f->devices[0] = node_gpu(0, "GPU-" UUID_A);
    f->devices[0].minor_number = value_u64_ok(0);
    f->devices[1] = node_gpu(1, "GPU-" UUID_B);
    f->devices[1].minor_number = value_u64_ok(5);
    f->devices[2] = node_mig(1, 7);
    f->devices[3] = node_mig(1, 7);
    f->devices[3].ci = 1;
    f->devices[3].uuid = "MIG-" UUID_A;
    f->devices[4] = node_mig(1, 9);
    f->devices[4].uuid = "MIG-" UUID_B;
    f->devices[4].mig_profile = "1g.10gb+me";
    f->devices[5] = node_gpu(2, NULL);
    f->devices[5].minor_number = value_u64_ok(1);
    f->driver = (struct driver_facts){.devices = f->devices, .device_count = SLOTS};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_free(f->arena);
    free(f);
    return 0;
}

static struct grant grant_of(struct device_id id)
{
    return (struct grant){"ns", "pod", "main", id};
}

static struct grant plugin(const char *id)
{
    return grant_of(device_id_of_plugin(STR("nvidia.com/gpu"), str_from(id)));
}

static struct grant claim(const char *device)
{
    return grant_of(device_id_of_claim(STR("gpu.nvidia.com"), str_from(device)));
}

static void match(struct fixture *f, const struct grant *grants, size_t count)
{
    assert_int_equal(allocation_match(f->arena, &f->driver, grants, count, &f->set), 0);
}

static void test_each_way_to_name_a_device(void **state)
{
    struct fixture *f = *state;
    const struct {
        struct grant grant;
        const char *devices; /* positions as digits */
        size_t absent, opaque;
    } rows[] = {
        {plugin("GPU-" UUID_A), "0", 0, 0},
        {plugin("GPU-" UUID_B "::3"), "1", 0, 0},
        {plugin("MIG-" UUID_B), "4", 0, 0},
        {plugin("MIG-GPU-" UUID_B "/7/1"), "3", 0, 0},
        {plugin("MIG-GPU-" UUID_B "/7/2"), "", 1, 0},
        {plugin("MIG-GPU-" UUID_A "/7/0"), "", 1, 0},
        {plugin("GPU-00000000-8f1e-4b0a-9c55-0d1f6a7b8c90"), "", 1, 0},
        {plugin("nvidia0"), "0", 0, 0},
        {plugin("nvidia5"), "1", 0, 0},
        {plugin("nvidia1/vgpu2"), "5", 0, 0},
        {plugin("nvidia7"), "", 1, 0},
        {plugin("nvidia5/gi9"), "4", 0, 0},
        {plugin("nvidia5/gi7"), "23", 0, 0}, /* both compute instances */
        {plugin("nvidia5/gi1"), "", 1, 0},
        {plugin("nvidia0/gi7"), "", 1, 0},
        {plugin("tegra"), "", 0, 1},
        {plugin("GPU-" UUID_A "-1"), "", 0, 1},
        {plugin("what"), "", 0, 1},
        {claim("gpu-5"), "1", 0, 0},
        {claim("gpu-5-mig-1g10gb-me-20-6"), "4", 0, 0},
        {claim("gpu-5-mig-1g10gbme-20-6"), "4", 0, 0},
        {claim("gpu-5-mig-1g5gb-19-0"), "", 0, 1}, /* there are two */
        {claim("gpu-5-mig-7g80gb-0-0"), "", 1, 0},
        {claim("gpu-9"), "", 1, 0},
        {claim("gpu-vfio-1"), "", 0, 1},
        {grant_of((struct device_id){.kind = DEVICE_ID_FOREIGN}), "", 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        match(f, &rows[i].grant, 1);
        assert_int_equal(f->set.count, strlen(rows[i].devices));
        for (size_t k = 0; k < f->set.count; k++)
            assert_int_equal(f->set.entries[k].device, rows[i].devices[k] - '0');
        assert_int_equal(f->set.absent_ids, rows[i].absent);
        assert_int_equal(f->set.opaque_ids, rows[i].opaque);
        assert_int_equal(f->set.unplaced_count, rows[i].opaque);
    }
}

static void test_minor_numbers_that_are_not_told(void **state)
{
    struct fixture *f = *state;
    f->devices[1].minor_number.state = VALUE_UNSUPPORTED;
    const struct grant grants[] = {plugin("nvidia0"), plugin("nvidia5"), claim("gpu-5")};
    match(f, grants, ARRAY_LENGTH(grants));
    assert_int_equal(f->set.count, 1);
    assert_int_equal(f->set.opaque_ids, 2);
}

static void test_tegra_has_one_gpu(void **state)
{
    struct fixture *f = *state;
    const struct grant grant = plugin("tegra::1");
    f->driver.device_count = 1;
    match(f, &grant, 1);
    assert_int_equal(f->set.count, 1);
    assert_true(f->set.entries[0].is_shared);
    f->driver.device_count = 0;
    match(f, &grant, 1);
    assert_int_equal(f->set.absent_ids, 1);
}

static void test_repetitions_count_once_and_order_is_by_name(void **state)
{
    struct fixture *f = *state;
    struct grant grants[] = {plugin("GPU-" UUID_B),     plugin("GPU-" UUID_A),
                             plugin("GPU-" UUID_A),     plugin("GPU-" UUID_A "::1"),
                             plugin("GPU-" UUID_A),     plugin("GPU-" UUID_A),
                             plugin("GPU-" UUID_A "-1")};
    grants[4].container = "init";
    grants[5].namespace_ = "a";
    match(f, grants, ARRAY_LENGTH(grants));
    static const struct {
        uint32_t device;
        bool is_shared;
        const char *namespace_, *container;
    } expected[] = {{0, false, "a", "main"},
                    {0, false, "ns", "init"},
                    {0, true, "ns", "main"},
                    {1, false, "ns", "main"}};
    assert_int_equal(f->set.count, ARRAY_LENGTH(expected));
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        const struct allocation *entry = &f->set.entries[i];
        assert_int_equal(entry->device, expected[i].device);
        assert_int_equal(entry->is_shared, expected[i].is_shared);
        assert_string_equal(entry->namespace_, expected[i].namespace_);
        assert_string_equal(entry->container, expected[i].container);
        assert_int_equal(entry->is_used, TERNARY_UNKNOWN);
    }
    assert_string_equal(f->set.unplaced[0].pod, "pod");
}

static void test_nothing_and_no_memory(void **state)
{
    struct fixture *f = *state;
    match(f, NULL, 0);
    assert_int_equal(f->set.count, 0);
    CLEANUP(arena_freep) struct arena *small = arena_new(64);
    const struct grant grant = plugin("GPU-" UUID_A);
    assert_int_equal(allocation_match(small, &f->driver, &grant, 1, &f->set), -ENOMEM);
}

static void test_many(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 5000 };
    struct grant *grants = ARENA_NEW(f->arena, struct grant, MANY);
    assert_non_null(grants);
    for (size_t i = 0; i < MANY; i++) {
        grants[i] = plugin("GPU-" UUID_A "::1");
        grants[i].pod = arena_printf(f->arena, "pod-%zu", i);
        assert_non_null(grants[i].pod);
    }
    match(f, grants, MANY);
    assert_int_equal(f->set.count, MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_way_to_name_a_device, setup, teardown),
        cmocka_unit_test_setup_teardown(test_minor_numbers_that_are_not_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_tegra_has_one_gpu, setup, teardown),
        cmocka_unit_test_setup_teardown(test_repetitions_count_once_and_order_is_by_name,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_and_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
