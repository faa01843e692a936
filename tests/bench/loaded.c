/*
 * What any program pays in memory that has the driver's library loaded and initialised:
 *
 *   loaded LIBRARY
 *
 * prints a line when it is, and waits for the end of its standard input.
 */
#include "source/nvml/nvml_abi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    void *symbol = library ? dlsym(library, "nvmlInit_v2") : NULL;
    __typeof__(&nvmlInit_v2) init;
    memcpy(&init, &symbol, sizeof init);
    if (!symbol || init() != NVML_SUCCESS) {
        (void)fprintf(stderr, "usage: %s LIBRARY, one that can be initialised\n",
                      argv[0]);
        return 1;
    }
    (void)puts("loaded");
    (void)fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    return 0;
}
