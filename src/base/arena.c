/*
 * A chunked bump allocator. Chunks double up to 256 KiB, so that a quiet node costs one
 * small chunk and a dense one costs few calls of malloc; arena_reset() keeps them, so a
 * steady collection allocates nothing.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CHUNK_BYTES = 16 * 1024, LARGEST_CHUNK_BYTES = 256 * 1024 };

struct chunk {
    struct chunk *next;
    size_t capacity;
    size_t used;
    alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct chunk *first;
    struct chunk *current; /* chunks behind it are empty */
    size_t limit_bytes;
    size_t used_bytes;
};

struct arena *arena_new(size_t limit_bytes)
{
    struct arena *arena = calloc(1, sizeof *arena);
    if (arena)
        arena->limit_bytes = limit_bytes;
    return arena;
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    for (struct chunk *chunk = arena->first; chunk;) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    free(arena);
}

void arena_reset(struct arena *arena)
{
    for (struct chunk *chunk = arena->first; chunk; chunk = chunk->next)
        chunk->used = 0;
    arena->current = arena->first;
    arena->used_bytes = 0;
}

static size_t next_chunk_bytes(const struct arena *arena, size_t wanted)
{
    size_t bytes = arena->current ? arena->current->capacity * 2 : FIRST_CHUNK_BYTES;
    if (bytes > LARGEST_CHUNK_BYTES)
        bytes = LARGEST_CHUNK_BYTES;
    return bytes < wanted ? wanted : bytes;
}

/* Makes arena->current a chunk with room for WANTED bytes. */
static bool arena_make_room(struct arena *arena, size_t wanted)
{
    struct chunk *current = arena->current;
    if (current && current->capacity - current->used >= wanted)
        return true;
    if (current && current->next && current->next->capacity >= wanted) {
        arena->current = current->next;
        return true;
    }
    size_t capacity = next_chunk_bytes(arena, wanted);
    struct chunk *chunk = malloc(sizeof *chunk + capacity);
    if (!chunk)
        return false;
    chunk->capacity = capacity;
    chunk->used = 0;
    chunk->next = current ? current->next : NULL;
    if (current)
        current->next = chunk;
    else
        arena->first = chunk;
    arena->current = chunk;
    return true;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;
    const size_t align = alignof(max_align_t);
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - align)
        return NULL;
    bytes = (bytes + align - 1) / align * align;
    if (bytes > arena->limit_bytes - arena->used_bytes || !arena_make_room(arena, bytes))
        return NULL;
    struct chunk *chunk = arena->current;
    void *result = chunk->bytes + chunk->used;
    chunk->used += bytes;
    arena->used_bytes += bytes;
    return memset(result, 0, bytes);
}

char *arena_copy(struct arena *arena, struct str text)
{
    if (text.n == SIZE_MAX)
        return NULL;
    char *copy = arena_alloc(arena, text.n + 1, 1);
    if (copy && text.n)
        memcpy(copy, text.p, text.n);
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (n < 0)
        return NULL;
    char *text = arena_alloc(arena, (size_t)n + 1, 1);
    if (!text)
        return NULL;
    va_start(arguments, format);
    (void)vsnprintf(text, (size_t)n + 1, format, arguments);
    va_end(arguments);
    return text;
}

size_t arena_used_bytes(const struct arena *arena)
{
    return arena->used_bytes;
}
