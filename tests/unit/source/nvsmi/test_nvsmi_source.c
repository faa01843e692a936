/* Opening the source, and memory running out in it. */
#include "fake_node.h"

#include <errno.h>

static void test_open_without_program(void **state)
{
    struct fake_node *node = *state;
    node->config.smi = "/nonexistent/nvidia-smi";
    assert_true(nvsmi_open(&node->config, &node->driver, &node->err) < 0);
    assert_non_null(strstr(node->err.message, "/nonexistent/nvidia-smi"));
    assert_null(node->driver);
    driver_close(node->driver);
}

static void test_name(void **state)
{
    struct fake_node *node = *state;
    assert_int_equal(nvsmi_open(&node->config, &node->driver, NULL), 0);
    assert_string_equal(node->driver->ops->name, "nvidia-smi");
}

/* The program's file goes away between collections. */
static void test_program_vanishes(void **state)
{
    struct fake_node *node = *state;
    assert_int_equal(fake_node_collect(node), 0);
    assert_int_equal(remove(node->smi.program), 0);
    assert_true(fake_node_collect(node) < 0);
    assert_non_null(strstr(node->err.message, "cannot run"));
    assert_int_equal(atomic_load(&node->progress.sequence) % 2, 0);
}

/* With less memory than a collection needs, down to none: an error, never a crash; the
 * first that suffices gives everything. */
static void test_no_memory(void **state)
{
    struct fake_node *node = *state;
    fake_smi_write(&node->smi, "apps", FAKE_APP_HEADER "GPU-0, 30, 300 MiB\n", 0644);
    assert_int_equal(fake_node_collect(node), 0);
    size_t needed = arena_used_bytes(node->arena);
    assert_true(needed > 1000);
    for (size_t limit = 0; limit < needed; limit += needed / 60) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(limit);
        struct driver_facts facts = {0};
        struct err err = {0};
        assert_true(node->driver->ops->collect(node->driver, arena, &facts, &err) < 0);
        assert_int_equal(facts.device_count, 0);
        assert_true(err.message[0] != '\0');
    }
}

#define CASE(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, fake_node_setup, fake_node_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_open_without_program),
        CASE(test_name),
        CASE(test_program_vanishes),
        CASE(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
