/* What return codes mean: words, states, reach; numbers that nobody has published yet. */
#include "source/nvml/nvml_result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_code_has_words(void **state)
{
    (void)state;
    static const struct {
        int code;
        const char *word, *text;
        enum value_state state;
        enum nvml_reach reach;
    } rows[] = {
        {0, "success", "Success (NVML 0)", VALUE_OK, NVML_REACH_CALL},
        {1, "uninitialized", "Uninitialized (NVML 1)", VALUE_ERROR, NVML_REACH_SESSION},
        {3, "not_supported", "Not supported (NVML 3)", VALUE_UNSUPPORTED,
         NVML_REACH_CALL},
        {4, "no_permission", "Insufficient permissions (NVML 4)", VALUE_DENIED,
         NVML_REACH_CALL},
        {10, "timeout", "Timeout (NVML 10)", VALUE_ERROR, NVML_REACH_CALL},
        {13, "function_not_found", "Function not found (NVML 13)", VALUE_UNSUPPORTED,
         NVML_REACH_CALL},
        {15, "gpu_is_lost", "GPU is lost (NVML 15)", VALUE_ERROR, NVML_REACH_GPU},
        {18, "lib_rm_version_mismatch", "Driver/library version mismatch (NVML 18)",
         VALUE_ERROR, NVML_REACH_SESSION},
        {999, "unknown", "Unknown error (NVML 999)", VALUE_ERROR, NVML_REACH_CALL},
        {1234, "other_code", "NVML 1234", VALUE_ERROR, NVML_REACH_CALL},
        {31, "other_code", "NVML 31", VALUE_ERROR, NVML_REACH_CALL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nvmlReturn_t code = (nvmlReturn_t)rows[i].code;
        char text[64];
        nvml_result_text(code, text, sizeof text);
        assert_string_equal(nvml_result_word(code), rows[i].word);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(nvml_result_state(code), rows[i].state);
        assert_int_equal(nvml_result_reach(code), rows[i].reach);
    }
}

static void words_fit_the_counters(void **state)
{
    (void)state;
    for (int code = 0; code <= 1000; code++)
        assert_true(strlen(nvml_result_word((nvmlReturn_t)code)) < 32);
}

static void an_error_names_cause_and_remedy(void **state)
{
    (void)state;
    static const struct {
        int code;
        const char *remedy;
    } rows[] = {
        {4, "access to /dev/nvidiactl"},
        {9, "modprobe nvidia"},
        {17, "/dev/nvidia"},
        {15, "nvidia-smi --gpu-reset"},
        {16, "nvidia-smi --gpu-reset"},
        {18, "reboot"},
        {999, "device cgroup"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err = {0};
        assert_true(nvml_result_error(&err, (nvmlReturn_t)rows[i].code, "init") < 0);
        assert_int_equal(err.domain, ERR_NVML);
        assert_int_equal(err.native, rows[i].code);
        assert_non_null(strstr(err.message, "init: "));
        assert_non_null(strstr(err.message, rows[i].remedy));
        assert_null(strchr(err.message, '\n'));
        assert_true(strlen(err.message) < sizeof err.message - 1);
        assert_non_null(
            strstr(nvml_result_remedy((nvmlReturn_t)rows[i].code), rows[i].remedy));
    }
    assert_null(nvml_result_remedy((nvmlReturn_t)3));
    assert_null(nvml_result_remedy((nvmlReturn_t)1234));
    assert_true(nvml_result_error(NULL, (nvmlReturn_t)1234, "init") < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_words),
        cmocka_unit_test(words_fit_the_counters),
        cmocka_unit_test(an_error_names_cause_and_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
