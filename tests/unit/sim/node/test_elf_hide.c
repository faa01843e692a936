/* Hiding symbols, tried with the real loader on a library built for this test. */
#include "sim/node/elf_hide.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "sim/node/directory.h"
#include "support.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LIBRARY_BYTES_MAX = 1 << 20 };

static const char *const absent[] = {"nvmlDeviceGetMemoryInfo_v2", "nvmlNotThere"};
static char image[LIBRARY_BYTES_MAX];
static size_t image_bytes;

static void load_image(void)
{
    struct str text;
    assert_int_equal(
        fdio_read_at(AT_FDCWD, HIDDEN_SYMBOLS_LIBRARY, image, sizeof(image), &text), 0);
    image_bytes = text.n;
}

static void hidden_symbol_is_not_found(void **state)
{
    (void)state;
    char folder[64];
    char path[128];
    struct err err = {0};
    int fd = support_make_directory(folder);
    load_image();
    assert_int_equal(elf_hide_symbols((uint8_t *)image, image_bytes, absent,
                                      ARRAY_LENGTH(absent), &err),
                     0);
    assert_int_equal(directory_write(fd, "x.so", (struct str){image, image_bytes}, 0755),
                     0);
    (void)snprintf(path, sizeof(path), "%s/x.so", folder);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
    assert_null(dlsym(library, "nvmlDeviceGetMemoryInfo_v2"));
    assert_non_null(dlsym(library, "nvmlDeviceGetName"));
    dlclose(library);
    support_remove_directory(fd, folder);
}

static void not_a_library(void **state)
{
    (void)state;
    struct err err = {0};
    uint8_t text[] = "#!/bin/sh\n";
    assert_int_equal(elf_hide_symbols(text, sizeof(text), absent, 2, &err), -ENOEXEC);
    assert_non_null(strstr(err.message, "shared library"));
    assert_int_equal(elf_hide_symbols(text, 0, absent, 2, &err), -ENOEXEC);
}

/* Cut anywhere, and with any of its offsets pointing outside: refused or survived, but no
 * byte outside is touched (the sanitizer watches the exact copy). */
static void damaged_library(void **state)
{
    (void)state;
    struct err err;
    load_image();
    for (size_t size = 0; size < image_bytes; size += 97) {
        uint8_t *part = malloc(size + 1);
        assert_non_null(part);
        memcpy(part, image, size);
        uint8_t *exact = realloc(part, size ? size : 1);
        (void)elf_hide_symbols(exact, size, absent, 2, &err);
        free(exact);
    }
    Elf64_Ehdr header;
    memcpy(&header, image, sizeof(header));
    size_t table_bytes = (size_t)header.e_shnum * sizeof(Elf64_Shdr);
    for (size_t at = 0; at + 8 <= table_bytes; at += 4) {
        uint8_t *copy = malloc(image_bytes);
        assert_non_null(copy);
        memcpy(copy, image, image_bytes);
        memset(copy + header.e_shoff + at, 0xFF, 8);
        (void)elf_hide_symbols(copy, image_bytes, absent, 2, &err);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hidden_symbol_is_not_found),
        cmocka_unit_test(not_a_library),
        cmocka_unit_test(damaged_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
