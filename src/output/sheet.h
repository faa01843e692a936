/*
 * Lines of cells, aligned in columns by what a terminal shows, and cut to its width.
 *
 * Rows of the same shape share their column widths. Text in cells must have passed
 * text_append_terminal(); it lives in the sheet's arena.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

enum { SHEET_MAX_COLUMNS = 8 };

struct sheet_column {
    const char *title; /* of the header row */
    bool is_right;     /* aligned to the right */
    bool is_flexible;  /* may be cut when the terminal is narrow */
};

struct sheet_shape {
    size_t column_count;
    unsigned indent;
    struct sheet_column columns[SHEET_MAX_COLUMNS];
};

struct sheet_cell {
    const char *text;
    const char *color; /* SGR parameters, "1;31"; NULL: plain */
};

/* Either cells in a shape, or, with SHAPE NULL, cells[0] as a whole line. */
struct sheet_row {
    struct sheet_row *next;
    const struct sheet_shape *shape;
    struct sheet_cell cells[SHEET_MAX_COLUMNS];
};

struct sheet {
    struct arena *arena;
    struct sheet_row *first, *last;
    bool has_failed; /* memory is gone: render nothing */
};

/* A new last row; NULL when memory is gone. */
struct sheet_row *sheet_add_row(struct sheet *sheet, const struct sheet_shape *shape);

/* The titles of SHAPE as a row. */
void sheet_add_titles(struct sheet *sheet, const struct sheet_shape *shape,
                      const char *color);

/* A whole line; TEXT NULL (no memory) is a failure. */
void sheet_add_line(struct sheet *sheet, const char *text, const char *color);

/* WIDTH: terminal columns, 0 for as wide as needed. Return: 0 or -ENOMEM. */
int sheet_render(const struct sheet *sheet, bool with_color, unsigned width,
                 struct buf *out) __attribute__((warn_unused_result));
