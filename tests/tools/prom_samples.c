/*
 * Standard input as our parser reads it, for comparison with the official one. One
 * sample: its name, value and labels, each ended by a NUL; a field of the byte 1 ends the
 * sample. The last field is the number of lines left out.
 */
#include "base/cleanup.h"
#include "source/dcgm/prom_parse.h"

#include <inttypes.h>
#include <stdio.h>

static void put(struct str text)
{
    (void)fwrite(text.p, 1, text.n, stdout);
    (void)putchar('\0');
}

static bool print(void *context, const struct prom_sample *sample)
{
    (void)context;
    put(sample->name);
    (void)printf("%.17g%c", sample->value, '\0');
    for (size_t i = 0; i < sample->label_count; i++) {
        put(sample->labels[i].name);
        put(sample->labels[i].value);
    }
    put(STR("\x01"));
    return true;
}

int main(void)
{
    static struct prom_parser parser;
    char bytes[777]; /* so that lines are cut anywhere */
    size_t n;
    prom_parser_init(&parser, print, NULL);
    while ((n = fread(bytes, 1, sizeof bytes, stdin)) > 0)
        (void)prom_parser_feed(&parser, (struct str){bytes, n});
    (void)prom_parser_end(&parser);
    (void)printf("%" PRIu64, parser.skipped);
    return 0;
}
