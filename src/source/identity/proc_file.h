/*
 * The two ways in which files under /proc are read: in one read, or line by line.
 */
#pragma once

#include "base/str.h"

/* Reads with a single read(2): the kernel hands out all of a small /proc file at once, so
 * a second read that only learns of the end would double the cost of the steady
 * collection. TEXT views BUFFER. Return: 0 or -errno. */
int proc_file_read_head(int dirfd, const char *path, char *buffer, size_t capacity,
                        struct str *text);

/* Lines of an open file through one bounded buffer, for files that may be larger than
 * anybody wants to hold. */
struct line_reader {
    int fd;       /* borrowed */
    char *buffer; /* borrowed, `capacity` bytes */
    size_t capacity;
    size_t left_bytes; /* that may still be read */
    size_t start, end; /* unread part of the buffer */
    bool at_end;
    bool is_skipping;  /* inside the tail of a line longer than the buffer */
    bool is_truncated; /* the budget ended before the file did */
};

#define LINE_READER(descriptor, memory, memory_bytes, budget_bytes)                      \
    ((struct line_reader){.fd = (descriptor),                                            \
                          .buffer = (memory),                                            \
                          .capacity = (memory_bytes),                                    \
                          .left_bytes = (budget_bytes)})

/* Sets *LINE to the next line without its newline, valid until the next call; of a line
 * longer than the buffer only the head. A line cut by the budget is not given.
 * Return: LINE_READER_LINE, 0 at the end, -errno. */
int line_reader_next(struct line_reader *reader, struct str *line);
#define LINE_READER_LINE 1
