/*
 * gpu-sessions collect: the CronJob's work. Collections of one run start at fixed
 * distances, whatever each one takes, because cron cannot express seconds.
 */
#include "agent/commands.h"
#include "agent/supervisor.h"
#include "base/cleanup.h"
#include "base/clock.h"
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

/* Sleeps until *START plus the interval; a start that has passed is not made up for. */
static void sleep_until_next(uint64_t *start_ns, uint64_t interval_ns)
{
    const uint64_t second = UINT64_C(1000000000);
    uint64_t now_ns = clock_monotonic_ns();
    *start_ns += interval_ns;
    if (*start_ns <= now_ns) {
        *start_ns = now_ns;
        return;
    }
    struct timespec until = {(time_t)(*start_ns / second), (long)(*start_ns % second)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

int command_collect(const struct config *config)
{
    CLEANUP(supervisor_freep)
    struct supervisor *supervisor = supervisor_new(config, render_prom, config, NULL);
    if (!supervisor) {
        log_line(&config->log, LOG_ERROR, "no memory to start");
        return EXIT_FAILURE;
    }
    CLEANUP(collection_done) struct collection collection = COLLECTION_INIT;
    bool all_complete = true;
    uint64_t start_ns = clock_monotonic_ns();
    for (uint64_t i = 0; i < config->count; i++) {
        if (i > 0)
            sleep_until_next(&start_ns, config->interval_ns);
        if (!collect_once(supervisor, config, &collection))
            all_complete = false;
    }
    return all_complete ? EXIT_SUCCESS : EXIT_FAILURE;
}
