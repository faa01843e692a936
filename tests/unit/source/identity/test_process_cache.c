/* Entries by pid: found, kept while asked for, used again afterwards. */
#include "source/identity/process_cache.h"

#include "tree.h"

static void keeps_what_is_asked_for(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(16 * 1024 * 1024);
    struct process_cache *cache = ARENA_NEW(arena, struct process_cache, 1);
    assert_non_null(cache);
    cache->arena = arena;
    /* All in one bucket, then some in others. */
    for (uint32_t i = 0; i < 100; i++) {
        struct process_entry *entry =
            process_cache_add(cache, i < 50 ? i * PROCESS_CACHE_BUCKETS : i);
        assert_non_null(entry);
        entry->round = i % 2 ? 2 : 1;
    }
    size_t used = arena_used_bytes(arena);
    process_cache_sweep(cache, 2);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t pid = i < 50 ? i * PROCESS_CACHE_BUCKETS : i;
        struct process_entry *entry = process_cache_find(cache, pid);
        if (i % 2)
            assert_int_equal(entry->identity.pid, pid);
        else
            assert_null(entry);
    }
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(process_cache_add(cache, 1000 + i)->round, 0);
    assert_int_equal(arena_used_bytes(arena), used);
    assert_int_equal(process_cache_find(cache, 1049)->identity.state, IDENTITY_UNKNOWN);
}

static void runs_out_of_memory(void **state)
{
    (void)state;
    CLEANUP(arena_freep)
    struct arena *arena =
        arena_new(sizeof(struct process_cache) + 10 * sizeof(struct process_entry));
    struct process_cache *cache = ARENA_NEW(arena, struct process_cache, 1);
    assert_non_null(cache);
    cache->arena = arena;
    uint32_t count = 0;
    while (process_cache_add(cache, count))
        count++;
    assert_in_range(count, 9, 10);
    assert_null(process_cache_find(cache, count));
    process_cache_sweep(cache, 1);
    assert_non_null(process_cache_add(cache, 0));
}

static void entry_texts_fit(void **state)
{
    (void)state;
    char memory[4] = "old";
    assert_null(process_entry_text(memory, sizeof memory, STR("long")));
    assert_null(process_entry_text(memory, sizeof memory, STR("")));
    assert_string_equal(memory, "old");
    assert_ptr_equal(process_entry_text(memory, sizeof memory, STR("new")), memory);
    assert_string_equal(memory, "new");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_is_asked_for),
        cmocka_unit_test(runs_out_of_memory),
        cmocka_unit_test(entry_texts_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
