/* A held node: processes come and go, time passes, a GPU gets lost. */
#include "sim/node/hold.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "sim/node/directory.h"
#include "sim/node/node_state_build.h"
#include "sim/node/node_tree.h"
#include "support.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

static const struct node_clock start = {.epoch_us = UINT64_C(1768225600000000),
                                        .uptime_seconds = 1000};

static void write_node(int fd, const struct scenario *scenario)
{
    struct err err = {0};
    struct str state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    assert_int_equal(node_tree_write(fd, scenario, &start, &err), 0);
    assert_int_equal(node_state_build(arena, scenario, &start, &state, &err), 0);
    assert_int_equal(directory_write(fd, NODE_STATE_FILE, state, 0644), 0);
}

/* What the driver would see now: alive of entry I, lost of GPU I. */
static void look(int fd, size_t i, uint32_t *alive, uint32_t *lost)
{
    static _Alignas(8) char bytes[1 << 16];
    struct str text;
    assert_int_equal(fdio_read_at(fd, NODE_STATE_FILE, bytes, sizeof(bytes), &text), 0);
    const struct node_state *state = (const void *)bytes;
    *alive =
        ((const struct sim_process *)(const void *)(bytes + state->process_offset))[i]
            .alive;
    *lost = ((const struct sim_gpu *)(const void *)(bytes + state->gpu_offset))[i].lost;
}

static bool exists(int fd, const char *path)
{
    struct stat stat;
    return fstatat(fd, path, &stat, AT_SYMLINK_NOFOLLOW) == 0;
}

static void schedule(void **state)
{
    (void)state;
    struct scenario s = support_parse(
        "gpus: [{count: 2}, {lost: GPU_IS_LOST, lost_after: 25}]\n"
        "processes:\n"
        "  - {command: a, pid: 50, gpu: \"0,1\", starts: 10, ends: 20, repeat: 30}\n"
        "  - {command: b, pid: 51, gpu: 2, in_proc: false, ends: 15}\n");
    char path[64];
    int fd = support_make_directory(path);
    struct err err = {0};
    write_node(fd, &s);
    CLEANUP(hold_closep) struct hold *hold = NULL;
    assert_int_equal(hold_open(fd, &s, &start, &hold, &err), 0);
    static const struct {
        double seconds;
        uint32_t a_alive, b_alive, lost;
        const char *start_ticks; /* of a */
    } steps[] = {
        {0, 0, 1, 0, NULL},         {9.9, 0, 1, 0, NULL}, {10, 1, 1, 0, " 101000 "},
        {19, 1, 0, 0, " 101000 "},  {21, 0, 0, 0, NULL},  {41, 1, 0, 15, " 104000 "},
        {71, 1, 0, 15, " 107000 "}, /* another one, between two looks */
        {82, 0, 0, 15, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
        uint32_t alive[3];
        uint32_t lost[3];
        assert_int_equal(hold_advance(hold, steps[i].seconds, &err), 0);
        for (size_t e = 0; e < 3; e++)
            look(fd, e, &alive[e], &lost[e]);
        assert_int_equal(alive[0], steps[i].a_alive);
        assert_int_equal(alive[1], steps[i].a_alive);
        assert_int_equal(alive[2], steps[i].b_alive);
        assert_int_equal(lost[2], steps[i].lost);
        assert_int_equal(exists(fd, "proc/50"), steps[i].a_alive);
        assert_false(exists(fd, "proc/51"));
        if (steps[i].start_ticks)
            assert_non_null(
                strstr(support_read(fd, "proc/50/stat"), steps[i].start_ticks));
    }
    assert_true(str_starts(str_from(support_read(fd, "proc/uptime")), STR("1082.00 ")));
    support_remove_directory(fd, path);
}

static void foreign_state(void **state)
{
    (void)state;
    struct scenario s = support_parse("gpus: [{count: 2}]\n");
    char path[64];
    int fd = support_make_directory(path);
    struct err err = {0};
    struct hold *hold = NULL;
    assert_true(hold_open(fd, &s, &start, &hold, &err) < 0); /* nothing there */
    write_node(fd, &s);
    s.entry_count = 7; /* as if another scenario had been written */
    assert_true(hold_open(fd, &s, &start, &hold, &err) < 0);
    assert_null(hold);
    support_remove_directory(fd, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedule),
        cmocka_unit_test(foreign_state),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    support_free();
    return failed;
}
