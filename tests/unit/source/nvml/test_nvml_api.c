/* Loading the library: what is said when there is none, or the wrong one. */
#include "source/nvml/nvml_api.h"

#include "source/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void a_missing_named_library_is_not_loaded(void **state)
{
    (void)state;
    struct nvml_api api = {0};
    struct err err = {0};
    assert_int_equal(nvml_api_load("/nonexistent/libnvidia-ml.so.1", NULL, &api, &err),
                     NVML_API_NOT_LOADED);
    assert_non_null(strstr(err.message, "/nonexistent/libnvidia-ml.so.1"));
    assert_non_null(strstr(err.message, "--nvml.library"));
    assert_null(api.library);
}

static void a_file_that_is_no_library_is_not_loaded(void **state)
{
    (void)state;
    struct nvml_api api = {0};
    struct err err = {0};
    assert_int_equal(nvml_api_load("/etc/passwd", NULL, &api, &err), NVML_API_NOT_LOADED);
    assert_non_null(strstr(err.message, "/etc/passwd"));
}

static void another_library_lacks_required_symbols(void **state)
{
    (void)state;
    struct nvml_api api = {0};
    struct err err = {0};
    assert_int_equal(nvml_api_load("libm.so.6", NULL, &api, &err), -ENOSYS);
    assert_non_null(strstr(err.message, "libm.so.6"));
    assert_non_null(strstr(err.message, "nvmlInit_v2"));
    assert_null(api.library);
}

static void a_long_path_keeps_the_message_whole(void **state)
{
    (void)state;
    char path[4000];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    struct nvml_api api = {0};
    struct err err = {0};
    assert_int_equal(nvml_api_load(path, NULL, &api, &err), NVML_API_NOT_LOADED);
    assert_non_null(strstr(err.message, "or leave it out"));
    assert_int_equal(nvml_api_load(path, path, &api, NULL), NVML_API_NOT_LOADED);
}

/* A root directory with an empty file where the library should be. */
static void a_broken_file_in_a_known_place_is_named(void **state)
{
    (void)state;
    char root[] = "/tmp/test_nvml_api.XXXXXX";
    char directory[64];
    char file[96];
    assert_non_null(mkdtemp(root));
    (void)snprintf(directory, sizeof directory, "%s/lib64", root);
    (void)snprintf(file, sizeof file, "%s/libnvidia-ml.so.1", directory);
    assert_int_equal(mkdir(directory, 0700), 0);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    struct nvml_api api = {0};
    struct err err = {0};
    int rc = nvml_api_load(NULL, root, &api, &err);
    nvml_api_unload(&api);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(directory), 0);
    assert_int_equal(rmdir(root), 0);
    if (rc == 0)
        skip(); /* a machine with a driver */
    assert_int_equal(rc, NVML_API_NOT_LOADED);
    assert_non_null(strstr(err.message, file));
    assert_non_null(strstr(err.message, "--nvml.library"));
}

static void opening_without_a_library_is_an_outcome(void **state)
{
    (void)state;
    struct driver_config config = {.library = "/nonexistent"};
    struct driver *driver = NULL;
    struct err err = {0};
    assert_int_equal(nvml_open(&config, &driver, &err), DRIVER_NO_LIBRARY);
    assert_null(driver);
    assert_non_null(strstr(err.message, "/nonexistent"));
    config.library = "libm.so.6";
    assert_true(nvml_open(&config, &driver, &err) < 0);
    assert_null(driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_named_library_is_not_loaded),
        cmocka_unit_test(a_file_that_is_no_library_is_not_loaded),
        cmocka_unit_test(another_library_lacks_required_symbols),
        cmocka_unit_test(a_long_path_keeps_the_message_whole),
        cmocka_unit_test(a_broken_file_in_a_known_place_is_named),
        cmocka_unit_test(opening_without_a_library_is_an_outcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
