/* Finding the program: by path, by name in PATH, and not at all. */
#include "base/cleanup.h"
#include "fake_smi.h"
#include "source/nvsmi/smi_find.h"

static int setup(void **state)
{
    static struct fake_smi fake;
    fake_smi_open(&fake);
    *state = &fake;
    return 0;
}

static int teardown(void **state)
{
    fake_smi_close(*state);
    return 0;
}

static void test_by_path(void **state)
{
    const struct fake_smi *fake = *state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(4096);
    const char *program = NULL;
    struct err err = {0};
    assert_true(smi_find(arena, fake->program, &program, &err) < 0);
    assert_non_null(strstr(err.message, fake->program));
    assert_non_null(strstr(err.message, "No such file"));
    fake_smi_write(fake, "nvidia-smi", "", 0644);
    assert_true(smi_find(arena, fake->program, &program, &err) < 0);
    assert_non_null(strstr(err.message, "Permission denied"));
    assert_true(smi_find(arena, "/tmp", &program, &err) < 0);
    assert_non_null(strstr(err.message, "Permission denied"));
    assert_null(program);
    fake_smi_write(fake, "nvidia-smi", "", 0755);
    assert_int_equal(smi_find(arena, fake->program, &program, NULL), 0);
    assert_string_equal(program, fake->program);
}

/* Relative and empty folders of PATH are passed over. */
static void test_by_name(void **state)
{
    const struct fake_smi *fake = *state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(65536);
    const char *program = NULL;
    struct err err = {0};
    char path[256], here[512];
    fake_smi_write(fake, "nvidia-smi", "", 0755);
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(fake->folder), 0);
    static const char *const useless[] = {"", ":.:", "relative", "/nonexistent:./x:"};
    for (size_t i = 0; i < ARRAY_LENGTH(useless); i++) {
        assert_int_equal(setenv("PATH", useless[i], 1), 0);
        assert_true(smi_find(arena, NULL, &program, &err) < 0);
        assert_non_null(strstr(err.message, "--nvidia-smi.path"));
    }
    assert_int_equal(chdir(here), 0);
    (void)snprintf(path, sizeof path, ".:/nonexistent:%s:/usr/bin", fake->folder);
    assert_int_equal(setenv("PATH", path, 1), 0);
    assert_int_equal(smi_find(arena, NULL, &program, NULL), 0);
    assert_string_equal(program, fake->program);
    fake_smi_write(fake, "sub", "", 0755);
    assert_int_equal(smi_find(arena, "sub", &program, NULL), 0);
    assert_string_equal(program, fake_smi_path(fake, "sub", here));
    assert_int_equal(unsetenv("PATH"), 0);
    assert_int_equal(smi_find(arena, "env", &program, NULL), 0); /* of any Linux */
}

static void test_no_memory(void **state)
{
    const struct fake_smi *fake = *state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(0);
    const char *program = NULL;
    fake_smi_write(fake, "nvidia-smi", "", 0755);
    assert_true(smi_find(arena, fake->program, &program, NULL) < 0);
    assert_int_equal(setenv("PATH", fake->folder, 1), 0);
    assert_true(smi_find(arena, NULL, &program, NULL) < 0);
    assert_null(program);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_by_path),
        CASE(test_by_name),
        CASE(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
