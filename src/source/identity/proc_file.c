/*
 * Bounded reading of kernel files. Everything is opened relative to a directory
 * descriptor, so that a test or a container can hand in another /proc, and with
 * O_NONBLOCK, so that a FIFO planted in such a tree cannot stop the collection.
 */
#include "source/identity/proc_file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>

static ssize_t read_retrying(int fd, char *buffer, size_t capacity)
{
    for (;;) {
        ssize_t n = read(fd, buffer, capacity);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
}

int proc_file_read_head(int dirfd, const char *path, char *buffer, size_t capacity,
                        struct str *text)
{
    CLEANUP(close_fdp) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    ssize_t n = read_retrying(fd, buffer, capacity);
    if (n < 0)
        return (int)n;
    *text = (struct str){buffer, (size_t)n};
    return 0;
}

/* Moves the unread part to the front and reads more behind it. Return: 0 or -errno. */
static int line_reader_fill(struct line_reader *reader)
{
    if (reader->start > 0) {
        memmove(reader->buffer, reader->buffer + reader->start,
                reader->end - reader->start);
        reader->end -= reader->start;
        reader->start = 0;
    }
    size_t room = reader->capacity - reader->end;
    if (room > reader->left_bytes)
        room = reader->left_bytes;
    if (room == 0) {
        reader->is_truncated = true;
        reader->at_end = true;
        reader->end = reader->start;
        return 0;
    }
    ssize_t n = read_retrying(reader->fd, reader->buffer + reader->end, room);
    if (n < 0)
        return (int)n;
    reader->at_end = n == 0;
    reader->end += (size_t)n;
    reader->left_bytes -= (size_t)n;
    return 0;
}

/* Gives out the unread bytes up to END_OF_LINE and goes on at NEXT. Return: whether they
 * are a line, not the tail of one whose head was given out before. */
static bool line_reader_take(struct line_reader *reader, size_t end_of_line, size_t next,
                             struct str *line)
{
    bool is_tail = reader->is_skipping;
    *line = (struct str){reader->buffer + reader->start, end_of_line - reader->start};
    reader->start = next;
    reader->is_skipping = false;
    return !is_tail;
}

int line_reader_next(struct line_reader *reader, struct str *line)
{
    for (;;) {
        struct str unread = {reader->buffer + reader->start, reader->end - reader->start};
        ptrdiff_t newline = str_find(unread, '\n');
        if (newline >= 0) {
            size_t at = reader->start + (size_t)newline;
            if (line_reader_take(reader, at, at + 1, line))
                return LINE_READER_LINE;
        } else if (reader->at_end) {
            if (!unread.n)
                return 0;
            if (line_reader_take(reader, reader->end, reader->end, line))
                return LINE_READER_LINE;
        } else if (unread.n == reader->capacity) {
            bool is_head = line_reader_take(reader, reader->end, reader->end, line);
            reader->is_skipping = true;
            if (is_head)
                return LINE_READER_LINE;
        } else {
            int rc = line_reader_fill(reader);
            if (rc < 0)
                return rc;
        }
    }
}
