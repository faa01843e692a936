#include "support.h"

#include "base/fdio.h"
#include "sim/node/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct arena *arena; /* of the running test */

struct scenario support_parse(const char *text)
{
    struct scenario scenario = {0};
    struct err err = {0};
    support_free();
    arena = arena_new(SCENARIO_ARENA_BYTES);
    assert_non_null(arena);
    if (scenario_parse(arena, str_from(text), "test", &scenario, &err) != 0)
        fail_msg("%s", err.message);
    return scenario;
}

void support_free(void)
{
    arena_free(arena);
    arena = NULL;
}

int support_make_directory(char path[64])
{
    const char *base = getenv("TMPDIR");
    if (!base || strlen(base) > 40)
        base = "/tmp";
    (void)snprintf(path, 64, "%s/sim-test-XXXXXX", base);
    assert_non_null(mkdtemp(path));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

void support_remove_directory(int fd, const char *path)
{
    close(fd);
    assert_int_equal(directory_remove(AT_FDCWD, path), 0);
}

const char *support_read(int dirfd, const char *path)
{
    static char buffer[65536];
    struct str text;
    if (fdio_read_at(dirfd, path, buffer, sizeof(buffer) - 1, &text) != 0)
        fail_msg("cannot read %s", path);
    buffer[text.n] = '\0';
    return buffer;
}
