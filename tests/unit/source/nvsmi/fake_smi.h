/*
 * A stand-in for nvidia-smi: a shell script in a temporary folder of its own.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fake_smi {
    char folder[64];
    char program[96];
};

static inline void fake_smi_open(struct fake_smi *fake)
{
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(fake->folder, sizeof fake->folder, "%s/smi-XXXXXX",
                     tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    assert_true(n > 0 && (size_t)n < sizeof fake->folder);
    assert_non_null(mkdtemp(fake->folder));
    (void)snprintf(fake->program, sizeof fake->program, "%s/nvidia-smi", fake->folder);
}

/* The path of a file in the folder. */
static inline const char *fake_smi_path(const struct fake_smi *fake, const char *name,
                                        char path[128])
{
    (void)snprintf(path, 128, "%s/%s", fake->folder, name);
    return path;
}

static inline void fake_smi_write(const struct fake_smi *fake, const char *name,
                                  const char *content, mode_t mode)
{
    char path[128];
    FILE *file = fopen(fake_smi_path(fake, name, path), "we");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* Makes the program a script that starts with a cd into the folder. */
static inline void fake_smi_script(const struct fake_smi *fake, const char *body)
{
    char text[8192];
    int n = snprintf(text, sizeof text, "#!/bin/sh\ncd %s || exit 99\n%s\n", fake->folder,
                     body);
    assert_true(n > 0 && (size_t)n < sizeof text);
    fake_smi_write(fake, "nvidia-smi", text, 0755);
}

/* The content of a file that the script wrote; "" when there is none. */
static inline struct str fake_smi_read(const struct fake_smi *fake, const char *name,
                                       char *buffer, size_t capacity)
{
    char path[128];
    FILE *file = fopen(fake_smi_path(fake, name, path), "re");
    size_t n = file ? fread(buffer, 1, capacity, file) : 0;
    if (file)
        (void)fclose(file);
    return (struct str){buffer, n};
}

static inline void fake_smi_close(struct fake_smi *fake)
{
    static const char *const names[] = {"nvidia-smi", "calls", "gpus", "apps",
                                        "pmon",       "env",   "pid",  "sub"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)remove(fake_smi_path(fake, names[i], path));
    assert_int_equal(rmdir(fake->folder), 0);
}
