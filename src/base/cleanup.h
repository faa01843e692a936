/*
 * Scope-bound release of resources, so that an early return cannot leak.
 *
 * A variable marked CLEANUP(fn) is released when it leaves scope; TAKE() hands the
 * value on and disarms the release. Always initialise at declaration.
 */
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* The value of pointer P, which is NULL afterwards: ownership moves to the reader. */
#define TAKE(p)                                                                          \
    __extension__({                                                                      \
        __typeof__(p) *from_ = &(p);                                                     \
        __typeof__(p) value_ = *from_;                                                   \
        *from_ = NULL;                                                                   \
        value_;                                                                          \
    })

#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static inline void close_fdp(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* For memory from calloc: POINTER is the address of a pointer to any type. */
static inline void freep(void *pointer)
{
    free(*(void **)pointer);
}

/* The descriptor in *FD, which is -1 afterwards: ownership moves to the reader. */
static inline int take_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}
