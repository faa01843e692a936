/*
 * One owner for everything a collection learns.
 *
 * Memory is handed out from chunks and released all at once. An arena has a hard limit
 * fixed at birth: input from outside can make an allocation fail, never the node swap.
 */
#pragma once

#include "base/str.h"

#include <stddef.h>

struct arena;

/* Return: NULL when memory is gone. LIMIT_BYTES bounds all that will be handed out. */
struct arena *arena_new(size_t limit_bytes);

/* Releases everything the arena handed out. Accepts NULL. */
void arena_free(struct arena *arena);

static inline void arena_freep(struct arena **arena)
{
    arena_free(*arena);
}

/* Forgets everything handed out but keeps the chunks for the next collection. */
void arena_reset(struct arena *arena);

/* COUNT × SIZE zeroed bytes, aligned for any type; NULL when the limit or memory is
 * exhausted, or the product overflows. A zero product gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t count, size_t size)
    __attribute__((warn_unused_result));

/* COUNT zeroed objects of TYPE. */
#define ARENA_NEW(arena, type, count)                                                    \
    ((type *)arena_alloc((arena), (count), sizeof(type)))

/* A NUL-terminated copy of TEXT (NUL bytes inside it are kept as they are). NULL on
 * failure. */
char *arena_copy(struct arena *arena, struct str text)
    __attribute__((warn_unused_result));

/* printf into the arena; NULL on failure. */
__attribute__((format(printf, 2, 3), warn_unused_result)) char *arena_printf(
    struct arena *arena, const char *format, ...);

/* Bytes handed out since birth or the last reset. */
size_t arena_used_bytes(const struct arena *arena);
