/* Process lists and samples: the count protocol, strides, what is written and what not.
 */
#include "cmocka_all.h"
#include "node_image.h"

#include <string.h>
#include <time.h>

enum { PATTERN = 0xAA, BUFFER_BYTES = 512 };

typedef nvmlReturn_t list_fn(nvmlDevice_t, unsigned *, void *);

/* The three generations behind one type: they differ in their entries only. */
static nvmlReturn_t list_v1(nvmlDevice_t device, unsigned *count, void *infos)
{
    return nvmlDeviceGetComputeRunningProcesses(device, count, infos);
}

static nvmlReturn_t list_v2(nvmlDevice_t device, unsigned *count, void *infos)
{
    return nvmlDeviceGetComputeRunningProcesses_v2(device, count, infos);
}

static bool bytes_are_untouched(const unsigned char *from, const unsigned char *to)
{
    for (; from < to; from++) {
        if (*from != PATTERN)
            return false;
    }
    return true;
}

static void check_count_protocol(list_fn *list)
{
    unsigned char buffer[BUFFER_BYTES];
    nvmlDevice_t device = gpu_handle(PLAIN_GPU);
    unsigned count = 0;
    memset(buffer, PATTERN, sizeof(buffer));
    assert_int_equal(list(device, &count, NULL), NVML_ERROR_INSUFFICIENT_SIZE);
    assert_int_equal(count, 3);
    count = 2;
    assert_int_equal(list(device, &count, buffer), NVML_ERROR_INSUFFICIENT_SIZE);
    assert_int_equal(count, 3);
    assert_true(bytes_are_untouched(buffer, buffer + sizeof(buffer)));
    assert_int_equal(list(device, &count, NULL), NVML_ERROR_INVALID_ARGUMENT);
    assert_int_equal(list(device, NULL, buffer), NVML_ERROR_INVALID_ARGUMENT);
    assert_int_equal(list(device, &count, buffer), NVML_SUCCESS);
    count = 9;
    assert_int_equal(list(device, &count, buffer), NVML_SUCCESS);
    assert_int_equal(count, 3);
    count = 0;
    assert_int_equal(list(gpu_handle(BARE_GPU), &count, NULL), NVML_SUCCESS);
    assert_int_equal(count, 0);
}

static void test_count_protocol(void **state)
{
    (void)state;
    check_count_protocol(list_v1);
    check_count_protocol(list_v2);
    check_count_protocol(nvmlDeviceGetComputeRunningProcesses_v3);
}

/* Entries follow each other at STRIDE; padding and what lies behind stay as they were. */
static void check_stride(list_fn *list, size_t stride)
{
    static const unsigned pids[] = {100, 101, 102};
    unsigned char buffer[BUFFER_BYTES];
    unsigned count = 3;
    memset(buffer, PATTERN, sizeof(buffer));
    assert_int_equal(list(gpu_handle(PLAIN_GPU), &count, buffer), NVML_SUCCESS);
    for (size_t i = 0; i < 3; i++) {
        nvmlProcessInfo_v2_t entry;
        memcpy(&entry, buffer + i * stride, stride < 24 ? 16 : 24);
        assert_int_equal(entry.pid, pids[i]);
        assert_int_equal(entry.usedGpuMemory, 1000 * MIB);
        assert_true(
            bytes_are_untouched(buffer + i * stride + 4, buffer + i * stride + 8));
        if (stride >= 24)
            assert_int_equal(entry.gpuInstanceId & entry.computeInstanceId, SIM_ID_NONE);
    }
    assert_true(bytes_are_untouched(buffer + 3 * stride, buffer + sizeof(buffer)));
}

static void test_strides(void **state)
{
    struct node_image *live = *state;
    check_stride(list_v1, 16);
    check_stride(list_v2, 24);
    check_stride(nvmlDeviceGetComputeRunningProcesses_v3, 24);
    live->state.process_v3_stride = 32;
    check_stride(nvmlDeviceGetComputeRunningProcesses_v3, 32);
}

static void test_kinds(void **state)
{
    (void)state;
    nvmlProcessInfo_v2_t infos[4];
    unsigned count = 4;
    assert_int_equal(
        nvmlDeviceGetGraphicsRunningProcesses_v2(gpu_handle(0), &count, infos), 0);
    assert_int_equal(count, 1);
    assert_int_equal(infos[0].pid, 102);
    count = 4;
    assert_int_equal(
        nvmlDeviceGetMPSComputeRunningProcesses_v2(gpu_handle(1), &count, infos), 0);
    assert_int_equal(count, 1);
    assert_int_equal(infos[0].pid, 202);
}

static void test_a_process_comes_and_goes(void **state)
{
    struct node_image *live = *state;
    unsigned count = 0;
    live->processes[3].alive = 1;
    (void)list_v2(gpu_handle(0), &count, NULL);
    assert_int_equal(count, 4);
    live->processes[0].alive = live->processes[3].alive = 0;
    count = 0;
    (void)list_v2(gpu_handle(0), &count, NULL);
    assert_int_equal(count, 2);
}

/* Who is listed on a handle of the sliced GPU; NO_PERMISSION for the whole of it. */
static void test_lists_of_instances(void **state)
{
    struct node_image *live = *state;
    static const struct {
        unsigned slot, pid, gi, ci;
    } rows[] = {{0, 200, 2, 0}, {1, 201, 2, 1}};
    nvmlProcessInfo_v2_t infos[4];
    unsigned count = 4;
    assert_int_equal(list_v2(gpu_handle(SLICED_GPU), &count, infos), NVML_SUCCESS);
    assert_int_equal(count, 2);
    live->state.unprivileged = 1;
    assert_int_equal(list_v2(gpu_handle(SLICED_GPU), &count, infos),
                     NVML_ERROR_NO_PERMISSION);
    for (size_t i = 0; i < 2; i++) {
        count = 4;
        assert_int_equal(list_v2(mig_handle(rows[i].slot), &count, infos), NVML_SUCCESS);
        assert_int_equal(count, 1);
        assert_int_equal(infos[0].pid, rows[i].pid);
        assert_int_equal(infos[0].gpuInstanceId, rows[i].gi);
        assert_int_equal(infos[0].computeInstanceId, rows[i].ci);
    }
}

static nvmlReturn_t samples_get(nvmlProcessUtilizationSample_t *to, unsigned *count,
                                unsigned long long last_seen)
{
    return nvmlDeviceGetProcessUtilization(gpu_handle(PLAIN_GPU), to, count, last_seen);
}

static void test_samples_protocol(void **state)
{
    (void)state;
    nvmlProcessUtilizationSample_t records[100];
    unsigned count = 0;
    assert_int_equal(samples_get(NULL, &count, 0), NVML_ERROR_INSUFFICIENT_SIZE);
    assert_int_equal(count, 100); /* the ring's capacity, not what is in it */
    assert_int_equal(samples_get(records, &count, 0), NVML_SUCCESS);
    assert_int_equal(count, 2); /* 102 does nothing, 103 is dead */
    assert_int_equal(records[0].pid, 100);
    assert_int_equal(records[0].smUtil, 70);
    assert_int_equal(records[0].memUtil, 35);
    assert_int_equal(records[0].encUtil, 0);
    assert_int_equal(records[1].pid, 101);
    assert_int_equal(records[1].timeStamp, records[0].timeStamp);
    count = 1;
    assert_int_equal(samples_get(records, &count, 0), NVML_ERROR_INSUFFICIENT_SIZE);
    assert_int_equal(count, 100);
    assert_int_equal(samples_get(records, NULL, 0), NVML_ERROR_INVALID_ARGUMENT);
}

static uint64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The newest sample is at most a sampling interval old, and after a later one there is
 * nothing; also on a frozen node, whose loads stand while its driver goes on. */
static void test_samples_newer_than_seen(void **state)
{
    struct node_image *live = *state;
    nvmlProcessUtilizationSample_t records[100];
    for (uint32_t frozen = 0; frozen < 2; frozen++) {
        unsigned count = 100;
        live->state.frozen = frozen;
        uint64_t before_us = now_us();
        assert_int_equal(samples_get(records, &count, 0), NVML_SUCCESS);
        assert_in_range(records[0].timeStamp, before_us - 200000, now_us());
        unsigned long long later = now_us() + 3600000000ULL;
        assert_int_equal(samples_get(records, &count, later), NVML_ERROR_NOT_FOUND);
        assert_int_equal(count, 0);
    }
}

static void test_no_records_at_all(void **state)
{
    struct node_image *live = *state;
    nvmlProcessUtilizationSample_t records[100];
    unsigned count = 100;
    live->processes[0].has_samples = live->processes[1].has_samples = 0;
    assert_int_equal(samples_get(records, &count, 0), NVML_ERROR_NOT_FOUND);
    assert_int_equal(count, 0);
}

static void test_garbage_samples(void **state)
{
    struct node_image *live = *state;
    nvmlProcessUtilizationSample_t records[100];
    unsigned count = 100, over = 0, old = 0;
    unsigned long long seen = now_us() - 1000000;
    live->processes[0].garbage_samples = 4;
    live->processes[2].garbage_samples = 2; /* idle: only impossible values */
    assert_int_equal(samples_get(records, &count, seen), NVML_SUCCESS);
    assert_int_equal(count, 8);
    for (unsigned i = 0; i < count; i++) {
        over += records[i].smUtil > 100;
        old += records[i].timeStamp <= seen;
        assert_false(records[i].pid == 102 && records[i].smUtil <= 100);
    }
    assert_int_equal(over, 4);
    assert_int_equal(old, 2);
}

static void test_no_samples_under_mig(void **state)
{
    (void)state;
    nvmlProcessUtilizationSample_t records[4];
    const nvmlDevice_t devices[] = {gpu_handle(SLICED_GPU), mig_handle(0),
                                    gpu_handle(BARE_GPU)};
    for (size_t i = 0; i < 3; i++) {
        unsigned count = 4;
        assert_int_equal(nvmlDeviceGetProcessUtilization(devices[i], records, &count, 0),
                         NVML_ERROR_NOT_SUPPORTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(test_count_protocol),
        NODE_TEST(test_strides),
        NODE_TEST(test_kinds),
        NODE_TEST(test_a_process_comes_and_goes),
        NODE_TEST(test_lists_of_instances),
        NODE_TEST(test_samples_protocol),
        NODE_TEST(test_samples_newer_than_seen),
        NODE_TEST(test_no_records_at_all),
        NODE_TEST(test_garbage_samples),
        NODE_TEST(test_no_samples_under_mig),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
