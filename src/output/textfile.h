/*
 * Bytes → a file for node-exporter's textfile collector, whole or not at all.
 *
 * node-exporter reads any name ending in ".prom", dotfiles too, at any moment, as another
 * user. So: a temporary name in the same directory that does not end in ".prom", mode
 * 0644, fsync, rename. On any failure the file that was there stays as it was.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

/* Replaces the file at PATH by CONTENT. The temporary file is ".<name>.<uid>.tmp" beside
 * it, with the effective uid, locked (flock) while it is written: what a killed run left
 * is taken over by the next one of that user, and of two runs at once the later waits for
 * a second at most, then fails (EBUSY). Runs of two users do not wait for each other: the
 * later rename stands, whole. EBUSY, too, when somebody else replaced the temporary file
 * before the rename; theirs is left alone. The directory is flushed after the rename.
 * Only a regular file is ever replaced: a device, a FIFO or a symbolic link at PATH is
 * refused (ENOTSUP), since a rename would destroy it. The directory is not created: a
 * missing one is mostly a typing mistake. Return: 0, or negative with a message that
 * names path, cause and remedy. */
int textfile_write(const char *path, struct str content, struct err *err)
    __attribute__((warn_unused_result));

/* Tells before the first write what would stand against it: the path, its directory, what
 * lies there. Writes nothing. Return: as textfile_write(). */
int textfile_check(const char *path, struct err *err) __attribute__((warn_unused_result));

/* Lets GROUP write to the directory of the textfile PATH: gives the directory to that
 * group and lets the group write, unless both are so already. Its owner may do this
 * without any capability when GROUP is one of its own (chown(2)), so that one step as
 * uid 0 with nothing else is enough for a writer that is not root. The directory itself
 * must not be a symbolic link. Return: 0, or negative with a message that names path,
 * cause and remedy. */
int textfile_share_directory(const char *path, uint32_t group, struct err *err)
    __attribute__((warn_unused_result));
