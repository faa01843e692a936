/*
 * One loop: collect, show, wait. Whatever takes long (a collection, a wait) calls
 * mind_children() in between, which takes signals from a descriptor, looks after the
 * server and feeds systemd's watchdog, so that these never wait for the driver.
 */
#include "agent/daemon.h"

#include "agent/daemon_page.h"
#include "agent/notify.h"
#include "agent/server_process.h"
#include "agent/supervisor.h"
#include "agent/usage.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "output/textfile.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_SECOND UINT64_C(1000000000)

/* Rows are shown until the interval has passed this often without an answer. */
enum { INTERVALS_UNTIL_STALE = 3 };

/* What is allocated in one piece of this size or more is given back when it is freed. */
enum { PAGE_BUFFER_BYTES = 128 << 10 };

/* Memory that this process and the collecting one see. Behind it lies the tracker. */
struct daemon_shared {
    struct daemon_status status;
    double answered_at_seconds; /* of struct cycle_memory */
};

/* What signals asked for. */
struct wishes {
    bool reload, release, resume;
};

struct daemon {
    const struct config *config;
    struct daemon_shared *shared;
    size_t shared_bytes;
    struct cycle_memory memory;       /* views of `shared` */
    struct server_counters *counters; /* shared with the server, and with it alone */
    struct supervisor *supervisor;
    struct server_process *server;
    struct notify notify;
    int signals;
    struct collection collection;
    struct page answered;       /* of the last collection that was answered */
    struct page unanswered;     /* of those since; empty while all goes well */
    struct page merged;         /* rows of `answered`, the rest of `unanswered` */
    struct buf notes;           /* last logged */
    struct err textfile;        /* why the last write failed; no message: it did not */
    uint64_t next_ns;           /* when the next collection begins */
    uint64_t duration_ns;       /* of the last collection */
    uint64_t released_until_ns; /* 0: it is not */
    bool is_stopping;
    bool has_warned_of_overrun;
    struct wishes wishes;
};

static bool is_released(const struct daemon *daemon)
{
    return clock_monotonic_ns() < daemon->released_until_ns;
}

static void read_signals(struct daemon *daemon)
{
    struct signalfd_siginfo info;
    while (read(daemon->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGHUP: daemon->wishes.reload = true; break;
        case SIGUSR1: daemon->wishes.release = true; break;
        case SIGUSR2: daemon->wishes.resume = true; break;
        default:
            log_line(&daemon->config->log, LOG_INFO, "ending on SIG%s",
                     sigabbrev_np((int)info.ssi_signo));
            daemon->is_stopping = true;
            break;
        }
    }
}

/* A server_process_tick: for while the server is waited for. */
static bool mind_signals(void *context)
{
    struct daemon *daemon = context;
    read_signals(daemon);
    notify_watchdog(&daemon->notify);
    return !daemon->is_stopping;
}

/* A supervisor_tick. */
static bool mind_children(void *context)
{
    struct daemon *daemon = context;
    if (mind_signals(daemon))
        server_process_check(daemon->server);
    return !daemon->is_stopping;
}

/* --- pages ------------------------------------------------------------------------- */

static void log_new_notes(struct daemon *daemon)
{
    const struct log *log = &daemon->config->log;
    struct str rest = buf_str(&daemon->collection.notes), line;
    if (str_equal(rest, buf_str(&daemon->notes)))
        return;
    buf_reset(&daemon->notes);
    buf_append(&daemon->notes, rest);
    if (!rest.n)
        log_line(log, LOG_INFO, "all sources answer");
    while (rest.n && str_split(&rest, '\n', &line)) {
        if (line.n)
            log_line(log, LOG_WARN, "%.*s", (int)line.n, line.p);
    }
}

/* Logs how it stands with the textfile when that is news. */
static void note_textfile(struct daemon *daemon, const struct err *err)
{
    const struct log *log = &daemon->config->log;
    if (strcmp(err->message, daemon->textfile.message) == 0)
        return;
    if (err->message[0])
        log_line(log, LOG_ERROR, "%s", err->message);
    else
        log_line(log, LOG_INFO, "%s is written again", daemon->config->textfile);
    daemon->textfile = *err;
}

/* What fails here is counted on the next page: this one is rendered. */
static void write_textfile(struct daemon *daemon, const struct page *page)
{
    struct err err = {0};
    const char *path = daemon->config->textfile;
    if (!path)
        return;
    if (textfile_write(path, daemon_page_textfile(page), &err) != 0)
        errors_add(supervisor_errors(daemon->supervisor), "textfile", "write_failed", 1);
    note_textfile(daemon, &err);
}

/* A word before the first page, of which the collection may take its time. */
static void check_textfile(struct daemon *daemon)
{
    struct err err = {0};
    const char *path = daemon->config->textfile;
    if (path && textfile_check(path, &err) != 0)
        note_textfile(daemon, &err);
}

/* The page of the collection that has just ended. Return: NULL when it gave none. */
static struct page *take_page(struct daemon *daemon, struct err *err)
{
    bool is_answered = daemon->collection.is_answered;
    struct page *page = is_answered ? &daemon->answered : &daemon->unanswered;
    if (daemon_page_take(page, &daemon->collection.body, err) != 0)
        return NULL;
    page->measured_at_ns = clock_monotonic_ns();
    uint64_t distance_ns = daemon->config->interval_ns > daemon->duration_ns
                               ? daemon->config->interval_ns
                               : daemon->duration_ns;
    page->expires_at_ns = page->measured_at_ns + INTERVALS_UNTIL_STALE * distance_ns;
    return page;
}

/* What was answered stands for itself; what was not leaves the last answer's rows for a
 * while. A driver that was let go on purpose has no sessions. Return: NULL without
 * memory.
 */
static const struct page *page_to_show(struct daemon *daemon, struct err *err)
{
    const struct page *page = take_page(daemon, err);
    if (page != &daemon->unanswered || is_released(daemon) ||
        clock_monotonic_ns() >= daemon->answered.expires_at_ns)
        return page;
    return daemon_page_merge(&daemon->merged, &daemon->answered, page, err) == 0
               ? &daemon->merged
               : NULL;
}

/* Takes the page of the collection that has just ended to its readers. */
static void show_page(struct daemon *daemon)
{
    struct err err = {0};
    const struct page *page = page_to_show(daemon, &err);
    if (!page) {
        log_line(&daemon->config->log, LOG_ERROR, "%s", err.message);
        return;
    }
    server_process_show(daemon->server, page);
    if (page == &daemon->answered) {
        page_done(&daemon->unanswered);
        page_done(&daemon->merged);
    }
    write_textfile(daemon, page);
    log_new_notes(daemon);
    struct str head = buf_str(&daemon->notes);
    ptrdiff_t end = str_find(head, '\n');
    notify_status(&daemon->notify, "%.*s", end > 0 ? (int)end : 18,
                  end > 0 ? head.p : "all sources answer");
}

/* --- collecting -------------------------------------------------------------------- */

static void refresh_status(struct daemon *daemon)
{
    struct daemon_shared *shared = daemon->shared;
    struct daemon_status *status = &shared->status;
    pid_t pids[] = {getpid(), server_process_pid(daemon->server),
                    supervisor_worker(daemon->supervisor)};
    double cpu_before = status->usage.cpu_seconds.v;
    struct value_double start = status->usage.start_time_seconds;
    status->server_restarts = server_process_restarts(daemon->server);
    status->is_driver_released = is_released(daemon);
    status->usage = usage_read(pids, ARRAY_LENGTH(pids));
    status->usage.start_time_seconds = start;
    /* The time of a stuck process is out of sight until it ends; a counter never falls.
     */
    if (status->usage.cpu_seconds.v < cpu_before)
        status->usage.cpu_seconds.v = cpu_before;
    for (size_t i = 0; i < REFUSED_COUNT; i++)
        status->refusals[i].count = atomic_load(&daemon->counters->refused[i]);
}

/* Once: what follows a long collection is late, and rows are shown longer. */
static void warn_of_overrun(struct daemon *daemon)
{
    if (daemon->duration_ns <= daemon->config->interval_ns ||
        !daemon->collection.is_answered || daemon->has_warned_of_overrun)
        return;
    daemon->has_warned_of_overrun = true;
    log_line(
        &daemon->config->log, LOG_WARN,
        "a collection took %.1f s, longer than --collect.interval (%g s); they follow "
        "one another without a pause",
        (double)daemon->duration_ns / 1e9, (double)daemon->config->interval_ns / 1e9);
}

static void collect(struct daemon *daemon)
{
    struct err err = {0};
    daemon->shared->status.collections++;
    refresh_status(daemon);
    uint64_t began_ns = clock_monotonic_ns();
    int rc = is_released(daemon)
                 ? supervisor_collect_without_driver(
                       daemon->supervisor,
                       "let go on request (SIGUSR1); SIGUSR2 or the end of "
                       "--driver.release-time takes it back",
                       &daemon->collection, &err)
                 : supervisor_collect(daemon->supervisor, &daemon->collection, &err);
    if (daemon->is_stopping)
        return;
    daemon->duration_ns = clock_monotonic_ns() - began_ns;
    warn_of_overrun(daemon);
    if (rc != 0)
        log_line(&daemon->config->log, LOG_ERROR, "%s", err.message);
    else
        show_page(daemon);
}

/* Something to be seen before the first collection has come to its end. */
static int show_first_page(struct daemon *daemon, struct err *err)
{
    refresh_status(daemon);
    int rc = supervisor_collect_without_driver(daemon->supervisor,
                                               "the first collection has not ended yet",
                                               &daemon->collection, err);
    if (rc == 0)
        rc = daemon_page_take(&daemon->unanswered, &daemon->collection.body, err);
    if (rc == 0) {
        daemon->unanswered.expires_at_ns = UINT64_MAX;
        server_process_show(daemon->server, &daemon->unanswered);
    }
    return rc;
}

/* --- signals and time -------------------------------------------------------------- */

static void release_driver(struct daemon *daemon)
{
    const struct config *config = daemon->config;
    if (config->driver_hold == HOLD_ALWAYS) {
        log_line(&config->log, LOG_WARN,
                 "SIGUSR1 has no effect with --driver.hold=always");
        return;
    }
    log_line(&config->log, LOG_INFO, "letting the driver go for %.0f s, or until SIGUSR2",
             (double)config->release_ns / 1e9);
    supervisor_end_worker(daemon->supervisor);
    daemon->released_until_ns = clock_monotonic_ns() + config->release_ns;
}

static void take_driver_back(struct daemon *daemon)
{
    const struct log *log = &daemon->config->log;
    if (is_released(daemon))
        log_line(log, LOG_INFO, "taking the driver back");
    else
        log_line(log, LOG_WARN, "SIGUSR2 has no effect: the driver is not let go");
    daemon->released_until_ns = 0;
}

static void reload(struct daemon *daemon)
{
    log_line(&daemon->config->log, LOG_INFO, "reloading");
    notify_reloading(&daemon->notify);
    supervisor_end_worker(daemon->supervisor);
    server_process_reload(daemon->server);
    notify_ready(&daemon->notify);
}

/* Return: whether there was something to obey. While that is done, more may come. */
static bool obey_signals(struct daemon *daemon)
{
    struct wishes wishes = daemon->wishes;
    daemon->wishes = (struct wishes){false};
    if (wishes.release)
        release_driver(daemon);
    if (wishes.resume)
        take_driver_back(daemon);
    if (wishes.reload)
        reload(daemon);
    if (!wishes.release && !wishes.resume && !wishes.reload)
        return false;
    daemon->next_ns = clock_monotonic_ns();
    return true;
}

/* Sleeps until something happens or the next collection is due, a second at most, and
 * not past the watchdog's patience. */
static void sleep_a_while(const struct daemon *daemon)
{
    uint64_t now = clock_monotonic_ns();
    uint64_t wait_ns = daemon->next_ns > now ? daemon->next_ns - now : 0;
    uint64_t share = notify_watchdog_share(&daemon->notify);
    uint64_t longest = share < NS_PER_SECOND ? share : NS_PER_SECOND;
    if (wait_ns > longest)
        wait_ns = longest;
    struct pollfd pollers[] = {
        {.fd = daemon->signals, .events = POLLIN},
        {.fd = server_process_fd(daemon->server)},
    };
    (void)poll(pollers, ARRAY_LENGTH(pollers),
               (int)((wait_ns + NS_PER_MS - 1) / NS_PER_MS));
}

/* Collections begin at fixed distances; a beginning that has passed is not made up for.
 */
static void plan_next(struct daemon *daemon)
{
    uint64_t now = clock_monotonic_ns();
    daemon->next_ns += daemon->config->interval_ns;
    if (daemon->next_ns < now)
        daemon->next_ns = now;
}

/* The end of --driver.release-time, which need not be that of an interval. */
static void end_release(struct daemon *daemon)
{
    if (!daemon->released_until_ns || is_released(daemon))
        return;
    log_line(&daemon->config->log, LOG_INFO, "taking the driver back");
    daemon->released_until_ns = 0;
    daemon->next_ns = clock_monotonic_ns();
}

static void loop(struct daemon *daemon)
{
    daemon->next_ns = clock_monotonic_ns();
    while (mind_children(daemon)) {
        if (obey_signals(daemon))
            continue;
        end_release(daemon);
        if (clock_monotonic_ns() < daemon->next_ns) {
            sleep_a_while(daemon);
            continue;
        }
        plan_next(daemon);
        collect(daemon);
    }
}

/* --- begin and end ----------------------------------------------------------------- */

static void init_status(struct daemon_status *status)
{
    for (size_t i = 0; i < REFUSED_COUNT; i++)
        (void)snprintf(status->refusals[i].reason, REFUSAL_WORD_BYTES, "%s",
                       server_refusal_name((enum server_refusal)i));
    status->refusal_count = REFUSED_COUNT;
    status->usage.start_time_seconds = value_double_ok(clock_wall_seconds());
}

/* Two pieces, so that neither child sees what is the other's. */
static int map_shared(struct daemon *daemon, struct err *err)
{
    const struct config *config = daemon->config;
    const int protection = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_ANONYMOUS;
    size_t own = (sizeof *daemon->shared + 63) / 64 * 64;
    daemon->shared_bytes = own + tracker_bytes(config->max_sessions);
    void *memory = mmap(NULL, daemon->shared_bytes, protection, flags, -1, 0);
    void *counters = mmap(NULL, sizeof *daemon->counters, protection, flags, -1, 0);
    if (memory == MAP_FAILED || counters == MAP_FAILED)
        return err_errno(err, errno, "no memory to share with the other processes");
    daemon->shared = memory;
    daemon->counters = counters;
    init_status(&daemon->shared->status);
    daemon->memory = (struct cycle_memory){
        .tracker = tracker_init((char *)memory + own, config->max_sessions,
                                config->idle_window_ns),
        .status = &daemon->shared->status,
        .answered_at_seconds = &daemon->shared->answered_at_seconds,
    };
    return 0;
}

/* The buffers of pages come and go. With the first one that is freed, the C library would
 * begin to take the next ones from the heap, and keep there what they leave behind. */
static void keep_pages_off_the_heap(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, PAGE_BUFFER_BYTES);
}

/* From here on the signals wait in a descriptor until somebody looks. */
static int catch_signals(struct daemon *daemon, struct err *err)
{
    static const int caught[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LENGTH(caught); i++)
        (void)sigaddset(&set, caught[i]);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    daemon->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return daemon->signals < 0 ? err_errno(err, errno, "cannot take signals") : 0;
}

static int start(struct daemon *daemon, const struct listeners *listeners,
                 struct err *err)
{
    const struct config *config = daemon->config;
    keep_pages_off_the_heap();
    check_textfile(daemon);
    int rc = map_shared(daemon, err);
    if (rc == 0)
        rc = catch_signals(daemon, err);
    if (rc < 0)
        return rc;
    struct server_config server = {
        .listeners = listeners->fds,
        .listener_count = listeners->count,
        .telemetry_path = config->telemetry_path,
        .web_config_file = config->web_config_file,
        .max_connections = config->max_connections,
        .request_limit_ns = SERVER_REQUEST_LIMIT_NS,
        .response_limit_ns = SERVER_RESPONSE_LIMIT_NS,
        .idle_limit_ns = SERVER_IDLE_LIMIT_NS,
        .awaits_page = true,
        .with_sandbox = !config->without_sandbox,
        .log = config->log,
        .counters = daemon->counters,
        .foreign = {{daemon->shared, daemon->shared_bytes}},
        .foreign_count = SERVER_FOREIGN_MAX,
        .parent = getpid(),
    };
    daemon->supervisor =
        supervisor_new(config, daemon_page_render, config, &daemon->memory);
    if (daemon->supervisor)
        server.foreign[1].address =
            supervisor_memory(daemon->supervisor, &server.foreign[1].bytes);
    daemon->server = server_process_new(&server);
    if (!daemon->server || !daemon->supervisor)
        return err_errno(err, ENOMEM, "cannot start");
    server_process_set_tick(daemon->server, mind_signals, daemon);
    supervisor_set_tick(daemon->supervisor, mind_children, daemon);
    rc = server_process_start(daemon->server, err);
    return rc == 0 ? show_first_page(daemon, err) : rc;
}

static void stop(struct daemon *daemon)
{
    const struct config *config = daemon->config;
    notify_stopping(&daemon->notify);
    supervisor_free(daemon->supervisor);
    server_process_free(daemon->server);
    if (config->removes_textfile && config->textfile && unlink(config->textfile) != 0 &&
        errno != ENOENT)
        log_line(&config->log, LOG_ERROR, "cannot remove %s: %s", config->textfile,
                 strerrordesc_np(errno));
    page_done(&daemon->answered);
    page_done(&daemon->unanswered);
    page_done(&daemon->merged);
    buf_done(&daemon->notes);
    collection_done(&daemon->collection);
    close_fdp(&daemon->signals);
    if (daemon->shared)
        (void)munmap(daemon->shared, daemon->shared_bytes);
    if (daemon->counters)
        (void)munmap(daemon->counters, sizeof *daemon->counters);
}

int daemon_run(const struct config *config, const struct listeners *listeners)
{
    struct err err = {0};
    struct daemon daemon = {
        .config = config,
        .signals = -1,
        .collection = COLLECTION_INIT,
        .answered = PAGE_INIT,
        .unanswered = PAGE_INIT,
        .merged = PAGE_INIT,
        .notes = BUF_INIT(COLLECTION_NOTES_BYTES),
    };
    notify_open(&daemon.notify);
    int rc = start(&daemon, listeners, &err);
    if (rc == 0) {
        notify_ready(&daemon.notify);
        loop(&daemon);
    } else if (daemon.is_stopping) {
        rc = 0; /* asked to end before it had begun */
    } else {
        log_line(&config->log, LOG_ERROR, "%s", err.message);
    }
    stop(&daemon);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
