/* Memory, utilisation, power and MIG on each kind of handle; old layouts. */
#include "cmocka_all.h"
#include "node_image.h"

#include <string.h>

static void test_memory_of_a_gpu(void **state)
{
    (void)state;
    nvmlMemory_t v1;
    nvmlMemory_v2_t v2 = {.version = nvmlMemory_v2};
    assert_int_equal(nvmlDeviceGetMemoryInfo(gpu_handle(0), &v1), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetMemoryInfo_v2(gpu_handle(0), &v2), NVML_SUCCESS);
    assert_int_equal(v2.used, 3000 * MIB);
    assert_int_equal(v2.reserved, 500 * MIB);
    assert_int_equal(v1.used, 3500 * MIB); /* the old view includes the reserve */
    assert_int_equal(v1.free, v2.free);
    assert_int_equal(v1.free + v1.used, v1.total);
    v2.version = 2;
    assert_int_equal(nvmlDeviceGetMemoryInfo_v2(gpu_handle(0), &v2),
                     NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    assert_int_equal(nvmlDeviceGetMemoryInfo(gpu_handle(BARE_GPU), &v1),
                     NVML_ERROR_NOT_SUPPORTED);
}

static void test_memory_never_exceeds_the_total(void **state)
{
    struct node_image *live = *state;
    nvmlMemory_t memory;
    live->processes[0].memory_bytes = 90000 * MIB;
    assert_int_equal(nvmlDeviceGetMemoryInfo(gpu_handle(0), &memory), NVML_SUCCESS);
    assert_int_equal(memory.used, memory.total);
    assert_int_equal(memory.free, 0);
    live->processes[0].memory_bytes = NVML_VALUE_NOT_AVAILABLE_U64;
    assert_int_equal(nvmlDeviceGetMemoryInfo(gpu_handle(0), &memory), NVML_SUCCESS);
    assert_int_equal(memory.used, 2500 * MIB);
}

/* The two compute instances of GPU instance 2 share its memory. */
static void test_memory_of_instances(void **state)
{
    struct node_image *live = *state;
    nvmlMemory_t memory;
    for (unsigned slot = 0; slot < 2; slot++) {
        assert_int_equal(nvmlDeviceGetMemoryInfo(mig_handle(slot), &memory), 0);
        assert_int_equal(memory.used, 2009 * MIB);
        assert_int_equal(memory.total, 9984 * MIB);
    }
    assert_int_equal(nvmlDeviceGetMemoryInfo(gpu_handle(SLICED_GPU), &memory), 0);
    assert_int_equal(memory.used, (500 + 3000 + 2 * 9) * MIB);
    live->state.unprivileged = 1;
    assert_int_equal(nvmlDeviceGetMemoryInfo(gpu_handle(SLICED_GPU), &memory),
                     NVML_ERROR_NO_PERMISSION);
    assert_int_equal(nvmlDeviceGetMemoryInfo(mig_handle(0), &memory), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetMemoryInfo(gpu_handle(0), &memory), NVML_SUCCESS);
}

static void test_utilization(void **state)
{
    (void)state;
    nvmlUtilization_t utilization;
    unsigned percent, period;
    assert_int_equal(nvmlDeviceGetUtilizationRates(gpu_handle(0), &utilization), 0);
    assert_int_equal(utilization.gpu, 100); /* 70 + 60, cut */
    assert_int_equal(utilization.memory, 65);
    assert_int_equal(nvmlDeviceGetEncoderUtilization(gpu_handle(0), &percent, &period),
                     0);
    assert_int_equal(percent, 0);
    const nvmlDevice_t without[] = {gpu_handle(SLICED_GPU), mig_handle(4),
                                    gpu_handle(BARE_GPU)};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(nvmlDeviceGetUtilizationRates(without[i], &utilization),
                         NVML_ERROR_NOT_SUPPORTED);
        assert_int_equal(nvmlDeviceGetDecoderUtilization(without[i], &percent, &period),
                         NVML_ERROR_NOT_SUPPORTED);
    }
}

static void test_power_and_temperature(void **state)
{
    (void)state;
    unsigned value;
    assert_int_equal(nvmlDeviceGetPowerUsage(gpu_handle(0), &value), NVML_SUCCESS);
    assert_int_equal(value, 312345);
    assert_int_equal(nvmlDeviceGetEnforcedPowerLimit(gpu_handle(0), &value), 0);
    assert_int_equal(value, 350000);
    assert_int_equal(nvmlDeviceGetTemperature(gpu_handle(0), 0, &value), NVML_SUCCESS);
    assert_int_equal(value, 41);
    assert_int_equal(nvmlDeviceGetTemperature(gpu_handle(0), 1, &value),
                     NVML_ERROR_INVALID_ARGUMENT);
    assert_int_equal(nvmlDeviceGetPowerUsage(gpu_handle(BARE_GPU), &value),
                     NVML_ERROR_NOT_SUPPORTED);
    assert_int_equal(nvmlDeviceGetPowerUsage(mig_handle(0), &value),
                     NVML_ERROR_NOT_SUPPORTED);
    assert_int_equal(nvmlDeviceGetFanSpeed(gpu_handle(0), &value),
                     NVML_ERROR_NOT_SUPPORTED);
}

static void test_mig_mode(void **state)
{
    (void)state;
    static const struct {
        unsigned gpu;
        nvmlReturn_t rc;
        unsigned mode, slots;
    } rows[] = {{PLAIN_GPU, NVML_SUCCESS, 0, 0},
                {SLICED_GPU, NVML_SUCCESS, 1, 7},
                {BARE_GPU, NVML_ERROR_NOT_SUPPORTED, 0, 0}};
    for (size_t i = 0; i < 3; i++) {
        unsigned current = 0, pending = 0, slots = 99;
        nvmlDevice_t gpu = gpu_handle(rows[i].gpu);
        assert_int_equal(nvmlDeviceGetMigMode(gpu, &current, &pending), rows[i].rc);
        assert_int_equal(current, rows[i].mode);
        assert_int_equal(pending, rows[i].mode);
        assert_int_equal(nvmlDeviceGetMaxMigDeviceCount(gpu, &slots), NVML_SUCCESS);
        assert_int_equal(slots, rows[i].slots);
    }
}

static void test_slots_are_sparse(void **state)
{
    struct node_image *live = *state;
    static const nvmlReturn_t empty[] = {NVML_ERROR_NOT_FOUND,
                                         NVML_ERROR_INVALID_ARGUMENT};
    nvmlDevice_t gpu = gpu_handle(SLICED_GPU), mig, parent;
    unsigned is_mig = 0;
    for (size_t i = 0; i < 2; i++) {
        live->state.empty_slot_code = empty[i];
        for (unsigned slot = 0; slot < 7; slot++) {
            bool is_used = slot == 0 || slot == 1 || slot == 4;
            assert_int_equal(nvmlDeviceGetMigDeviceHandleByIndex(gpu, slot, &mig),
                             is_used ? NVML_SUCCESS : empty[i]);
        }
    }
    assert_int_equal(nvmlDeviceGetMigDeviceHandleByIndex(gpu, 7, &mig),
                     NVML_ERROR_INVALID_ARGUMENT);
    assert_int_equal(nvmlDeviceGetMigDeviceHandleByIndex(gpu_handle(0), 0, &mig),
                     NVML_ERROR_NOT_SUPPORTED);
    assert_int_equal(nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mig_handle(4), &parent),
                     0);
    assert_ptr_equal(parent, gpu);
    assert_int_equal(nvmlDeviceIsMigDeviceHandle(mig_handle(4), &is_mig), NVML_SUCCESS);
    assert_int_equal(is_mig, 1);
}

static void test_ids_and_attributes(void **state)
{
    (void)state;
    unsigned gi = 0, ci = 0;
    nvmlDeviceAttributes_t attributes;
    char name[64];
    assert_int_equal(nvmlDeviceGetGpuInstanceId(mig_handle(1), &gi), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetComputeInstanceId(mig_handle(1), &ci), NVML_SUCCESS);
    assert_int_equal(gi, 2);
    assert_int_equal(ci, 1);
    assert_int_equal(nvmlDeviceGetGpuInstanceId(gpu_handle(1), &gi),
                     NVML_ERROR_NOT_SUPPORTED);
    assert_int_equal(nvmlDeviceGetAttributes_v2(mig_handle(1), &attributes), 0);
    assert_int_equal(attributes.multiprocessorCount, 16);
    assert_int_equal(attributes.memorySizeMB, 9984);
    assert_int_equal(nvmlDeviceGetAttributes_v2(gpu_handle(1), &attributes),
                     NVML_ERROR_NOT_SUPPORTED);
    assert_int_equal(nvmlDeviceGetName(mig_handle(1), name, sizeof(name)), NVML_SUCCESS);
    assert_string_equal(name, "NVIDIA H100 MIG 1g.10gb");
}

/* The unsuffixed calls write the shorter structs of their time, and not a byte more. */
static void test_old_layouts(void **state)
{
    (void)state;
    union {
        nvmlPciInfo_v1_t v1;
        nvmlPciInfo_v2_t v2;
        nvmlPciInfo_t v3;
        nvmlDeviceAttributes_v1_t attributes;
        unsigned char bytes[96];
    } room;
    nvmlDevice_t gpu = gpu_handle(BARE_GPU);
    memset(&room, 0xAA, sizeof(room));
    assert_int_equal(nvmlDeviceGetPciInfo(gpu, &room.v1), NVML_SUCCESS);
    assert_string_equal(room.v1.busId, "0000:0A:1F.0");
    assert_int_equal(room.v1.domain, 0x10000);
    assert_int_equal(room.v1.device, 0x1F);
    assert_int_equal(room.bytes[sizeof(room.v1)], 0xAA);
    assert_int_equal(nvmlDeviceGetPciInfo_v2(gpu, &room.v2), NVML_SUCCESS);
    assert_int_not_equal(room.v2.pciSubSystemId, 0xAAAAAAAA);
    assert_int_equal(room.v2.reserved[0], 0xAAAAAAAA);
    assert_int_equal(nvmlDeviceGetPciInfo_v3(gpu, &room.v3), NVML_SUCCESS);
    assert_string_equal(room.v3.busId, "00010000:0A:1F.0");
    assert_int_equal(room.v3.pciDeviceId & 0xFFFF, 0x10DE);
    memset(&room, 0xAA, sizeof(room));
    assert_int_equal(nvmlDeviceGetAttributes(mig_handle(0), &room.attributes), 0);
    assert_int_equal(room.attributes.multiprocessorCount, 16);
    assert_int_equal(room.bytes[sizeof(room.attributes)], 0xAA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(test_memory_of_a_gpu),
        NODE_TEST(test_memory_never_exceeds_the_total),
        NODE_TEST(test_memory_of_instances),
        NODE_TEST(test_utilization),
        NODE_TEST(test_power_and_temperature),
        NODE_TEST(test_mig_mode),
        NODE_TEST(test_slots_are_sparse),
        NODE_TEST(test_ids_and_attributes),
        NODE_TEST(test_old_layouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
