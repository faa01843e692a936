/* What an ended nvidia-smi meant: its sentences and exit statuses. */
#include "base/cleanup.h"
#include "source/nvsmi/smi_failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { FAILED = -1 }; /* any negative */

static void test_catalogue(void **state)
{
    (void)state;
    static const struct {
        int exit_status;
        const char *text, *complaint;
        int expected;
        const char *words; /* somewhere in the message */
    } cases[] = {
        {0, "index, uuid\n0, GPU-0\n", "", 0, ""},
        {0, "", "", 0, ""},
        {14, "index, uuid\nWARNING: infoROM is corrupted at gpu 0000:01:00.0\n", "", 0,
         ""},
        {6, "No devices were found\n", "", SMI_NO_DEVICES, "no GPU"},
        {0, "No devices were found\n", "", SMI_NO_DEVICES, "no GPU"},
        {6, "", "No devices were found\n", SMI_NO_DEVICES, "no GPU"},
        {0, "gpu_uuid, pid\nNo devices were found, 1\n", "", 0, ""},
        {9,
         "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
         "Make sure that the latest NVIDIA driver is installed and running.\n",
         "", FAILED, "modprobe nvidia"},
        {9, "", "", FAILED, "modprobe nvidia"},
        {18,
         "Failed to initialize NVML: Driver/library version mismatch\n"
         "NVML library version: 535.183\n",
         "", FAILED, "reboot"},
        {18, "", "", FAILED, "differ in version"},
        {255, "Failed to initialize NVML: Driver/library version mismatch\n", "", FAILED,
         "differ in version"},
        {255, "Failed to initialize NVML: Unknown Error\n", "", FAILED, "restart"},
        {4, "Failed to initialize NVML: Insufficient Permissions\n", "", FAILED,
         "/dev/nvidiactl"},
        {255, "Failed to initialize NVML: Insufficient Permissions\n", "", FAILED,
         "/dev/nvidiactl"},
        {255, "Failed to initialize NVML: GPU access blocked by the operating system\n",
         "", FAILED, "operating system"},
        {12, "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.\n", "",
         FAILED, "libnvidia-ml.so.1"},
        {13, "", "", FAILED, "older than nvidia-smi"},
        {255,
         "Unable to determine the device handle for GPU0000:CB:00.0: Unknown Error\n", "",
         SMI_GPU_UNREADABLE, "GPU0000:CB:00.0"},
        {15,
         "Unable to determine the device handle for GPU1: 0000:34:00.0: GPU is lost.  "
         "Reboot the system to recover this GPU\n",
         "", SMI_GPU_UNREADABLE, "0000:34:00.0"},
        {255, "",
         "Unable to determine the device handle for gpu 0000:34:00.0: GPU is lost.\n",
         SMI_GPU_UNREADABLE, "is lost"},
        {15, "", "", SMI_GPU_UNREADABLE, "reset it"},
        {2, "Field \"mig.mode.current\" is not a valid field to query.\n\n", "",
         SMI_UNKNOWN_FIELD, "mig.mode.current"},
        {3, "", "", SMI_NOT_SUPPORTED, "do not offer"},
        {255, "Not supported on the device(s)\nFailed to process command line.\n", "",
         SMI_NOT_SUPPORTED, "do not offer"},
        {4, "Failed to display compute instances: Insufficient Permissions\n", "", FAILED,
         "no permission"},
        {2, "Invalid combination of input arguments.\n", "", FAILED,
         "Invalid combination"},
        {255, "", "cannot \x1b[31mallocate\n", FAILED, "exit 255: cannot ?[31mallocate)"},
        {1, "", "", FAILED, "nvidia-smi failed (exit 1)"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct err err = {0};
        int rc = smi_failure_judge(cases[i].exit_status, str_from(cases[i].text),
                                   str_from(cases[i].complaint), &err);
        if (cases[i].expected == FAILED)
            assert_true(rc < 0);
        else
            assert_int_equal(rc, cases[i].expected);
        assert_non_null(strstr(err.message, cases[i].words));
        if (rc != 0) {
            assert_int_equal(err.domain, ERR_SMI);
            assert_int_equal(err.native, cases[i].exit_status);
        }
    }
    assert_true(smi_failure_judge(9, STR(""), STR(""), NULL) < 0);
}

/* A long line is quoted in part, and the exit status is still there. */
static void test_long_line(void **state)
{
    (void)state;
    char line[4096];
    memset(line, 'x', sizeof line);
    struct err err = {0};
    assert_true(smi_failure_judge(77, (struct str){line, sizeof line}, STR(""), &err) <
                0);
    assert_non_null(strstr(err.message, "exit 77: xxx"));
    assert_true(strlen(err.message) < 200);
}

static void test_field(void **state)
{
    (void)state;
    static const struct {
        const char *text, *complaint, *expected;
    } cases[] = {
        {"Field \"power.draw\" is not a valid field to query.\n", "", "power.draw"},
        {"", "\n Field \"a\" is not a valid field to query.", "a"},
        {"Field \"", "", ""},
        {"Field \"open", "", "open"},
        {"A Field \"x\"", "", NULL},
        {"", "", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct str field =
            smi_failure_field(str_from(cases[i].text), str_from(cases[i].complaint));
        if (!cases[i].expected)
            assert_null(field.p);
        else
            assert_true(field.p && str_equal(field, str_from(cases[i].expected)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_catalogue),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
