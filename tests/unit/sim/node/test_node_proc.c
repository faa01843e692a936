/* The text of /proc files. */
#include "sim/node/node_proc.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void comms(void **state)
{
    (void)state;
    static const struct {
        const char *command, *comm;
    } cases[] = {
        {"/usr/bin/python3", "python3"},
        {"python3", "python3"},
        {"/opt/a-very-long-program-name", "a-very-long-pro"},
        {"a/b)\n(c", "b)\n(c"},
        {"ends/", "ends/"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_true(str_equal(node_proc_comm(cases[i].command), str_from(cases[i].comm)));
}

/* As a kernel printed it for a process that named itself so. */
static void hostile_comm(void **state)
{
    (void)state;
    struct node_proc proc = {.pid = 12,
                             .ppid = 1,
                             .uid = 1001,
                             .comm = STR("a\nb\\c \"d\xff) x"),
                             .start_ticks = 193221,
                             .is_in_container = true};
    CLEANUP(buf_done) struct buf buf = BUF_INIT(1 << 16);
    node_proc_render_stat(&buf, &proc);
    assert_true(str_starts(buf_str(&buf),
                           STR("12 (a\nb\\c \"d\xff) x) S 1 12 12 0 -1 4194560 ")));
    buf_reset(&buf);
    node_proc_render_status(&buf, &proc);
    assert_true(
        str_starts(buf_str(&buf), STR("Name:\ta\\nb\\\\c \"d\xff) x\nUmask:\t0022\n")));
    assert_true(str_find_text(buf_str(&buf), STR("\nUid:\t1001\t1001\t1001\t1001\n")) >
                0);
    assert_true(str_find_text(buf_str(&buf), STR("\nNSpid:\t12\t7\n")) > 0);
    buf_reset(&buf);
    node_proc_render_comm(&buf, &proc);
    assert_true(str_equal(buf_str(&buf), STR("a\nb\\c \"d\xff) x\n")));
}

/* 52 fields, the 22nd is the start time: for programs and kernel threads. */
static void stat_fields(void **state)
{
    (void)state;
    for (int is_kernel_thread = 0; is_kernel_thread < 2; is_kernel_thread++) {
        struct node_proc proc = {.pid = 12,
                                 .ppid = 2,
                                 .comm = STR("kworker/0:1"),
                                 .start_ticks = 4242,
                                 .is_kernel_thread = is_kernel_thread};
        CLEANUP(buf_done) struct buf buf = BUF_INIT(1 << 16);
        node_proc_render_stat(&buf, &proc);
        struct str rest = str_trim(buf_str(&buf));
        struct str field;
        size_t count = 0;
        while (str_split(&rest, ' ', &field)) {
            if (++count == 22)
                assert_true(str_equal(field, STR("4242")));
        }
        assert_int_equal(count, 52);
    }
}

static void command_lines(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf buf = BUF_INIT(1 << 10);
    node_proc_render_cmdline(&buf, "/usr/bin/python3", "");
    assert_true(str_equal(buf_str(&buf), STR("/usr/bin/python3\0")));
    buf_reset(&buf);
    node_proc_render_cmdline(&buf, "my prog", "--a b");
    assert_true(str_equal(buf_str(&buf), STR("my prog\0--a\0b\0")));
}

static void clocks(void **state)
{
    (void)state;
    struct node_clock clock = {.epoch_us = UINT64_C(1768225600000000),
                               .uptime_seconds = 1000000};
    CLEANUP(buf_done) struct buf buf = BUF_INIT(1 << 12);
    node_proc_render_kernel_stat(&buf, &clock);
    assert_true(str_find_text(buf_str(&buf), STR("\nbtime 1767225600\n")) > 0);
    buf_reset(&buf);
    node_proc_render_uptime(&buf, 1000000);
    assert_true(str_starts(buf_str(&buf), STR("1000000.00 ")));
    assert_int_equal(node_proc_ticks(12.345), 1234);
    assert_int_equal(node_proc_ticks(-5), 1);
    clock.epoch_us = 0; /* a clock that was never set */
    assert_int_equal(node_clock_boot_seconds(&clock), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comms),       cmocka_unit_test(hostile_comm),
        cmocka_unit_test(stat_fields), cmocka_unit_test(command_lines),
        cmocka_unit_test(clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
