/*
 * Reading small files from kernel file systems, writing whole outputs.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <sys/types.h>

/**
 * fdio_read_at() - content of a file below a directory descriptor
 * @dirfd:  directory, or AT_FDCWD
 * @path:   relative to @dirfd
 * @buffer: caller's memory of @capacity bytes
 * @text:   set to a view into @buffer on success
 *
 * Reads until end of file or until @buffer is full: files under /proc have no size and
 * one read may return less than all of it.
 *
 * Return: 0; FDIO_TRUNCATED when the file is longer than @buffer (@text holds the head);
 * -errno on failure, with no message: the caller knows what the file means.
 */
int fdio_read_at(int dirfd, const char *path, char *buffer, size_t capacity,
                 struct str *text);
#define FDIO_TRUNCATED 1

/* Writes all of TEXT, whatever write(2) takes at a time. Return: 0 or -errno. */
int fdio_write_all(int fd, struct str text);
