/*
 * Asks for the page when it is due and judges it. A page that cannot be used is dropped
 * at once: values of before would look like values of now.
 *
 * What can be known of a page's age: the exporter writes no timestamps, and goes on
 * serving its last values when DCGM has stopped measuring. A GPU always uses energy, so a
 * page on which the energy counters (part of its default metrics) have not moved for
 * minutes is old. In a single run, and without these counters, age is not known.
 */
#include "source/dcgm.h"

#include "base/cleanup.h"
#include "source/backoff.h"
#include "source/dcgm/dcgm_fill.h"
#include "source/dcgm/dcgm_page.h"
#include "source/http_client.h"
#include "source/http_transfer.h"

#include <errno.h>
#include <stdlib.h>

#define SECOND_NS UINT64_C(1000000000)
/* A little less than ten seconds, so that a collection every ten finds it due. */
#define REFRESH_NS (UINT64_C(95) * SECOND_NS / 10)
#define LONGEST_BACKOFF_NS (300 * SECOND_NS)
#define LONGEST_BUDGET_NS SECOND_NS
/* Six of the exporter's default intervals. */
#define STANDSTILL_NS (180 * SECOND_NS)
#define MAX_PAGE_BYTES ((uint64_t)64 << 20)

enum { SHOWN_URL_BYTES = 256 };

struct dcgm_source {
    struct dcgm_config config;
    char shown_url[SHOWN_URL_BYTES]; /* without what may be a secret */
    struct http_client *client;      /* NULL until the first request */
    struct backoff backoff;
    uint64_t due_ns; /* of the next request */
    bool is_up;      /* the page can be used */
    struct err err;  /* why not */
    double energy;
    uint64_t energy_since_ns; /* when it was first seen */
    struct dcgm_watch watch;
    struct prom_parser parser;
    struct dcgm_page page;
};

struct dcgm_source *dcgm_open(const struct dcgm_config *config)
{
    struct dcgm_source *source = calloc(1, sizeof *source);
    if (!source)
        return NULL;
    source->config = *config;
    http_url_show(config->url, source->shown_url, sizeof source->shown_url);
    source->backoff =
        (struct backoff){.first_ns = REFRESH_NS, .longest_ns = LONGEST_BACKOFF_NS};
    return source;
}

void dcgm_close(struct dcgm_source *source)
{
    if (!source)
        return;
    http_client_close(source->client);
    free(source);
}

static bool feed(void *context, struct str piece)
{
    return prom_parser_feed(context, piece);
}

static int fetch(struct dcgm_source *source, uint64_t budget_ns, struct err *err)
{
    static const char *const headers[] = {"Accept: text/plain;version=0.0.4"};
    const struct http_request request = {
        .url = source->config.url,
        .headers = headers,
        .header_count = ARRAY_LENGTH(headers),
        .timeout_ns = budget_ns < LONGEST_BUDGET_NS ? budget_ns : LONGEST_BUDGET_NS,
        .max_body_bytes = MAX_PAGE_BYTES,
        .sink = feed,
        .sink_context = &source->parser,
    };
    struct http_answer answer = {0};
    int rc = source->client ? 0 : http_client_open(&source->client, err);
    if (rc == 0)
        rc = http_get(source->client, &request, &answer, err);
    if (rc == 0)
        rc = http_check_status(&request, &answer, err);
    return rc;
}

static void count(struct dcgm_source *source, const char *reason, uint64_t n)
{
    if (n)
        errors_add(source->config.errors, "dcgm", reason, n);
}

static void count_left_out(struct dcgm_source *source)
{
    count(source, "malformed_line", source->parser.skipped);
    count(source, "implausible", source->page.implausible);
    count(source, "old_sample", source->page.old);
    count(source, "too_many_instances", source->page.omitted);
}

/* Whether the energy counters have stood still for too long. */
static bool stands_still(struct dcgm_source *source, uint64_t now_ns)
{
    bool has_moved =
        source->page.energy < source->energy || source->page.energy > source->energy;
    if (has_moved || source->energy_since_ns == 0) {
        source->energy = source->page.energy;
        source->energy_since_ns = now_ns;
    }
    return source->energy > 0 && now_ns - source->energy_since_ns >= STANDSTILL_NS;
}

static bool has_readings(const struct dcgm_page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        for (size_t field = 0; field < DCGM_FIELD_COUNT; field++) {
            if (page->readings[i].percent[field].state == VALUE_OK)
                return true;
        }
    }
    return false;
}

/* Judges a page that was read in full. Return: NULL, or the word for what is wrong. */
static const char *judge(struct dcgm_source *source, uint64_t now_ns)
{
    const char *url = source->shown_url;
    if (source->parser.samples == 0) {
        (void)err_set(&source->err, EPROTO, ERR_PARSE, 0,
                      "%.120s: the answer is no page of metrics: name the exporter's "
                      "/metrics",
                      url);
        return "not_metrics";
    }
    if (!has_readings(&source->page)) {
        (void)err_set(&source->err, EPROTO, ERR_PARSE, 0,
                      "%.120s: no utilisation on the page: let the exporter collect "
                      "DCGM_FI_PROF_SM_ACTIVE or DCGM_FI_PROF_GR_ENGINE_ACTIVE",
                      url);
        return "no_utilization";
    }
    if (stands_still(source, now_ns)) {
        (void)err_set(&source->err, EPROTO, ERR_PARSE, 0,
                      "%.120s: the energy counters stand still: DCGM has stopped "
                      "measuring; restart the exporter",
                      url);
        return "stale";
    }
    return NULL;
}

static void refresh(struct dcgm_source *source, const struct dcgm_collection *collection)
{
    dcgm_page_begin(&source->page, collection->wall_seconds);
    prom_parser_init(&source->parser, dcgm_page_take, &source->page);
    int rc = fetch(source, collection->budget_ns, &source->err);
    const char *word = NULL;
    if (rc == 0) {
        (void)prom_parser_end(&source->parser);
        count_left_out(source);
        word = judge(source, collection->now_ns);
    } else {
        word = http_failure_word(rc);
    }
    source->is_up = word == NULL;
    if (source->is_up) {
        backoff_succeed(&source->backoff);
        source->due_ns = collection->now_ns + REFRESH_NS;
        return;
    }
    count(source, word, 1);
    source->due_ns = backoff_fail(&source->backoff, collection->now_ns);
}

/* A page that has no GPU of this node speaks of another one. */
static const char *foreign_page(struct dcgm_source *source, struct arena *arena)
{
    return arena_printf(arena,
                        "%.120s: no GPU on the page is one of this node's: name the "
                        "exporter of this node",
                        source->shown_url);
}

struct source_status dcgm_collect(struct dcgm_source *source, struct arena *arena,
                                  const struct dcgm_collection *collection)
{
    struct source_status status = {.name = "dcgm"};
    bool was_asked = collection->now_ns >= source->due_ns;
    dcgm_watch_update(&source->watch, collection);
    if (was_asked)
        refresh(source, collection);
    if (!source->is_up) {
        status.reason = arena_copy(arena, str_from(source->err.message));
        return status;
    }
    size_t found = dcgm_fill(&source->page, &source->watch, collection);
    status.is_up = found > 0 || collection->facts->device_count == 0;
    if (!status.is_up) {
        status.reason = foreign_page(source, arena);
        count(source, "other_node", was_asked);
    }
    return status;
}
