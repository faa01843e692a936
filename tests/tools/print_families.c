/* The families that the program can print, one a line: name, type, help, by tabs. */
#include "output/prom.h"

#include <stdio.h>

int main(void)
{
    const struct prom_family *family;
    for (size_t i = 0; (family = prom_family_at(i)); i++)
        (void)printf("%s\t%s\t%s\n", family->name, family->type, family->help);
    return 0;
}
