/* Each form of a device id, and what only looks like one. */
#include "model/device_id.h"

#include "../../support/cmocka_all.h"
#include "base/cleanup.h"

#define UUID "5c2a1d34-8f1e-4b0a-9c55-0d1f6a7b8c90"

struct expected {
    enum device_id_kind kind;
    bool is_shared;
    const char *uuid;
    uint32_t minor, gi, ci;
    const char *profile;
};

static void expect(struct device_id id, const struct expected *expected)
{
    assert_int_equal(id.kind, expected->kind);
    if (id.kind == DEVICE_ID_FOREIGN)
        return;
    assert_int_equal(id.is_shared, expected->is_shared);
    if (expected->uuid)
        assert_true(str_equal(id.uuid, str_from(expected->uuid)));
    assert_int_equal(id.minor, expected->minor);
    assert_int_equal(id.gi, expected->gi);
    assert_int_equal(id.ci, expected->ci);
    assert_true(str_equal(id.profile, str_from(expected->profile)));
}

static void test_plugins(void **state)
{
    static const struct {
        const char *resource, *id;
        struct expected expected;
    } rows[] = {
        /* NVIDIA's device plugin */
        {"nvidia.com/gpu", "GPU-" UUID, {.kind = DEVICE_ID_UUID, .uuid = "GPU-" UUID}},
        {"nvidia.com/gpu", "MIG-" UUID, {.kind = DEVICE_ID_UUID, .uuid = "MIG-" UUID}},
        {"nvidia.com/mig-1g.5gb.me",
         "MIG-" UUID,
         {.kind = DEVICE_ID_UUID, .uuid = "MIG-" UUID}},
        {"nvidia.com/mig-1g.5gb",
         "MIG-GPU-" UUID "/7/0",
         {.kind = DEVICE_ID_UUID_INSTANCE, .uuid = "GPU-" UUID, .gi = 7}},
        {"nvidia.com/mig-1g.5gb",
         "MIG-GPU-" UUID "/13/2::1",
         {.kind = DEVICE_ID_UUID_INSTANCE,
          .is_shared = true,
          .uuid = "GPU-" UUID,
          .gi = 13,
          .ci = 2}},
        /* time-slicing, MPS */
        {"nvidia.com/gpu",
         "GPU-" UUID "::0",
         {.kind = DEVICE_ID_UUID, .is_shared = true, .uuid = "GPU-" UUID}},
        {"nvidia.com/gpu.shared",
         "GPU-" UUID "::31",
         {.kind = DEVICE_ID_UUID, .is_shared = true, .uuid = "GPU-" UUID}},
        {"nvidia.com/gpu.shared",
         "MIG-" UUID "::2",
         {.kind = DEVICE_ID_UUID, .is_shared = true, .uuid = "MIG-" UUID}},
        /* renamed by an administrator */
        {"example.org/a100",
         "GPU-" UUID "::1",
         {.kind = DEVICE_ID_UUID, .is_shared = true, .uuid = "GPU-" UUID}},
        /* Tegra */
        {"nvidia.com/gpu", "tegra", {.kind = DEVICE_ID_ONLY_GPU}},
        {"nvidia.com/gpu", "tegra::4", {.kind = DEVICE_ID_ONLY_GPU, .is_shared = true}},
        /* GKE */
        {"nvidia.com/gpu", "nvidia0", {.kind = DEVICE_ID_MINOR}},
        {"nvidia.com/gpu", "nvidia12", {.kind = DEVICE_ID_MINOR, .minor = 12}},
        {"nvidia.com/gpu",
         "nvidia1/gi7",
         {.kind = DEVICE_ID_MINOR_INSTANCE, .minor = 1, .gi = 7}},
        {"nvidia.com/gpu",
         "nvidia1/vgpu3",
         {.kind = DEVICE_ID_MINOR, .is_shared = true, .minor = 1}},
        {"nvidia.com/gpu",
         "nvidia1/gi7/vgpu0",
         {.kind = DEVICE_ID_MINOR_INSTANCE, .is_shared = true, .minor = 1, .gi = 7}},
        /* HAMi */
        {"nvidia.com/gpu",
         "GPU-" UUID "-0",
         {.kind = DEVICE_ID_OPAQUE, .uuid = "GPU-" UUID "-0"}},
        {"volcano.sh/vgpu-number",
         "GPU-" UUID "-17",
         {.kind = DEVICE_ID_OPAQUE, .uuid = "GPU-" UUID "-17"}},
        /* NVIDIA's, in a form nobody knows */
        {"nvidia.com/gpu", "", {.kind = DEVICE_ID_OPAQUE}},
        {"nvidia.com/gpu", "7", {.kind = DEVICE_ID_OPAQUE}},
        {"nvidia.com/gpu", "nvidia", {.kind = DEVICE_ID_OPAQUE}},
        {"nvidia.com/gpu", "nvidiactl", {.kind = DEVICE_ID_OPAQUE}},
        {"nvidia.com/gpu", "nvidia0/", {.kind = DEVICE_ID_OPAQUE}},
        {"nvidia.com/gpu", "nvidia0/gi", {.kind = DEVICE_ID_OPAQUE}},
        {"nvidia.com/gpu", "nvidia0/vgpu1x", {.kind = DEVICE_ID_OPAQUE}},
        {"nvidia.com/gpu", "nvidia99999999999", {.kind = DEVICE_ID_OPAQUE}},
        {"nvidia.com/gpu", "GPU-" UUID "::", {.kind = DEVICE_ID_OPAQUE}},
        {"nvidia.com/gpu", "GPU-" UUID "x", {.kind = DEVICE_ID_OPAQUE}},
        {"nvidia.com/gpu", "GPU-5c2a1d34-8f1e-4b0a-9c55", {.kind = DEVICE_ID_OPAQUE}},
        {"nvidia.com/gpu", "MIG-GPU-" UUID "/7", {.kind = DEVICE_ID_OPAQUE}},
        {"nvidia.com/gpu", "MIG-" UUID "-0", {.kind = DEVICE_ID_OPAQUE}},
        {"nvidia.com/mig-1g.5gb", "x", {.kind = DEVICE_ID_OPAQUE}},
        /* others' */
        {"nvidia.com/pgpu", "65", {.kind = DEVICE_ID_FOREIGN}},
        {"nvidia.com/hostdev", "0000:05:00.1", {.kind = DEVICE_ID_FOREIGN}},
        {"nvidia.com/gpumem", "nvidia0", {.kind = DEVICE_ID_FOREIGN}},
        {"amd.com/gpu", "nvidia0", {.kind = DEVICE_ID_FOREIGN}},
        {"amd.com/gpu", "tegra", {.kind = DEVICE_ID_FOREIGN}},
        {"gpu.intel.com/i915", "card0-0", {.kind = DEVICE_ID_FOREIGN}},
        {"", "", {.kind = DEVICE_ID_FOREIGN}},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        expect(device_id_of_plugin(str_from(rows[i].resource), str_from(rows[i].id)),
               &rows[i].expected);
}

static void test_claims(void **state)
{
    static const struct {
        const char *driver, *device;
        struct expected expected;
    } rows[] = {
        {"gpu.nvidia.com", "gpu-0", {.kind = DEVICE_ID_MINOR, .is_shared = true}},
        {"gpu.nvidia.com",
         "gpu-15",
         {.kind = DEVICE_ID_MINOR, .is_shared = true, .minor = 15}},
        {"gpu.nvidia.com",
         "gpu-2-mig-1g10gb-19-4",
         {.kind = DEVICE_ID_MINOR_PROFILE,
          .is_shared = true,
          .minor = 2,
          .profile = "1g10gb"}},
        {"gpu.nvidia.com",
         "gpu-2-mig-1g10gb-me-20-0",
         {.kind = DEVICE_ID_MINOR_PROFILE,
          .is_shared = true,
          .minor = 2,
          .profile = "1g10gb-me"}},
        {"gpu.nvidia.com",
         "gpu-2-mig-1g10gb",
         {.kind = DEVICE_ID_OPAQUE, .is_shared = true, .minor = 2}},
        {"gpu.nvidia.com",
         "gpu-2-mig--19-4",
         {.kind = DEVICE_ID_OPAQUE, .is_shared = true, .minor = 2}},
        {"gpu.nvidia.com", "gpu-vfio-0", {.kind = DEVICE_ID_OPAQUE, .is_shared = true}},
        {"gpu.nvidia.com", "gpu-", {.kind = DEVICE_ID_OPAQUE, .is_shared = true}},
        {"gpu.nvidia.com", "", {.kind = DEVICE_ID_OPAQUE, .is_shared = true}},
        {"compute-domain.nvidia.com", "channel-0", {.kind = DEVICE_ID_FOREIGN}},
        {"gpu.example.com", "gpu-0", {.kind = DEVICE_ID_FOREIGN}},
        {"", "gpu-0", {.kind = DEVICE_ID_FOREIGN}},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        expect(device_id_of_claim(str_from(rows[i].driver), str_from(rows[i].device)),
               &rows[i].expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plugins),
        cmocka_unit_test(test_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
