/* A chained hash table by pid with a free list. */
#include "source/identity/process_cache.h"

#include "base/cleanup.h"

struct process_entry *process_cache_find(const struct process_cache *cache, uint32_t pid)
{
    struct process_entry *entry = cache->buckets[pid % PROCESS_CACHE_BUCKETS];
    while (entry && entry->identity.pid != pid)
        entry = entry->next;
    return entry;
}

struct process_entry *process_cache_add(struct process_cache *cache, uint32_t pid)
{
    struct process_entry *entry = cache->free;
    if (entry)
        cache->free = entry->next;
    else
        entry = ARENA_NEW(cache->arena, struct process_entry, 1);
    if (!entry)
        return NULL;
    entry->held = -1;
    struct process_entry **bucket = &cache->buckets[pid % PROCESS_CACHE_BUCKETS];
    entry->identity.pid = pid;
    entry->round = 0;
    entry->next = *bucket;
    process_entry_clear(entry);
    *bucket = entry;
    return entry;
}

void process_cache_sweep(struct process_cache *cache, uint64_t round)
{
    for (size_t i = 0; i < PROCESS_CACHE_BUCKETS; i++) {
        struct process_entry **place = &cache->buckets[i];
        while (*place) {
            struct process_entry *entry = *place;
            if (entry->round == round) {
                place = &entry->next;
                continue;
            }
            *place = entry->next;
            close_fdp(&entry->held);
            entry->next = cache->free;
            cache->free = entry;
        }
    }
}

void process_cache_close(struct process_cache *cache)
{
    for (size_t i = 0; i < PROCESS_CACHE_BUCKETS; i++) {
        for (struct process_entry *entry = cache->buckets[i]; entry; entry = entry->next)
            close_fdp(&entry->held);
    }
}

void process_entry_clear(struct process_entry *entry)
{
    close_fdp(&entry->held);
    struct process_entry *next = entry->next;
    uint64_t round = entry->round;
    uint32_t pid = entry->identity.pid;
    memset(entry, 0, sizeof *entry);
    entry->held = -1;
    entry->next = next;
    entry->round = round;
    entry->identity.pid = pid;
}

const char *process_entry_text(char *memory, size_t capacity, struct str text)
{
    if (!text.n || text.n >= capacity)
        return NULL;
    memcpy(memory, text.p, text.n);
    memory[text.n] = '\0';
    return memory;
}
