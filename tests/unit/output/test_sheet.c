/* Alignment, fitting to a width, colour, memory running out. */
#include "../../support/cmocka_all.h"

#include "base/cleanup.h"
#include "output/sheet.h"
#include "output/text.h"

#include <errno.h>

static const struct sheet_shape shape = {
    3,
    1,
    {{.title = "NAME", .is_flexible = true},
     {.title = "N", .is_right = true},
     {.title = "NOTE", .is_flexible = true}},
};

static void add(struct sheet *sheet, const char *name, const char *n, const char *note)
{
    struct sheet_row *row = sheet_add_row(sheet, &shape);
    assert_non_null(row);
    row->cells[0] = (struct sheet_cell){name, "1"};
    row->cells[1].text = n;
    row->cells[2].text = note;
}

static void fill(struct sheet *sheet)
{
    sheet_add_titles(sheet, &shape, NULL);
    add(sheet, "훈련", "7", "");
    add(sheet, "abcdefghijkl", "100", "twelve chars");
    sheet_add_line(sheet, "a line", "31");
}

static void assert_rendered(bool with_color, unsigned width, const char *expected)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 16);
    CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 16);
    struct sheet sheet = {.arena = arena};
    fill(&sheet);
    assert_int_equal(sheet_render(&sheet, with_color, width, &out), 0);
    buf_append_char(&out, '\0');
    assert_string_equal(out.p, expected);
}

static void test_alignment(void **state)
{
    (void)state;
    assert_rendered(false, 0,
                    " NAME            N  NOTE\n"
                    " 훈련            7\n"
                    " abcdefghijkl  100  twelve chars\n"
                    "a line\n");
}

static void test_fits_exactly(void **state)
{
    (void)state;
    assert_rendered(false, 32,
                    " NAME            N  NOTE\n"
                    " 훈련            7\n"
                    " abcdefghijkl  100  twelve chars\n"
                    "a line\n");
}

static void test_cut_to_width(void **state)
{
    (void)state;
    assert_rendered(false, 28,
                    " NAME          N  NOTE\n"
                    " 훈련          7\n"
                    " abcdefghi…  100  twelve ch…\n"
                    "a line\n");
}

/* Below the least width of flexible columns lines wrap; nothing else is cut. */
static void test_least_width(void **state)
{
    (void)state;
    assert_rendered(false, 1,
                    " NAME        N  NOTE\n"
                    " 훈련        7\n"
                    " abcdefg…  100  twelve …\n"
                    "a line\n");
}

static void test_color_does_not_count(void **state)
{
    (void)state;
    assert_rendered(true, 0,
                    " NAME            N  NOTE\n"
                    " \033[1m훈련\033[0m            7\n"
                    " \033[1mabcdefghijkl\033[0m  100  twelve chars\n"
                    "\033[31ma line\033[0m\n");
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(sizeof(struct sheet_row));
    CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 16);
    struct sheet sheet = {.arena = arena};
    assert_non_null(sheet_add_row(&sheet, NULL));
    sheet.first->cells[0].text = "fits";
    assert_int_equal(sheet_render(&sheet, false, 0, &out), 0);
    assert_null(sheet_add_row(&sheet, NULL));
    assert_int_equal(sheet_render(&sheet, false, 0, &out), -ENOMEM);
}

static void test_cell_without_text_is_a_failure(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 16);
    CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 16);
    struct sheet sheet = {.arena = arena}, line = {.arena = arena};
    add(&sheet, "name", NULL, "");
    assert_int_equal(sheet_render(&sheet, false, 0, &out), -ENOMEM);
    sheet_add_line(&line, NULL, NULL);
    assert_int_equal(sheet_render(&line, false, 0, &out), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_fits_exactly),
        cmocka_unit_test(test_cut_to_width),
        cmocka_unit_test(test_least_width),
        cmocka_unit_test(test_color_does_not_count),
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_cell_without_text_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
