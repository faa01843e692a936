/* The arena: alignment, zeroing, the hard limit, overflow, reuse after a reset. */
#include "base/arena.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { LIMIT = 1 << 20 };

static void test_alloc_is_zeroed_and_aligned(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 3, 15, 16, 17, 255, 4096, 20000, 300000};
    CLEANUP(arena_freep) struct arena *arena = arena_new(LIMIT);
    assert_non_null(arena);
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        unsigned char *bytes = arena_alloc(arena, sizes[i], 1);
        assert_non_null(bytes);
        assert_int_equal((uintptr_t)bytes % _Alignof(max_align_t), 0);
        for (size_t b = 0; b < sizes[i]; b++)
            assert_int_equal(bytes[b], 0);
        memset(bytes, 0xAA, sizes[i]);
    }
}

static void test_zeroed_again_after_reset(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(LIMIT);
    unsigned char *first = arena_alloc(arena, 100, 1);
    assert_non_null(first);
    memset(first, 0xAA, 100);
    arena_reset(arena);
    assert_int_equal(arena_used_bytes(arena), 0);
    unsigned char *again = arena_alloc(arena, 100, 1);
    assert_ptr_equal(again, first); /* the chunk was kept */
    for (size_t b = 0; b < 100; b++)
        assert_int_equal(again[b], 0);
}

static void test_limit_and_overflow(void **state)
{
    (void)state;
    static const struct {
        size_t count, size;
        bool fits;
    } cases[] = {
        {0, 8, true},
        {8, 0, true},
        {64, 16, true},
        {LIMIT / 16, 16, true},
        {LIMIT / 16 + 1, 16, false},
        {SIZE_MAX, 1, false},
        {SIZE_MAX - 8, 1, false},
        {SIZE_MAX / 2, 3, false},
        {2, SIZE_MAX, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new(LIMIT);
        assert_non_null(arena);
        void *result = arena_alloc(arena, cases[i].count, cases[i].size);
        assert_int_equal(result != NULL, cases[i].fits);
        if (!cases[i].fits)
            assert_int_equal(arena_used_bytes(arena), 0);
    }
}

static void test_limit_counts_all_chunks(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(LIMIT);
    size_t handed_out = 0;
    while (arena_alloc(arena, 1000, 1))
        handed_out++;
    assert_int_equal(handed_out, LIMIT / 1008); /* rounded up to the alignment */
    assert_null(arena_alloc(arena, 1000, 1));
    assert_non_null(arena_alloc(arena, 16, 1)); /* what still fits is given */
    arena_reset(arena);
    for (size_t i = 0; i < handed_out; i++)
        assert_non_null(arena_alloc(arena, 1000, 1));
}

static void test_large_after_small_chunks_survives_reset(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(LIMIT);
    for (int round = 0; round < 3; round++) {
        char *small = arena_copy(arena, STR("small"));
        char *large = arena_alloc(arena, 200000, 1);
        char *tail = arena_copy(arena, STR("tail"));
        assert_non_null(large);
        memset(large, 'x', 200000);
        assert_string_equal(small, "small");
        assert_string_equal(tail, "tail");
        arena_reset(arena);
    }
}

static void test_copy_and_printf(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(64);
    char *copy = arena_copy(arena, (struct str){"a\0b", 3});
    assert_memory_equal(copy, "a\0b", 4);
    assert_string_equal(arena_copy(arena, (struct str){NULL, 0}), "");
    assert_string_equal(arena_printf(arena, "%s-%d", "gpu", 7), "gpu-7");
    assert_null(arena_printf(arena, "%100d", 7)); /* beyond the limit */
    assert_null(arena_copy(arena, (struct str){"x", SIZE_MAX}));
}

static void test_free_accepts_null(void **state)
{
    (void)state;
    arena_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_is_zeroed_and_aligned),
        cmocka_unit_test(test_zeroed_again_after_reset),
        cmocka_unit_test(test_limit_and_overflow),
        cmocka_unit_test(test_limit_counts_all_chunks),
        cmocka_unit_test(test_large_after_small_chunks_survives_reset),
        cmocka_unit_test(test_copy_and_printf),
        cmocka_unit_test(test_free_accepts_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
