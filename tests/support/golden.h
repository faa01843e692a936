/*
 * Output compared with a file under version control. With GOLDEN_REWRITE set in the
 * environment the file is rewritten instead; its diff is then to be read like code.
 */
#pragma once

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fdio.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The program's version changes at each release; golden files say @VERSION@. */
static inline void golden_append_neutral(struct buf *out, struct str text)
{
    const struct str version = STR("\"" PROGRAM_VERSION "\"");
    for (ptrdiff_t at; (at = str_find_text(text, version)) >= 0;) {
        buf_append(out, str_part(text, 0, (size_t)at));
        buf_append(out, STR("\"@VERSION@\""));
        size_t taken = (size_t)at + version.n;
        text = str_part(text, taken, text.n - taken);
    }
    buf_append(out, text);
}

static inline bool golden_rewrite(const char *path, struct str content)
{
    CLEANUP(close_fdp)
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return fd >= 0 && fdio_write_all(fd, content) == 0;
}

/* Tests run in the root of the source tree; PATH is relative to it. */
static inline bool golden_matches(const char *path, struct str text)
{
    enum { LARGEST_BYTES = 1 << 18 };
    static char expected_bytes[LARGEST_BYTES];
    struct str expected = {0};
    CLEANUP(buf_done) struct buf actual = BUF_INIT(LARGEST_BYTES);
    golden_append_neutral(&actual, text);
    if (getenv("GOLDEN_REWRITE"))
        return golden_rewrite(path, buf_str(&actual));
    bool is_read =
        fdio_read_at(AT_FDCWD, path, expected_bytes, LARGEST_BYTES, &expected) == 0;
    if (is_read && str_equal(expected, buf_str(&actual)))
        return true;
    (void)fprintf(stderr, "%s differs; now it is:\n%.*s", path, (int)actual.len,
                  actual.p);
    return false;
}
