/* The frame of every call: initialisation, handles, counters, faults, lost GPUs. */
#include "cmocka_all.h"
#include "node_image.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void test_init_is_counted(void **state)
{
    const struct node_image *live = *state;
    unsigned count = 0;
    assert_int_equal(live->state.open_sessions, 1);
    assert_int_equal(nvmlInitWithFlags(NVML_INIT_FLAG_NO_GPUS), NVML_SUCCESS);
    assert_int_equal(live->state.open_sessions, 2);
    assert_int_equal(nvmlShutdown(), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetCount_v2(&count), NVML_SUCCESS);
    assert_int_equal(count, IMAGE_GPUS);
    assert_int_equal(nvmlShutdown(), NVML_SUCCESS);
    assert_int_equal(live->state.open_sessions, 0);
    assert_int_equal(nvmlShutdown(), NVML_ERROR_UNINITIALIZED);
    assert_int_equal(nvmlDeviceGetCount_v2(&count), NVML_ERROR_UNINITIALIZED);
    assert_int_equal(nvmlInitWithFlags(64), NVML_ERROR_INVALID_ARGUMENT);
    assert_int_equal(nvmlInit_v2(), NVML_SUCCESS);
}

static void test_calls_are_counted(void **state)
{
    const struct node_image *live = *state;
    uint64_t before = live->state.total_calls;
    unsigned count = 0;
    (void)nvmlDeviceGetCount_v2(&count);
    (void)gpu_handle(0);
    assert_int_equal(live->state.total_calls, before + 2);
}

static void test_foreign_handles_are_refused(void **state)
{
    (void)state;
    unsigned index;
    nvmlDevice_t last = mig_handle(4);
    char *base = (char *)gpu_handle(0);
    const nvmlDevice_t bad[] = {
        NULL,
        (nvmlDevice_t)(void *)&index,
        (nvmlDevice_t)(void *)(base + 1),
        (nvmlDevice_t)(void *)(base - 8),
        (nvmlDevice_t)(void *)((char *)last + 8),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(nvmlDeviceGetIndex(bad[i], &index), NVML_ERROR_INVALID_ARGUMENT);
    assert_int_equal(nvmlDeviceGetIndex(last, &index), NVML_SUCCESS);
    assert_int_equal(index, 4);
}

static void test_handles_by_other_names(void **state)
{
    (void)state;
    static const struct {
        const char *bus_id;
        int gpu; /* -1: malformed, -2: none there */
    } rows[] = {
        {"00000000:83:00.0", 0}, {"0000:84:00.0", 1},
        {"83:00.0", 0},          {"0:83:0", 0},
        {"10000:0a:1f", 2},      {"00000000:85:00.0", -2},
        {"83:00", -1},           {"", -1},
        {"0:0:83:00.0", -1},     {"83:00.0 ", -1},
        {"83:00.9", -1},         {"000000083:00.0", -1},
        {"zz:00.0", -1},         {":83:00.0", -1},
    };
    nvmlDevice_t device;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nvmlReturn_t rc = nvmlDeviceGetHandleByPciBusId_v2(rows[i].bus_id, &device);
        if (rows[i].gpu >= 0)
            assert_ptr_equal(device, gpu_handle((unsigned)rows[i].gpu));
        assert_int_equal(rc, rows[i].gpu == -1   ? NVML_ERROR_INVALID_ARGUMENT
                             : rows[i].gpu == -2 ? NVML_ERROR_NOT_FOUND
                                                 : NVML_SUCCESS);
    }
    assert_int_equal(nvmlDeviceGetHandleByUUID("MIG-4", &device), NVML_SUCCESS);
    assert_ptr_equal(device, mig_handle(4));
    assert_int_equal(nvmlDeviceGetHandleByUUID("GPU-x", &device), NVML_ERROR_NOT_FOUND);
    assert_int_equal(nvmlDeviceGetHandleByIndex_v2(IMAGE_GPUS, &device),
                     NVML_ERROR_INVALID_ARGUMENT);
}

static void test_texts_fit_or_are_refused(void **state)
{
    (void)state;
    char text[16] = "untouched";
    assert_int_equal(nvmlDeviceGetUUID(gpu_handle(0), text, 5),
                     NVML_ERROR_INSUFFICIENT_SIZE);
    assert_string_equal(text, "untouched");
    assert_int_equal(nvmlDeviceGetUUID(gpu_handle(0), text, 6), NVML_SUCCESS);
    assert_string_equal(text, "GPU-a");
    assert_int_equal(nvmlDeviceGetUUID(gpu_handle(0), NULL, 6),
                     NVML_ERROR_INVALID_ARGUMENT);
}

static void test_a_lost_gpu(void **state)
{
    struct node_image *live = *state;
    nvmlDevice_t held = gpu_handle(0), mig = mig_handle(0), device;
    unsigned value;
    live->gpus[PLAIN_GPU].lost = NVML_ERROR_GPU_IS_LOST;
    live->gpus[SLICED_GPU].lost = NVML_ERROR_UNKNOWN;
    assert_int_equal(nvmlDeviceGetPowerUsage(held, &value), NVML_ERROR_GPU_IS_LOST);
    assert_int_equal(nvmlDeviceGetHandleByIndex_v2(0, &device), NVML_ERROR_GPU_IS_LOST);
    assert_int_equal(nvmlDeviceGetIndex(mig, &value), NVML_ERROR_UNKNOWN);
    assert_int_equal(nvmlDeviceGetHandleByUUID("GPU-c", &device), NVML_ERROR_GPU_IS_LOST);
    assert_int_equal(nvmlDeviceGetIndex(gpu_handle(BARE_GPU), &value), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetCount_v2(&value), NVML_SUCCESS);
    assert_int_equal(value, IMAGE_GPUS);
    assert_int_equal(nvmlInit(), NVML_ERROR_GPU_IS_LOST); /* the old one attaches all */
}

/* The unsuffixed calls leave out GPUs that the caller may not use, and count on. */
static void test_the_old_count_skips_forbidden_gpus(void **state)
{
    struct node_image *live = *state;
    unsigned count;
    nvmlDevice_t device;
    live->gpus[0].lost = NVML_ERROR_NO_PERMISSION;
    assert_int_equal(nvmlDeviceGetCount(&count), NVML_SUCCESS);
    assert_int_equal(count, 2);
    assert_int_equal(nvmlDeviceGetHandleByIndex(0, &device), NVML_SUCCESS);
    assert_ptr_equal(device, gpu_handle(1));
    assert_int_equal(nvmlDeviceGetHandleByIndex(2, &device), NVML_ERROR_INVALID_ARGUMENT);
}

static void test_a_fault_comes_in_its_turn(void **state)
{
    (void)state;
    static const nvmlReturn_t wanted[] = {0, 0, 999, 999, 999, 0, 0};
    struct node_image image;
    unsigned count;
    node_image_fill(&image);
    node_image_fault(&image, "nvmlDeviceGetCount_v2", SIM_FAULT_RETURN,
                     NVML_ERROR_UNKNOWN);
    image.faults[0].after = 2;
    image.faults[0].times = 3;
    struct node_image *live = node_image_install(&image, sizeof(image));
    assert_int_equal(nvmlInit_v2(), NVML_SUCCESS);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        assert_int_equal(nvmlDeviceGetCount_v2(&count), wanted[i]);
    assert_int_equal(nvmlShutdown(), NVML_SUCCESS);
    node_image_remove(live);
}

static void test_a_fault_meets_its_calls_and_gpu(void **state)
{
    (void)state;
    struct node_image image;
    unsigned value;
    node_image_fill(&image);
    node_image_fault(&image, "nvmlDeviceGetP*", SIM_FAULT_RETURN, NVML_ERROR_IN_USE);
    image.faults[0].gpu = 1;
    struct node_image *live = node_image_install(&image, sizeof(image));
    assert_int_equal(nvmlInit_v2(), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetPowerUsage(gpu_handle(0), &value), NVML_SUCCESS);
    assert_int_equal(nvmlDeviceGetPowerUsage(gpu_handle(1), &value), NVML_ERROR_IN_USE);
    assert_int_equal(nvmlDeviceGetIndex(gpu_handle(1), &value), NVML_SUCCESS);
    assert_int_equal(nvmlShutdown(), NVML_SUCCESS);
    node_image_remove(live);
}

/* The turn of a fault of nvmlInit is counted although no session is open between. */
static void test_the_second_init_fails(void **state)
{
    (void)state;
    struct node_image image;
    node_image_fill(&image);
    node_image_fault(&image, "nvmlInit*", SIM_FAULT_RETURN,
                     NVML_ERROR_LIB_RM_VERSION_MISMATCH);
    image.faults[0].after = 1;
    image.faults[0].times = 1;
    struct node_image *live = node_image_install(&image, sizeof(image));
    assert_int_equal(nvmlInit_v2(), NVML_SUCCESS);
    assert_int_equal(nvmlShutdown(), NVML_SUCCESS);
    assert_int_equal(nvmlInit_v2(), NVML_ERROR_LIB_RM_VERSION_MISMATCH);
    assert_int_equal(live->state.open_sessions, 0);
    assert_int_equal(nvmlInit_v2(), NVML_SUCCESS);
    assert_int_equal(nvmlShutdown(), NVML_SUCCESS);
    node_image_remove(live);
}

/* Calls in a child whose timer ends it; returns the signal that did, 0: it came back. */
static int signal_in_child(void)
{
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        const struct itimerval soon = {.it_value = {.tv_usec = 50000}};
        unsigned count;
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGSEGV, SIG_DFL); /* a sanitizer's report is not wanted */
        (void)signal(SIGALRM, SIG_DFL);
        (void)setitimer(ITIMER_REAL, &soon, NULL);
        (void)nvmlDeviceGetCount_v2(&count);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_stall_and_crash(void **state)
{
    (void)state;
    static const struct {
        enum sim_fault_action action;
        int signal;
    } rows[] = {
        {SIM_FAULT_STALL, SIGALRM}, {SIM_FAULT_CRASH, SIGSEGV}, {SIM_FAULT_RETURN, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct node_image image;
        node_image_fill(&image);
        node_image_fault(&image, "nvmlDeviceGetCount_v2", rows[i].action, 3);
        struct node_image *live = node_image_install(&image, sizeof(image));
        assert_int_equal(nvmlInit_v2(), NVML_SUCCESS);
        assert_int_equal(signal_in_child(), rows[i].signal);
        assert_int_equal(nvmlShutdown(), NVML_SUCCESS);
        node_image_remove(live);
    }
}

static void test_latency_is_spent(void **state)
{
    struct node_image *live = *state;
    struct timespec from, to;
    unsigned count;
    live->state.latency_us = 2000;
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    (void)nvmlDeviceGetCount_v2(&count);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    live->state.latency_us = 0;
    long spent_ns =
        (long)(to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
    assert_true(spent_ns >= 1999000);
}

static void test_error_texts(void **state)
{
    (void)state;
    assert_string_equal(nvmlErrorString(NVML_SUCCESS), "Success");
    assert_string_equal(nvmlErrorString(NVML_ERROR_GPU_IS_LOST), "GPU is lost");
    assert_string_equal(nvmlErrorString(NVML_ERROR_UNKNOWN), "Unknown Error");
    assert_string_equal(nvmlErrorString((nvmlReturn_t)31), "Unknown Error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(test_init_is_counted),
        NODE_TEST(test_calls_are_counted),
        NODE_TEST(test_foreign_handles_are_refused),
        NODE_TEST(test_handles_by_other_names),
        NODE_TEST(test_texts_fit_or_are_refused),
        NODE_TEST(test_a_lost_gpu),
        NODE_TEST(test_the_old_count_skips_forbidden_gpus),
        cmocka_unit_test(test_a_fault_comes_in_its_turn),
        cmocka_unit_test(test_a_fault_meets_its_calls_and_gpu),
        cmocka_unit_test(test_the_second_init_fails),
        cmocka_unit_test(test_stall_and_crash),
        NODE_TEST(test_latency_is_spent),
        cmocka_unit_test(test_error_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
