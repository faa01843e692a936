/*
 * Finding the simulated driver that came along with the program, and copying it.
 */
#include "sim/node/node_driver.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "sim/node/directory.h"
#include "sim/node/elf_hide.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROGRAM_BYTES_MAX = 64 << 20 };

/* Relative to the folder of the running program: the build folder first, then where an
 * installation puts them. */
static const char *const library_places[] = {"libnvidia-ml.so.1",
                                             "../lib/gpu-sessions/libnvidia-ml.so.1"};
static const char *const smi_places[] = {"sim/smi/nvidia-smi",
                                         "../lib/gpu-sessions/nvidia-smi"};

/* The folder of the running program, without a slash at its end. */
static int find_program_folder(char folder[PATH_MAX], struct err *err)
{
    ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    if (length < 0)
        return err_errno(err, errno, "/proc/self/exe");
    folder[length] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = '\0';
    return 0;
}

/* Writes the first of PLACES that exists to PATH. */
static int find_beside_program(const char *const *places, size_t count, const char *what,
                               char path[PATH_MAX], struct err *err)
{
    char folder[PATH_MAX];
    int rc = find_program_folder(folder, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < count; i++) {
        int length = snprintf(path, PATH_MAX, "%s/%s", folder, places[i]);
        if (length > 0 && length < PATH_MAX && access(path, R_OK) == 0)
            return 0;
    }
    return err_set(
        err, ENOENT, ERR_USAGE, 0,
        "the simulated %s is not beside the program (%.100s/%s); build or install "
        "it",
        what, folder, places[0]);
}

/* Whole file PATH into new memory. */
static int read_program(const char *path, uint8_t **bytes, size_t *size, struct err *err)
{
    struct stat stat;
    CLEANUP(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0)
        return err_errno(err, errno, "%s", path);
    if (!S_ISREG(stat.st_mode) || stat.st_size > PROGRAM_BYTES_MAX)
        return err_set(err, EFBIG, ERR_USAGE, 0, "%s: no file of at most %d MiB", path,
                       PROGRAM_BYTES_MAX >> 20);
    size_t capacity = (size_t)stat.st_size + 1;
    CLEANUP(freep) uint8_t *memory = calloc(capacity, 1);
    struct str text;
    int rc =
        memory ? fdio_read_at(AT_FDCWD, path, (char *)memory, capacity, &text) : -ENOMEM;
    if (rc < 0)
        return err_errno(err, -rc, "%s", path);
    *size = text.n;
    *bytes = TAKE(memory);
    return 0;
}

static int copy_library(int dirfd, const struct scenario *scenario, const char *path,
                        struct err *err)
{
    CLEANUP(freep) uint8_t *bytes = NULL;
    size_t size = 0;
    int rc = read_program(path, &bytes, &size, err);
    if (rc)
        return rc;
    if (scenario->driver.absent_count)
        rc = elf_hide_symbols(bytes, size, scenario->driver.absent_symbols,
                              scenario->driver.absent_count, err);
    if (rc)
        return err_wrap(err, rc, "%s", path);
    rc = directory_write(dirfd, "libnvidia-ml.so.1", (struct str){(char *)bytes, size},
                         0755);
    return rc ? err_errno(err, -rc, "writing libnvidia-ml.so.1") : 0;
}

static int copy_smi(int dirfd, const char *path, struct err *err)
{
    CLEANUP(freep) uint8_t *bytes = NULL;
    size_t size = 0;
    int rc = read_program(path, &bytes, &size, err);
    if (rc)
        return rc;
    CLEANUP(close_fdp) int fd = directory_make(dirfd, "bin");
    rc = fd < 0
             ? fd
             : directory_write(fd, "nvidia-smi", (struct str){(char *)bytes, size}, 0755);
    return rc ? err_errno(err, -rc, "writing bin/nvidia-smi") : 0;
}

int node_driver_write(int dirfd, const struct scenario *scenario,
                      const struct node_driver_paths *paths, struct err *err)
{
    char library[PATH_MAX];
    char smi[PATH_MAX];
    int rc = 0;
    if (!scenario->driver.is_present)
        return 0;
    if (!paths->library)
        rc = find_beside_program(library_places, ARRAY_LENGTH(library_places),
                                 "driver library", library, err);
    if (!rc && !paths->smi)
        rc = find_beside_program(smi_places, ARRAY_LENGTH(smi_places), "nvidia-smi", smi,
                                 err);
    rc = rc ? rc
            : copy_library(dirfd, scenario, paths->library ? paths->library : library,
                           err);
    return rc ? rc : copy_smi(dirfd, paths->smi ? paths->smi : smi, err);
}
