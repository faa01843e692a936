/*
 * A directory of files under the temporary directory, to stand for /proc, a host's root
 * or the kubelet's links.
 */
#pragma once

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { TREE_FILE_BYTES = 1 << 20 };

struct tree {
    char path[PATH_MAX];
    int fd;
};

static inline struct tree tree_make(void)
{
    struct tree tree;
    const char *parent = getenv("TMPDIR");
    (void)snprintf(tree.path, sizeof tree.path, "%s/identity-XXXXXX",
                   parent ? parent : "/tmp");
    assert_non_null(mkdtemp(tree.path));
    assert_int_equal(chmod(tree.path, 0755), 0);
    tree.fd = open(tree.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(tree.fd >= 0);
    return tree;
}

static inline int tree_remove_entry(const char *path, const struct stat *status, int type,
                                    struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

/* Removes PATH below the tree, a file or a whole directory; "" removes the tree. */
static inline void tree_remove(struct tree *tree, const char *path)
{
    char full[PATH_MAX + 256];
    (void)snprintf(full, sizeof full, "%s/%s", tree->path, path);
    assert_int_equal(nftw(full, tree_remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
    if (!path[0])
        close(tree->fd);
}

/* The directories above PATH. */
static inline void tree_make_parents(struct tree *tree, const char *path)
{
    char parent[PATH_MAX];
    for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
        (void)snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
        assert_true(mkdirat(tree->fd, parent, 0755) == 0 || errno == EEXIST);
    }
}

static inline void tree_write(struct tree *tree, const char *path, struct str text)
{
    tree_make_parents(tree, path);
    CLEANUP(close_fdp)
    int fd = openat(tree->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fdio_write_all(fd, text), 0);
}

static inline void tree_write_text(struct tree *tree, const char *path, const char *text)
{
    tree_write(tree, path, str_from(text));
}

static inline void tree_link(struct tree *tree, const char *path, const char *target)
{
    tree_make_parents(tree, path);
    assert_int_equal(symlinkat(target, tree->fd, path), 0);
}

/* Makes PATH look as if it had last changed SECONDS after 1970. */
static inline void tree_set_mtime(struct tree *tree, const char *path, time_t seconds)
{
    const struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    assert_int_equal(utimensat(tree->fd, path, times, 0), 0);
}

/* Content of a file of the repository; to be freed. */
static inline char *file_load(const char *path, struct str *text)
{
    char *buffer = malloc(TREE_FILE_BYTES);
    assert_non_null(buffer);
    assert_int_equal(fdio_read_at(AT_FDCWD, path, buffer, TREE_FILE_BYTES, text), 0);
    return buffer;
}

#define assert_str(actual, expected)                                                     \
    do {                                                                                 \
        struct str actual_ = (actual), expected_ = str_from(expected);                   \
        assert_int_equal(actual_.n, expected_.n);                                        \
        assert_memory_equal(actual_.n ? actual_.p : "", expected_.n ? expected_.p : "",  \
                            actual_.n);                                                  \
    } while (0)
