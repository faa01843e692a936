/*
 * Makes the n-th allocation of a process fail: LD_PRELOAD=fail_alloc.so FAIL_ALLOC_AT=n.
 *
 * malloc, calloc and realloc share one count, which starts anew in a child of fork(), so
 * that a supervised child meets every n too; a program started by exec is left alone.
 * FAIL_ALLOC_AT=0 fails nothing. When
 * FAIL_ALLOC_LOG names a file, a process whose n-th allocation failed appends one line to
 * it: the test has gone far enough once a run leaves the file empty.
 *
 * The allocator itself is reached by glibc's internal names, which spares dlsym() (it
 * allocates) before the first call.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

#define EXPORT __attribute__((visibility("default")))

static atomic_ulong calls;
static unsigned long fail_at;

static void count_anew(void)
{
    atomic_store(&calls, 0);
}

__attribute__((constructor)) static void fail_alloc_init(void)
{
    const char *text = getenv("FAIL_ALLOC_AT");
    for (; text && *text >= '0' && *text <= '9'; text++)
        fail_at = fail_at * 10 + (unsigned long)(*text - '0');
    (void)unsetenv("LD_PRELOAD");
    (void)pthread_atfork(NULL, NULL, count_anew);
    count_anew();
}

static void note_failure(void)
{
    const char *path = getenv("FAIL_ALLOC_LOG");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return;
    ssize_t written = write(fd, "failed\n", 7);
    (void)written;
    close(fd);
}

static bool must_fail(void)
{
    if (!fail_at || atomic_fetch_add(&calls, 1) + 1 != fail_at)
        return false;
    note_failure();
    errno = ENOMEM;
    return true;
}

EXPORT void *malloc(size_t size)
{
    return must_fail() ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __libc_calloc(count, size);
}

EXPORT void *realloc(void *old, size_t size)
{
    return must_fail() ? NULL : __libc_realloc(old, size);
}
