/* GPM: samples, their distance, values per GPU instance. */
#include "cmocka_all.h"
#include "node_image.h"

#include "sim/driver/call.h"

#include <math.h>

static nvmlGpmSample_t sample_new(void)
{
    nvmlGpmSample_t sample = NULL;
    assert_int_equal(nvmlGpmSampleAlloc(&sample), NVML_SUCCESS);
    return sample;
}

/* As if SAMPLE had been taken 150 ms earlier: the test does not wait. */
static void sample_age(nvmlGpmSample_t sample)
{
    sample->monotonic_ns -= 150000000;
}

static nvmlReturn_t metrics_get(nvmlGpmSample_t first, nvmlGpmSample_t last,
                                nvmlGpmMetricsGet_t *metrics)
{
    *metrics = (nvmlGpmMetricsGet_t){
        .version = NVML_GPM_METRICS_GET_VERSION,
        .numMetrics = 3,
        .sample1 = first,
        .sample2 = last,
        .metrics = {{.metricId = NVML_GPM_METRIC_SM_UTIL},
                    {.metricId = NVML_GPM_METRIC_DRAM_BW_UTIL},
                    {.metricId = 3}},
    };
    return nvmlGpmMetricsGet(metrics);
}

static void check_values(const nvmlGpmMetricsGet_t *metrics, double sm, double bandwidth)
{
    assert_int_equal(metrics->metrics[0].nvmlReturn, NVML_SUCCESS);
    assert_true(fabs(metrics->metrics[0].value - sm) < 1e-6);
    assert_true(fabs(metrics->metrics[1].value - bandwidth) < 1e-6);
    assert_string_equal(metrics->metrics[0].metricInfo.unit, "%");
    assert_int_equal(metrics->metrics[2].nvmlReturn, NVML_ERROR_NOT_SUPPORTED);
}

static void test_values_of_instances(void **state)
{
    (void)state;
    static const struct {
        unsigned gi;
        double sm, bandwidth;
    } rows[] = {{2, 100, 55}, {9, 12, 6}}; /* 80 + 30 cut to 100; 40 + 15 */
    nvmlGpmMetricsGet_t metrics;
    nvmlGpmSample_t first = sample_new(), last = sample_new();
    for (size_t i = 0; i < 2; i++) {
        nvmlDevice_t gpu = gpu_handle(SLICED_GPU);
        assert_int_equal(nvmlGpmMigSampleGet(gpu, rows[i].gi, first), NVML_SUCCESS);
        assert_int_equal(nvmlGpmMigSampleGet(gpu, rows[i].gi, last), NVML_SUCCESS);
        sample_age(first);
        assert_int_equal(metrics_get(first, last, &metrics), NVML_SUCCESS);
        check_values(&metrics, rows[i].sm, rows[i].bandwidth);
    }
    assert_int_equal(nvmlGpmSampleGet(mig_handle(1), first), NVML_SUCCESS);
    assert_int_equal(nvmlGpmSampleGet(mig_handle(0), last), NVML_SUCCESS);
    sample_age(first); /* two compute instances of one GPU instance: one thing */
    assert_int_equal(metrics_get(first, last, &metrics), NVML_SUCCESS);
    check_values(&metrics, 100, 55);
}

static void test_value_of_a_sliced_gpu(void **state)
{
    (void)state;
    nvmlGpmMetricsGet_t metrics;
    nvmlGpmSample_t first = sample_new(), last = sample_new();
    assert_int_equal(nvmlGpmSampleGet(gpu_handle(SLICED_GPU), first), NVML_SUCCESS);
    assert_int_equal(nvmlGpmSampleGet(gpu_handle(SLICED_GPU), last), NVML_SUCCESS);
    sample_age(first);
    assert_int_equal(metrics_get(first, last, &metrics), NVML_SUCCESS);
    check_values(&metrics, 112.0 / 7, 61.0 / 7); /* a slice of seven each */
}

static void test_unfit_samples(void **state)
{
    (void)state;
    nvmlGpmMetricsGet_t metrics;
    nvmlDevice_t gpu = gpu_handle(SLICED_GPU);
    nvmlGpmSample_t first = sample_new(), last = sample_new();
    assert_int_equal(metrics_get(first, last, &metrics), NVML_ERROR_INVALID_ARGUMENT);
    assert_int_equal(nvmlGpmMigSampleGet(gpu, 2, first), NVML_SUCCESS);
    assert_int_equal(nvmlGpmMigSampleGet(gpu, 2, last), NVML_SUCCESS);
    assert_int_equal(metrics_get(first, last, &metrics), NVML_ERROR_INVALID_ARGUMENT);
    sample_age(first);
    assert_int_equal(metrics_get(last, first, &metrics), NVML_ERROR_INVALID_ARGUMENT);
    assert_int_equal(metrics_get(first, NULL, &metrics), NVML_ERROR_INVALID_ARGUMENT);
    assert_int_equal(nvmlGpmMigSampleGet(gpu, 9, last), NVML_SUCCESS);
    assert_int_equal(metrics_get(first, last, &metrics), NVML_ERROR_INVALID_ARGUMENT);
    metrics.version = 2;
    assert_int_equal(nvmlGpmMetricsGet(&metrics), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    metrics.version = NVML_GPM_METRICS_GET_VERSION;
    metrics.numMetrics = NVML_GPM_METRIC_MAX + 1;
    assert_int_equal(nvmlGpmMetricsGet(&metrics), NVML_ERROR_INVALID_ARGUMENT);
}

static void test_support(void **state)
{
    (void)state;
    nvmlGpmSupport_t support = {.version = NVML_GPM_SUPPORT_VERSION};
    nvmlGpmSample_t sample = sample_new();
    assert_int_equal(nvmlGpmQueryDeviceSupport(gpu_handle(SLICED_GPU), &support), 0);
    assert_int_equal(support.isSupportedDevice, 1);
    assert_int_equal(nvmlGpmQueryDeviceSupport(gpu_handle(0), &support), NVML_SUCCESS);
    assert_int_equal(support.isSupportedDevice, 0);
    assert_int_equal(nvmlGpmSampleGet(gpu_handle(0), sample), NVML_ERROR_NOT_SUPPORTED);
    assert_int_equal(nvmlGpmMigSampleGet(gpu_handle(SLICED_GPU), 5, sample),
                     NVML_ERROR_INVALID_ARGUMENT);
    support.version = 2;
    assert_int_equal(nvmlGpmQueryDeviceSupport(gpu_handle(0), &support),
                     NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
}

static void test_samples_are_freed_once(void **state)
{
    (void)state;
    nvmlGpmSample_t sample = sample_new();
    assert_int_equal(nvmlGpmSampleFree(sample), NVML_SUCCESS);
    assert_int_equal(nvmlGpmSampleFree(sample), NVML_ERROR_INVALID_ARGUMENT);
    assert_int_equal(nvmlGpmSampleFree(NULL), NVML_ERROR_INVALID_ARGUMENT);
    assert_int_equal(nvmlGpmSampleGet(gpu_handle(SLICED_GPU), sample),
                     NVML_ERROR_INVALID_ARGUMENT);
}

static void test_samples_run_out(void **state)
{
    (void)state;
    nvmlGpmSample_t samples[GPM_SAMPLES_MAX], more;
    for (size_t i = 0; i < GPM_SAMPLES_MAX; i++)
        samples[i] = sample_new();
    assert_int_equal(nvmlGpmSampleAlloc(&more), NVML_ERROR_INSUFFICIENT_RESOURCES);
    assert_int_equal(nvmlGpmSampleFree(samples[7]), NVML_SUCCESS);
    assert_int_equal(nvmlGpmSampleAlloc(&more), NVML_SUCCESS);
    assert_ptr_equal(more, samples[7]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(test_values_of_instances),    NODE_TEST(test_value_of_a_sliced_gpu),
        NODE_TEST(test_unfit_samples),          NODE_TEST(test_support),
        NODE_TEST(test_samples_are_freed_once), NODE_TEST(test_samples_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
