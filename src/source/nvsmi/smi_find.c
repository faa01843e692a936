/* Finding nvidia-smi once, when the source is opened: every run is the same file. */
#include "source/nvsmi/smi_find.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static int out_of_memory(struct err *err)
{
    return err_errno(err, ENOMEM, "looking for nvidia-smi");
}

static bool is_program(const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return false;
    if (!S_ISREG(status.st_mode)) {
        errno = EACCES;
        return false;
    }
    return access(path, X_OK) == 0;
}

/* Looks for NAME in PATH; relative folders in it are passed over, since whoever chooses
 * the working directory would choose the program. */
static int find_in_path(struct arena *arena, const char *name, const char **program,
                        struct err *err)
{
    const char *path = secure_getenv("PATH");
    struct str rest = str_from(path ? path : DEFAULT_PATH);
    for (struct str folder; str_split(&rest, ':', &folder);) {
        if (folder.n == 0 || folder.p[0] != '/' || folder.n > PATH_MAX)
            continue;
        const char *candidate =
            arena_printf(arena, "%.*s/%s", (int)folder.n, folder.p, name);
        if (!candidate)
            return out_of_memory(err);
        if (is_program(candidate)) {
            *program = candidate;
            return 0;
        }
    }
    return err_set(
        err, ENOENT, ERR_SMI, 0,
        "no %s in PATH: install the NVIDIA driver's tools, or name the program "
        "with --nvidia-smi.path",
        name);
}

int smi_find(struct arena *arena, const char *wanted, const char **program,
             struct err *err)
{
    if (!wanted || str_find(str_from(wanted), '/') < 0)
        return find_in_path(arena, wanted ? wanted : "nvidia-smi", program, err);
    if (!is_program(wanted))
        return err_errno(err, errno, "%s (--nvidia-smi.path) cannot be run", wanted);
    *program = arena_copy(arena, str_from(wanted));
    return *program ? 0 : out_of_memory(err);
}
