/*
 * Processes already identified, by pid, kept between collections.
 *
 * Entries have a fixed size with room for every text, so that one that is no longer asked
 * for makes room for the next without a heap that fragments or grows.
 */
#pragma once

#include "base/arena.h"
#include "model/facts.h"
#include "source/identity/passwd.h"
#include "source/identity/podlogs.h"
#include "source/identity/proc_cgroup.h"
#include "source/identity/proc_mountinfo.h"
#include "source/identity/proc_stat.h"

struct process_entry {
    struct process_entry *next;       /* in its bucket, or in the list of free ones */
    uint64_t round;                   /* of the last collection that asked for it */
    struct process_identity identity; /* its texts are NULL or the arrays below */
    /* What tells that the process still lives: its pidfd, watched by the source, or its
     * directory in /proc; -1: neither is held. */
    int held;
    bool is_watched;
    uint64_t checked_ticks; /* by /proc's clock, when its stat was last read */
    bool wants_names;       /* a later reading of the log links may tell more */
    uint64_t generation;    /* of the log links when names were last looked for */
    size_t comm_bytes;
    char comm[PROC_COMM_BYTES];
    char command[FACTS_COMMAND_BYTES + 1];
    char unix_user[USER_NAME_BYTES + 1];
    char pod_uid[POD_UID_BYTES + 1];
    char container_id[CONTAINER_ID_BYTES + 1];
    char namespace_[64];
    char pod[254];
    char container[CONTAINER_NAME_BYTES + 1];
};

enum { PROCESS_CACHE_BUCKETS = 4096 };

struct process_cache {
    struct arena *arena; /* borrowed; entries come from it and never go back */
    struct process_entry *free;
    struct process_entry *buckets[PROCESS_CACHE_BUCKETS];
};

/* NULL when not known. */
struct process_entry *process_cache_find(const struct process_cache *cache, uint32_t pid);

/* Closes what the entries hold. */
void process_cache_close(struct process_cache *cache);

/* A new entry, empty but for its pid; NULL when the arena is exhausted. */
struct process_entry *process_cache_add(struct process_cache *cache, uint32_t pid);

/* Frees the entries that ROUND did not ask for. */
void process_cache_sweep(struct process_cache *cache, uint64_t round);

/* Empties the entry but for its pid, round and place; closes what it holds. */
void process_entry_clear(struct process_entry *entry);

/* Copies TEXT with a NUL to the array at MEMORY. Return: MEMORY, or NULL (array
 * unchanged) when TEXT is empty or does not fit. */
const char *process_entry_text(char *memory, size_t capacity, struct str text);
