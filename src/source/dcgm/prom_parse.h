/*
 * The Prometheus text format 0.0.4 (and what OpenMetrics adds to it) read as a stream:
 * pieces in, samples out, one at a time, without an allocation.
 *
 * Bounded: a line longer than PROM_LINE_BYTES and one with more than PROM_MAX_LABELS
 * labels are left out and counted, as is everything that is no sample. What was left out
 * never changes the samples around it.
 */
#pragma once

#include "base/str.h"

enum { PROM_LINE_BYTES = 8 << 10, PROM_MAX_LABELS = 64 };

struct prom_label {
    struct str name;
    struct str value; /* without the escapes; any bytes */
};

/* Views into the parser: valid until the sink returns. */
struct prom_sample {
    struct str name;
    const struct prom_label *labels;
    size_t label_count;
    double value; /* NaN and infinities as they came */
    bool has_timestamp;
    double timestamp_seconds; /* Unix time; the format's milliseconds are converted */
};

/* Return: false to stop. */
typedef bool prom_sink(void *context, const struct prom_sample *sample);

struct prom_parser {
    prom_sink *sink;
    void *context;
    uint64_t samples; /* handed to the sink */
    uint64_t skipped; /* lines that are no samples, or beyond a bound */
    bool is_stopped;
    bool is_overlong; /* the line being read; its rest is dropped */
    size_t length;
    char line[PROM_LINE_BYTES];
    struct prom_label labels[PROM_MAX_LABELS];
};

void prom_parser_init(struct prom_parser *parser, prom_sink *sink, void *context);

/* Takes the next piece, cut anywhere. Return: false once the sink wants no more. */
bool prom_parser_feed(struct prom_parser *parser, struct str piece);

/* The input is over: reads a last line that has no line feed. */
bool prom_parser_end(struct prom_parser *parser);

/* The value of label NAME; p is NULL when the sample has none. */
struct str prom_label_value(const struct prom_sample *sample, struct str name);
