/* Whole reads and whole writes on descriptors. */
#include "base/fdio.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>

int fdio_read_at(int dirfd, const char *path, char *buffer, size_t capacity,
                 struct str *text)
{
    CLEANUP(close_fdp) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    size_t length = 0;
    for (;;) {
        char probe;
        bool is_full = length == capacity;
        ssize_t n =
            read(fd, is_full ? &probe : buffer + length, is_full ? 1 : capacity - length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0 || is_full) {
            *text = (struct str){buffer, length};
            return n == 0 ? 0 : FDIO_TRUNCATED;
        }
        length += (size_t)n;
    }
}

int fdio_write_all(int fd, struct str text)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text = str_part(text, (size_t)n, text.n - (size_t)n);
    }
    return 0;
}
