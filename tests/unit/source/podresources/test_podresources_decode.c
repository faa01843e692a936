/* The kubelet's list: a captured answer, odd encodings, bounds, broken bytes. */
#include "source/podresources/podresources_decode.h"

#include "../../../support/cmocka_all.h"
#include "base/buf.h"
#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>

#define UUID "5c2a1d34-8f1e-4b0a-9c55-0d1f6a7b8c90"

enum { MESSAGE_BYTES = 32 << 20 };

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_new((size_t)64 << 20);
    return arena ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static struct grant_list decode(struct str bytes)
{
    struct grant_list list = {0};
    struct err err = {0};
    if (podresources_decode(bytes, arena, &list, &err) != 0)
        fail_msg("%s", err.message);
    return list;
}

/* Field NUMBER with the bytes of CONTENT. */
static void put(struct buf *out, unsigned number, struct str content)
{
    buf_append_char(out, (char)(number << 3 | 2));
    size_t n = content.n;
    for (; n >= 0x80; n >>= 7)
        buf_append_char(out, (char)(n | 0x80));
    buf_append_char(out, (char)n);
    buf_append(out, content);
}

/* A pod with one container that has COUNT times ID. */
static void put_pod(struct buf *out, const char *namespace_, const char *pod,
                    const char *container, const char *id, size_t count)
{
    CLEANUP(buf_done) struct buf devices = BUF_INIT(MESSAGE_BYTES);
    CLEANUP(buf_done) struct buf inner = BUF_INIT(MESSAGE_BYTES);
    CLEANUP(buf_done) struct buf outer = BUF_INIT(MESSAGE_BYTES);
    put(&devices, 1, STR("nvidia.com/gpu"));
    for (size_t i = 0; i < count; i++)
        put(&devices, 2, str_from(id));
    put(&inner, 1, str_from(container));
    put(&inner, 2, buf_str(&devices));
    put(&outer, 1, str_from(pod));
    put(&outer, 2, str_from(namespace_));
    put(&outer, 3, buf_str(&inner));
    put(out, 1, buf_str(&outer));
}

static void test_captured_answers(void **state)
{
    static const struct {
        const char *file;
        size_t pods, grants;
    } rows[] = {
        {"tests/data/podresources/v1-api.pb", 15, 4},
        {"tests/data/podresources/v2-api.pb", 15, 4},
        {"tests/data/podresources/after-restart-0s.pb", 4, 0},
        {"tests/data/podresources/after-restart-12s.pb", 14, 4},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        char bytes[4096];
        FILE *file = fopen(rows[i].file, "re");
        assert_non_null(file);
        size_t n = fread(bytes, 1, sizeof bytes, file);
        assert_int_equal(fclose(file), 0);
        struct grant_list list = decode((struct str){bytes, n});
        assert_int_equal(list.pod_count, rows[i].pods);
        assert_int_equal(list.count, rows[i].grants);
        for (size_t k = 0; k < list.count; k++) {
            assert_string_equal(list.grants[k].namespace_, "ml-team");
            assert_int_equal(list.grants[k].id.kind, DEVICE_ID_UUID);
        }
    }
}

static void test_what_is_kept_outlives_the_bytes(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf bytes = BUF_INIT(MESSAGE_BYTES);
    put_pod(&bytes, "ns", "pod", "main", "GPU-" UUID "::1", 2);
    struct grant_list list = decode(buf_str(&bytes));
    memset(bytes.p, 'x', bytes.len);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.grants[0].pod, "pod");
    assert_string_equal(list.grants[0].container, "main");
    assert_true(str_equal(list.grants[1].id.uuid, STR("GPU-" UUID)));
    assert_true(list.grants[1].id.is_shared);
}

static void test_unknown_fields_and_empty_parts(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf bytes = BUF_INIT(MESSAGE_BYTES);
    put(&bytes, 15, STR("a field of next year"));
    buf_append(&bytes, STR("\x30\x96\x01"));                      /* varint */
    buf_append(&bytes, STR("\x39\1\2\3\4\5\6\7\x8\x3d\1\2\3\4")); /* fixed */
    put(&bytes, 1, STR(""));
    put_pod(&bytes, "ns", "pod", "main", "GPU-" UUID, 1);
    struct grant_list list = decode(buf_str(&bytes));
    assert_int_equal(list.count, 1);
    assert_int_equal(list.pod_count, 2);
    assert_int_equal(decode(STR("")).count, 0);
}

static void test_claims(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf device = BUF_INIT(1000);
    CLEANUP(buf_done) struct buf claim = BUF_INIT(1000);
    CLEANUP(buf_done) struct buf container = BUF_INIT(1000);
    CLEANUP(buf_done) struct buf pod = BUF_INIT(1000);
    CLEANUP(buf_done) struct buf bytes = BUF_INIT(1000);
    put(&device, 2, STR("gpu.nvidia.com"));
    put(&device, 4, STR("gpu-3-mig-1g5gb-19-4"));
    put(&claim, 2, STR("claim"));
    put(&claim, 4, buf_str(&device));
    put(&container, 1, STR("main"));
    put(&container, 5, buf_str(&claim));
    put(&pod, 1, STR("pod"));
    put(&pod, 2, STR("ns"));
    put(&pod, 3, buf_str(&container));
    put(&bytes, 1, buf_str(&pod));
    struct grant_list list = decode(buf_str(&bytes));
    assert_int_equal(list.count, 1);
    assert_int_equal(list.grants[0].id.kind, DEVICE_ID_MINOR_PROFILE);
    assert_true(str_equal(list.grants[0].id.profile, STR("1g5gb")));
}

static void test_bounds(void **state)
{
    (void)state;
    char name[300];
    memset(name, 'n', sizeof name);
    const struct {
        size_t namespace_, pod, container;
        size_t kept;
    } rows[] = {
        {63, 253, 63, 1}, {64, 253, 63, 0}, {63, 254, 63, 0}, {63, 253, 64, 0},
        {0, 1, 1, 0},     {1, 0, 1, 0},     {1, 1, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        CLEANUP(buf_done) struct buf bytes = BUF_INIT(MESSAGE_BYTES);
        const char *end = name + sizeof name - 1;
        name[sizeof name - 1] = '\0';
        put_pod(&bytes, end - rows[i].namespace_, end - rows[i].pod,
                end - rows[i].container, "GPU-" UUID, 1);
        struct grant_list list = decode(buf_str(&bytes));
        assert_int_equal(list.count, rows[i].kept);
        assert_int_equal(list.bad_names, 1 - rows[i].kept);
    }
}

static void test_too_many_devices(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf bytes = BUF_INIT(MESSAGE_BYTES);
    put_pod(&bytes, "ns", "pod", "main", "GPU-" UUID, PODRESOURCES_MAX_GRANTS - 1);
    put_pod(&bytes, "ns", "nic", "main", "foreign", 1);
    put_pod(&bytes, "ns", "last", "main", "GPU-" UUID, 3);
    struct grant_list list = decode(buf_str(&bytes));
    assert_int_equal(list.count, PODRESOURCES_MAX_GRANTS);
    assert_int_equal(list.omitted, 3);
}

static void test_broken(void **state)
{
    static const struct str rows[] = {
        STR("\x0a"),
        STR("\x0a\5xy"),
        STR("\x0a\xff\xff\xff\xff\x7f"),
        STR("\x0b\x0c"),
        STR("\x0a\x02\x0a\x05"),
        STR("\x00\x00"),
        STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct grant_list list;
        struct err err = {0};
        assert_int_equal(podresources_decode(rows[i], arena, &list, &err), -EPROTO);
        assert_true(err.message[0] != '\0');
    }
}

/* Two bytes on the wire ask for a hundred in memory. */
static void test_amplification_is_bounded(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf bytes = BUF_INIT(MESSAGE_BYTES);
    struct grant_list list;
    for (size_t i = 0; i < 4000000; i++)
        buf_append(&bytes, STR("\x0a\x00"));
    assert_int_equal(podresources_decode(buf_str(&bytes), arena, &list, NULL), -EPROTO);
    assert_int_equal(arena_used_bytes(arena), 0);
}

static void test_no_memory(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *small = arena_new(100);
    CLEANUP(buf_done) struct buf bytes = BUF_INIT(MESSAGE_BYTES);
    struct grant_list list;
    put_pod(&bytes, "ns", "pod", "main", "GPU-" UUID, 1);
    assert_int_equal(podresources_decode(buf_str(&bytes), small, &list, NULL), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_captured_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_kept_outlives_the_bytes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_unknown_fields_and_empty_parts, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_claims, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_devices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_amplification_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
