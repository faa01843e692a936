/*
 * Layout of a table: measure, fit, print.
 *
 * When a line does not fit the terminal, the widest flexible column gives way, one
 * column at a time, down to a readable rest; what still does not fit wraps, because a
 * number cut in half would be a wrong number.
 */
#include "output/sheet.h"

#include "output/text.h"

#include <assert.h>
#include <errno.h>

enum { GAP = 2, LEAST_FLEXIBLE_WIDTH = 8, MAX_SHAPES = 4 };

/* Column widths of one shape. */
struct widths {
    const struct sheet_shape *shape;
    size_t columns[SHEET_MAX_COLUMNS];
};

struct sheet_row *sheet_add_row(struct sheet *sheet, const struct sheet_shape *shape)
{
    struct sheet_row *row = ARENA_NEW(sheet->arena, struct sheet_row, 1);
    if (!row) {
        sheet->has_failed = true;
        return NULL;
    }
    row->shape = shape;
    if (sheet->last)
        sheet->last->next = row;
    else
        sheet->first = row;
    sheet->last = row;
    return row;
}

void sheet_add_titles(struct sheet *sheet, const struct sheet_shape *shape,
                      const char *color)
{
    struct sheet_row *row = sheet_add_row(sheet, shape);
    for (size_t i = 0; row && i < shape->column_count; i++)
        row->cells[i] = (struct sheet_cell){shape->columns[i].title, color};
}

void sheet_add_line(struct sheet *sheet, const char *text, const char *color)
{
    struct sheet_row *row = sheet_add_row(sheet, NULL);
    if (row)
        row->cells[0] = (struct sheet_cell){text, color};
    if (!text)
        sheet->has_failed = true;
}

static void widths_measure(struct widths *widths, const struct sheet *sheet)
{
    for (const struct sheet_row *row = sheet->first; row; row = row->next) {
        for (size_t i = 0; row->shape == widths->shape && i < row->shape->column_count;
             i++) {
            size_t width = text_width(str_from(row->cells[i].text));
            if (width > widths->columns[i])
                widths->columns[i] = width;
        }
    }
}

static size_t line_width(const struct widths *widths)
{
    size_t total = widths->shape->indent;
    for (size_t i = 0; i < widths->shape->column_count; i++)
        total += widths->columns[i] + (i ? GAP : 0);
    return total;
}

static size_t *widest_flexible(struct widths *widths)
{
    size_t *widest = NULL;
    for (size_t i = 0; i < widths->shape->column_count; i++) {
        size_t *column = &widths->columns[i];
        if (widths->shape->columns[i].is_flexible && *column > LEAST_FLEXIBLE_WIDTH &&
            (!widest || *column > *widest))
            widest = column;
    }
    return widest;
}

static void widths_fit(struct widths *widths, size_t width)
{
    while (line_width(widths) > width) {
        size_t *widest = widest_flexible(widths);
        if (!widest)
            return;
        --*widest;
    }
}

static void append_blanks(struct buf *out, size_t count)
{
    while (count--)
        buf_append_char(out, ' ');
}

static void append_colored(struct buf *out, struct str text, const char *color)
{
    if (color)
        buf_printf(out, "\033[%sm", color);
    buf_append(out, text);
    if (color)
        buf_append(out, STR("\033[0m"));
}

/* Blanks are owed, not written, so that no line ends in one. */
static void append_cell(struct buf *out, struct sheet_cell cell,
                        const struct sheet_column *column, size_t width, size_t *owed)
{
    struct str text = str_from(cell.text);
    size_t wide = text_width(text);
    bool is_cut = wide > width;
    if (is_cut) {
        text = text_cut_width(text, width - 1);
        wide = text_width(text) + 1;
    }
    size_t padding = width - wide;
    if (!text.n) {
        *owed += width;
        return;
    }
    append_blanks(out, *owed + (column->is_right ? padding : 0));
    append_colored(out, text, cell.color);
    if (is_cut)
        buf_append(out, STR("…"));
    *owed = column->is_right ? 0 : padding;
}

static void append_row(struct buf *out, const struct sheet_row *row,
                       const struct sheet_shape *shape, const size_t *widths,
                       bool with_color)
{
    size_t owed = shape->indent;
    for (size_t i = 0; i < shape->column_count; i++) {
        struct sheet_cell cell = row->cells[i];
        if (!with_color)
            cell.color = NULL;
        owed += i ? GAP : 0;
        append_cell(out, cell, &shape->columns[i], widths[i], &owed);
    }
}

/* The entry of SHAPE, or the first free one. */
static struct widths *widths_of(struct widths *all, const struct sheet_shape *shape)
{
    struct widths *end = all + MAX_SHAPES;
    while (all < end && all->shape && all->shape != shape)
        all++;
    assert(all < end);
    return all;
}

static bool sheet_is_whole(const struct sheet *sheet)
{
    for (const struct sheet_row *row = sheet->first; row; row = row->next) {
        for (size_t i = 0; row->shape && i < row->shape->column_count; i++) {
            if (!row->cells[i].text)
                return false;
        }
    }
    return !sheet->has_failed;
}

int sheet_render(const struct sheet *sheet, bool with_color, unsigned width,
                 struct buf *out)
{
    struct widths all[MAX_SHAPES] = {0};
    if (!sheet_is_whole(sheet))
        return -ENOMEM;
    for (const struct sheet_row *row = sheet->first; row; row = row->next) {
        struct widths *widths = row->shape ? widths_of(all, row->shape) : NULL;
        if (!widths || widths->shape)
            continue;
        widths->shape = row->shape;
        widths_measure(widths, sheet);
        if (width)
            widths_fit(widths, width);
    }
    for (const struct sheet_row *row = sheet->first; row; row = row->next) {
        if (row->shape)
            append_row(out, row, row->shape, widths_of(all, row->shape)->columns,
                       with_color);
        else
            append_colored(out, str_from(row->cells[0].text),
                           with_color ? row->cells[0].color : NULL);
        buf_append_char(out, '\n');
    }
    return buf_is_full(out) ? -ENOMEM : 0;
}
