/*
 * Feeds every file of a corpus directory through a fuzz target, so that what fuzzing once
 * found is tested for ever, with any compiler and any sanitizer.
 */
#include "base/cleanup.h"
#include "base/fdio.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGEST_INPUT_BYTES = 1 << 20 };

static int replay_file(int dirfd, const char *name)
{
    char *buffer = malloc(LARGEST_INPUT_BYTES);
    struct str text;
    if (!buffer || fdio_read_at(dirfd, name, buffer, LARGEST_INPUT_BYTES, &text) != 0) {
        (void)fprintf(stderr, "cannot read corpus file %s\n", name);
        free(buffer);
        return -1;
    }
    /* An exact-size copy, so that the sanitizer sees one byte too far. */
    uint8_t *exact = malloc(text.n ? text.n : 1);
    if (exact && text.n)
        memcpy(exact, text.p, text.n);
    int rc = exact ? LLVMFuzzerTestOneInput(exact, text.n) : -1;
    free(exact);
    free(buffer);
    return rc;
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (!dir) {
        (void)fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]);
        return 2;
    }
    unsigned count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        if (replay_file(dirfd(dir), entry->d_name) != 0)
            return 1;
        count++;
    }
    closedir(dir);
    (void)printf("%u inputs\n", count);
    return count > 0 ? 0 : 1; /* an empty corpus tests nothing */
}
