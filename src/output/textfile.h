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

/* Replaces the file at PATH by CONTENT and removes temporary files that an earlier run of
 * this program left beside it when it was killed. Return: 0, or negative with a message
 * that names path, cause and remedy. */
int textfile_write(const char *path, struct str content, struct err *err)
    __attribute__((warn_unused_result));
