/* When the source asks and what it says, without a kubelet that answers; the answers are
 * in tests/scenario/test_podresources.py. */
#include "source/podresources.h"

#include "../../../support/cmocka_all.h"
#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SECOND UINT64_C(1000000000)

struct fixture {
    char folder[32];
    char path[64];
    struct error_counters errors;
    struct podresources *source;
    struct arena *arena;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    (void)snprintf(f->folder, sizeof f->folder, "/tmp/kubeletXXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    (void)snprintf(f->path, sizeof f->path, "%s/kubelet.sock", f->folder);
    f->arena = arena_new(1 << 16);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    podresources_close(f->source);
    arena_free(f->arena);
    (void)unlink(f->path);
    (void)rmdir(f->folder);
    free(f);
    return 0;
}

static void open_source(struct fixture *f, bool is_wanted)
{
    struct podresources_config config = {
        .socket = f->path,
        .is_wanted = is_wanted,
        .errors = &f->errors,
    };
    f->source = podresources_open(&config);
    assert_non_null(f->source);
}

/* A socket that nobody listens on, as a kubelet that ended leaves behind. */
static void leave_socket(struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)unlink(f->path);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", f->path);
    CLEANUP(close_fdp) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
}

static uint64_t failures(const struct fixture *f, const char *reason)
{
    for (size_t i = 0; i < errors_count(&f->errors); i++) {
        if (strcmp(f->errors.entries[i].reason, reason) == 0)
            return f->errors.entries[i].value;
    }
    return 0;
}

static void expect_down(struct fixture *f, const char *words)
{
    struct source_status status = {0};
    size_t count = 7;
    assert_true(podresources_status(f->source, f->arena, &status));
    assert_string_equal(status.name, "podresources");
    assert_false(status.is_up);
    if (!strstr(status.reason, words))
        fail_msg("\"%s\" has no \"%s\"", status.reason, words);
    assert_null(podresources_grants(f->source, &count));
    assert_int_equal(count, 0);
    assert_int_equal(podresources_left_out(f->source), 0);
    /* Of no list nothing is counted. */
    const struct allocation_set matched = {.absent_ids = 1, .opaque_ids = 1};
    podresources_count_ids(f->source, &matched);
    assert_int_equal(failures(f, "unknown_device") + failures(f, "opaque_id"), 0);
}

static void test_no_kubelet(void **state)
{
    struct fixture *f = *state;
    struct source_status status;
    open_source(f, false);
    podresources_refresh(f->source, SECOND, 0, SECOND / 10);
    assert_false(podresources_status(f->source, f->arena, &status));
    assert_int_equal(errors_count(&f->errors), 0);
}

static void test_no_kubelet_where_one_is_wanted(void **state)
{
    struct fixture *f = *state;
    open_source(f, true);
    podresources_refresh(f->source, SECOND, 0, SECOND / 10);
    expect_down(f, "kubelet.sock: No such file");
    /* In its wait it costs nothing and says the same. */
    podresources_refresh(f->source, SECOND, 0, SECOND / 10);
    expect_down(f, "kubelet.sock: No such file");
    assert_int_equal(failures(f, "no_socket"), 1);
    podresources_refresh(f->source, 3 * SECOND, 0, SECOND / 10);
    assert_int_equal(failures(f, "no_socket"), 2);
}

static void test_waits_grow_and_a_new_socket_ends_them(void **state)
{
    struct fixture *f = *state;
    open_source(f, false);
    leave_socket(f);
    static const struct {
        uint64_t at_ms;
        uint64_t refused;
    } rows[] = {
        {0, 1},     {700, 1},   {1000, 2},  {2400, 2},  {3000, 3},
        {5900, 3},  {7000, 4},  {12900, 4}, {15000, 5}, {26900, 5},
        {31000, 6}, {54900, 6}, {63000, 7}, {86900, 7}, {95000, 8},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        podresources_refresh(f->source, SECOND + rows[i].at_ms * 1000000, 0, SECOND / 10);
        assert_int_equal(failures(f, "refused"), rows[i].refused);
        expect_down(f, "nobody listens");
    }
    struct stat before, after;
    assert_int_equal(stat(f->path, &before), 0);
    char other[80];
    (void)snprintf(other, sizeof other, "%s.old", f->path);
    assert_int_equal(rename(f->path, other), 0); /* keeps its inode from being reused */
    leave_socket(f);
    assert_int_equal(stat(f->path, &after), 0);
    assert_int_not_equal(before.st_ino, after.st_ino);
    podresources_refresh(f->source, 97 * SECOND, 0, SECOND / 10);
    assert_int_equal(failures(f, "refused"), 9);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(unlink(f->path), 0);
    podresources_refresh(f->source, 99 * SECOND, 0, SECOND / 10);
    expect_down(f, "No such file");
}

static void test_not_a_socket(void **state)
{
    struct fixture *f = *state;
    open_source(f, false);
    FILE *file = fopen(f->path, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    podresources_refresh(f->source, SECOND, 0, SECOND / 10);
    expect_down(f, "socket");
    assert_int_equal(failures(f, "bad_socket"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_kubelet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_kubelet_where_one_is_wanted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_waits_grow_and_a_new_socket_ends_them, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_not_a_socket, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
