/* Whole files, whole trees, relative to descriptors. */
#include "sim/node/directory.h"

#include "base/cleanup.h"
#include "base/fdio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { REMOVE_DEPTH_MAX = 12 };

int directory_write(int dirfd, const char *name, struct str content, mode_t mode)
{
    CLEANUP(close_fdp)
    int fd =
        openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    return fd < 0 ? -errno : fdio_write_all(fd, content);
}

int directory_replace(int dirfd, const char *name, const char *scratch,
                      struct str content)
{
    if (unlinkat(dirfd, scratch, 0) != 0 && errno != ENOENT)
        return -errno;
    int rc = directory_write(dirfd, scratch, content, 0644);
    if (rc)
        return rc;
    return renameat(dirfd, scratch, dirfd, name) == 0 ? 0 : -errno;
}

int directory_open(int dirfd, const char *name)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int directory_make(int dirfd, const char *name)
{
    return mkdirat(dirfd, name, 0755) != 0 ? -errno : directory_open(dirfd, name);
}

static int remove_below(int dirfd, const char *name, int depth);

static int remove_entries(int fd, int depth)
{
    CLEANUP(closedirp) DIR *dir = fdopendir(fd);
    if (!dir) {
        int code = errno;
        close(fd);
        return -code;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int rc = remove_below(fd, entry->d_name, depth);
        if (rc)
            return rc;
    }
    return 0;
}

static int remove_below(int dirfd, const char *name, int depth)
{
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (depth == REMOVE_DEPTH_MAX)
        return -ELOOP;
    int fd = directory_open(dirfd, name);
    int rc = fd < 0 ? fd : remove_entries(fd, depth + 1);
    if (rc)
        return rc;
    return unlinkat(dirfd, name, AT_REMOVEDIR) == 0 ? 0 : -errno;
}

int directory_remove(int dirfd, const char *name)
{
    return remove_below(dirfd, name, 0);
}
