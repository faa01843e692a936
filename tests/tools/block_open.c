/*
 * LD_PRELOAD shim: opening one file of one process blocks for ever, as reading it does on
 * a machine where something holds the locks of that process.
 *
 *   BLOCK_OPEN_PID   the process, by the name of its directory
 *   BLOCK_OPEN_FILE  "cmdline", "stat" …
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Under another name in this file: glibc's fortified header defines openat itself. */
__attribute__((visibility("default"))) int blocking_openat(
    int dirfd, const char *path, int flags,
    ...) __asm__("openat64"); /* the name under 64-bit offsets */

static bool is_the_file(int dirfd, const char *path)
{
    const char *pid = getenv("BLOCK_OPEN_PID");
    const char *file = getenv("BLOCK_OPEN_FILE");
    if (!pid || !file || strcmp(path, file) != 0)
        return false;
    char link[64], directory[4096] = "";
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
    if (readlink(link, directory, sizeof directory - 1) < 0)
        return false;
    const char *name = strrchr(directory, '/');
    return name && strcmp(name + 1, pid) == 0;
}

int blocking_openat(int dirfd, const char *path, int flags, ...)
{
    union {
        void *symbol;
        int (*call)(int, const char *, int, ...);
    } next = {.symbol = dlsym(RTLD_NEXT, "openat64")};
    va_list arguments;
    va_start(arguments, flags);
    unsigned mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(arguments, unsigned) : 0;
    va_end(arguments);
    while (is_the_file(dirfd, path))
        (void)pause();
    return next.call(dirfd, path, flags, mode);
}
