/*
 * Makes symbols of a shared library unfindable, to simulate a driver that has none of
 * them.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/**
 * elf_hide_symbols() - rename dynamic symbols so that dlsym() does not find them
 * @bytes: a whole ELF64 shared library of this machine's byte order; changed in place
 * @names: @count symbols; names that the library does not define are no error
 *
 * The first byte of each name in the string table is overwritten. Hash tables keep the
 * old name's hash, the comparison of the name then fails: for the loader it does not
 * exist.
 *
 * Return: 0, or -ENOEXEC when @bytes is no such library (no out-of-bounds access happens
 * whatever its bytes are).
 */
int elf_hide_symbols(uint8_t *bytes, size_t size, const char *const *names, size_t count,
                     struct err *err);
