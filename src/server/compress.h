/*
 * Pieces of text into one gzip stream.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Appends the COUNT pieces, compressed, to OUT. Return: 0; -ENOMEM when OUT is full or
 * memory is gone. */
int compress_gzip(const struct str *pieces, size_t count, struct buf *out)
    __attribute__((warn_unused_result));
