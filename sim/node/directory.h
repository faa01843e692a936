/*
 * Building a tree of small files below a directory descriptor. Nothing follows a symbolic
 * link out of the tree.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <dirent.h>
#include <sys/types.h>

/* Releases an open directory at the end of its scope. */
static inline void closedirp(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* Creates file NAME (it must not exist). Return: 0 or -errno. */
int directory_write(int dirfd, const char *name, struct str content, mode_t mode);

/* Writes NAME whole or not at all: a reader sees the old content or the new. SCRATCH is a
 * name beside it that may be overwritten. Return: 0 or -errno. */
int directory_replace(int dirfd, const char *name, const char *scratch,
                      struct str content);

/* Creates directory NAME (it must not exist) and opens it. Return: descriptor or -errno.
 */
int directory_make(int dirfd, const char *name);

/* Opens directory NAME. Return: descriptor or -errno. */
int directory_open(int dirfd, const char *name);

/* Removes NAME with everything below; absent is fine. Return: 0 or -errno. */
int directory_remove(int dirfd, const char *name);
