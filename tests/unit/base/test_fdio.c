/* Whole reads up to the bound, whole writes through a pipe that takes little at a time.
 */
#include "base/fdio.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct directory {
    char path[64];
    int fd;
};

static int setup(void **state)
{
    static struct directory directory;
    (void)snprintf(directory.path, sizeof directory.path, "/tmp/test_fdio.XXXXXX");
    if (!mkdtemp(directory.path))
        return -1;
    directory.fd = open(directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = &directory;
    return directory.fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    struct directory *directory = *state;
    (void)unlinkat(directory->fd, "file", 0);
    (void)unlinkat(directory->fd, "folder", AT_REMOVEDIR);
    close(directory->fd);
    return rmdir(directory->path);
}

static void put_file(const struct directory *directory, size_t bytes)
{
    CLEANUP(close_fdp)
    int fd =
        openat(directory->fd, "file", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(fdio_write_all(fd, (struct str){&"abcdefghij"[i % 10], 1}), 0);
}

static void test_read_at_the_bound(void **state)
{
    static const struct {
        size_t file_bytes, capacity;
        int rc;
        size_t length;
    } cases[] = {
        {0, 10, 0, 0},
        {9, 10, 0, 9},
        {10, 10, 0, 10},
        {11, 10, FDIO_TRUNCATED, 10},
        {50, 10, FDIO_TRUNCATED, 10},
        {0, 0, 0, 0},
        {1, 0, FDIO_TRUNCATED, 0},
    };
    const struct directory *directory = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char buffer[11] = "0123456789";
        struct str text = {0};
        put_file(directory, cases[i].file_bytes);
        int rc = fdio_read_at(directory->fd, "file", buffer, cases[i].capacity, &text);
        assert_int_equal(rc, cases[i].rc);
        assert_int_equal(text.n, cases[i].length);
        assert_memory_equal(text.p, "abcdefghij", text.n);
        assert_int_equal(buffer[10], 0); /* nothing behind the capacity was touched */
    }
}

static void test_read_failures(void **state)
{
    const struct directory *directory = *state;
    char buffer[10];
    struct str text = STR("untouched");
    assert_int_equal(fdio_read_at(directory->fd, "none", buffer, 10, &text), -ENOENT);
    assert_int_equal(mkdirat(directory->fd, "folder", 0700), 0);
    assert_int_equal(fdio_read_at(directory->fd, "folder", buffer, 10, &text), -EISDIR);
    assert_int_equal(fdio_read_at(-1, "file", buffer, 10, &text), -EBADF);
    assert_true(str_equal(text, STR("untouched")));
}

static void test_read_does_not_wait_for_a_fifo(void **state)
{
    const struct directory *directory = *state;
    char buffer[10];
    struct str text;
    (void)unlinkat(directory->fd, "file", 0);
    assert_int_equal(mkfifoat(directory->fd, "file", 0600), 0);
    assert_int_equal(fdio_read_at(directory->fd, "file", buffer, 10, &text), 0);
    assert_int_equal(text.n, 0);
}

static void test_read_of_proc_which_has_no_size(void **state)
{
    (void)state;
    char buffer[4096];
    struct str text;
    assert_int_equal(
        fdio_read_at(AT_FDCWD, "/proc/self/stat", buffer, sizeof buffer, &text), 0);
    assert_true(text.n > 50);
}

/* Copies what comes through FD until its end. Return: bytes counted. */
static size_t count_bytes(int fd)
{
    char block[777];
    size_t count = 0;
    for (ssize_t n; (n = read(fd, block, sizeof block)) > 0;)
        count += (size_t)n;
    return count;
}

static void test_write_all_through_a_full_pipe(void **state)
{
    (void)state;
    enum { BYTES = 300000 }; /* several times what a pipe holds */
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[1]);
        _exit(count_bytes(ends[0]) == BYTES ? 0 : 1);
    }
    close(ends[0]);
    char *bytes = calloc(1, BYTES);
    assert_non_null(bytes);
    assert_int_equal(fdio_write_all(ends[1], (struct str){bytes, BYTES}), 0);
    free(bytes);
    close(ends[1]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_write_failures(void **state)
{
    (void)state;
    assert_int_equal(fdio_write_all(-1, STR("x")), -EBADF);
    assert_int_equal(fdio_write_all(-1, STR("")),
                     0); /* nothing to write, nothing tried */
    CLEANUP(close_fdp) int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    assert_int_equal(fdio_write_all(full, STR("x")), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read_at_the_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_failures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_does_not_wait_for_a_fifo, setup,
                                        teardown),
        cmocka_unit_test(test_read_of_proc_which_has_no_size),
        cmocka_unit_test(test_write_all_through_a_full_pipe),
        cmocka_unit_test(test_write_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
