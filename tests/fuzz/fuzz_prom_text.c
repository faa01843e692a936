/*
 * Any bytes as an exporter's page. The same bytes whole and in small pieces must give the
 * same samples; every reading that comes of them is a percentage.
 */
#include "source/dcgm/dcgm_page.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint64_t hash;
    struct dcgm_page page;
};

static void mix(struct seen *seen, struct str text)
{
    seen->hash = seen->hash * 31 + str_hash(text);
}

static bool look(void *context, const struct prom_sample *sample)
{
    struct seen *seen = context;
    if (sample->name.n == 0 || sample->label_count > PROM_MAX_LABELS)
        abort();
    mix(seen, sample->name);
    for (size_t i = 0; i < sample->label_count; i++) {
        if (sample->labels[i].name.n == 0)
            abort();
        mix(seen, sample->labels[i].name);
        mix(seen, sample->labels[i].value);
    }
    if (!isnan(sample->value)) /* not-a-number has many forms */
        mix(seen, (struct str){(const char *)&sample->value, sizeof sample->value});
    return dcgm_page_take(&seen->page, sample);
}

static void check_readings(const struct dcgm_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        for (size_t field = 0; field < DCGM_FIELD_COUNT; field++) {
            struct value_double value = page->readings[i].percent[field];
            if (value.state == VALUE_OK && !(value.v >= 0 && value.v <= 100))
                abort();
        }
    }
}

static uint64_t read_pieces(struct str text, size_t piece, struct seen *seen)
{
    static struct prom_parser parser;
    seen->hash = 0;
    dcgm_page_begin(&seen->page, 1.7e9);
    prom_parser_init(&parser, look, seen);
    while (text.n) {
        size_t n = text.n < piece ? text.n : piece;
        if (!prom_parser_feed(&parser, str_part(text, 0, n)))
            abort();
        text = str_part(text, n, text.n - n);
    }
    (void)prom_parser_end(&parser);
    check_readings(&seen->page);
    return seen->hash ^ parser.skipped << 32 ^ parser.samples;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seen seen;
    struct str text = {(const char *)data, size};
    uint64_t whole = read_pieces(text, size ? size : 1, &seen);
    if (whole != read_pieces(text, 1 + size % 7, &seen))
        abort();
    return 0;
}
