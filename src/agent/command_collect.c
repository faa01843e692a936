/*
 * gpu-sessions collect: the CronJob's work. Collections of one run start at fixed
 * distances, whatever each one takes, because cron cannot express seconds.
 */
#include "agent/commands.h"
#include "agent/supervisor.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "output/prom.h"
#include "output/textfile.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static int render_prom(const struct snapshot *snapshot, const void *context,
                       struct buf *out)
{
    const struct config *config = context;
    struct prom_options options = {.without_volatile_labels =
                                       config->without_volatile_labels};
    prom_render(snapshot, &options, out);
    return 0;
}

static void log_notes(const struct config *config, struct str notes)
{
    struct str line;
    while (str_split(&notes, '\n', &line)) {
        if (line.n)
            log_line(&config->log, LOG_WARN, "%.*s", (int)line.n, line.p);
    }
}

static int write_page(const struct config *config, struct str page)
{
    struct err err = {0};
    int rc = config->textfile ? textfile_write(config->textfile, page, &err)
                              : fdio_write_all(STDOUT_FILENO, page);
    if (rc != 0 && !config->textfile)
        (void)err_errno(&err, -rc, "cannot write to standard output");
    if (rc != 0)
        log_line(&config->log, LOG_ERROR, "%s", err.message);
    return rc;
}

static bool collect_once(struct supervisor *supervisor, const struct config *config,
                         struct collection *collection)
{
    struct err err = {0};
    if (supervisor_collect(supervisor, collection, &err) != 0) {
        log_line(&config->log, LOG_ERROR, "%s", err.message);
        return false;
    }
    log_notes(config, buf_str(&collection->notes));
    return write_page(config, buf_str(&collection->body)) == 0 && collection->is_complete;
}

/* Sleeps until the next start; a start that has passed is not made up for. */
static void sleep_until_next(struct timespec *start, uint64_t interval_ns)
{
    const int64_t second = 1000000000;
    int64_t nanoseconds = start->tv_nsec + (int64_t)(interval_ns % (uint64_t)second);
    start->tv_sec += (time_t)(interval_ns / (uint64_t)second) + nanoseconds / second;
    start->tv_nsec = nanoseconds % second;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    bool has_passed = now.tv_sec > start->tv_sec ||
                      (now.tv_sec == start->tv_sec && now.tv_nsec >= start->tv_nsec);
    if (has_passed) {
        *start = now;
        return;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, start, NULL) == EINTR) {
    }
}

int command_collect(const struct config *config)
{
    CLEANUP(supervisor_freep)
    struct supervisor *supervisor = supervisor_new(config, render_prom, config);
    if (!supervisor) {
        log_line(&config->log, LOG_ERROR, "no memory to start");
        return EXIT_FAILURE;
    }
    struct collection collection = {.body = BUF_INIT(PROM_PAGE_BYTES),
                                    .notes = BUF_INIT(PROM_PAGE_BYTES)};
    bool all_complete = true;
    struct timespec start;
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    for (uint64_t i = 0; i < config->count; i++) {
        if (i > 0)
            sleep_until_next(&start, config->interval_ns);
        if (!collect_once(supervisor, config, &collection))
            all_complete = false;
    }
    buf_done(&collection.body);
    buf_done(&collection.notes);
    return all_complete ? EXIT_SUCCESS : EXIT_FAILURE;
}
