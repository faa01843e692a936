/*
 * The process around the HTTP server: what it keeps of its parent, and its loop over the
 * pipe and the network.
 */
#include "server/server.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "server/frame.h"
#include "server/http.h"
#include "server/sandbox.h"
#include "server/web_gate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Of each listening socket, beside the clients': itself, its double, epoll, and what the
 * HTTP library may hold beyond the bound. And of all: pipes, standard ones, libraries'.
 */
enum { LISTENER_DESCRIPTORS = HTTP_SPARE_CONNECTIONS + 4, OTHER_DESCRIPTORS = 32 };

struct server {
    struct server_config config;
    int frames;
    int acks;
    struct frame_reader reader;
    struct http *http;
    struct web_gate *gate;
    bool is_open; /* clients are answered */
};

/* --- the process ---------------------------------------------------------------------
 */

/* The parent decides when this process ends, by closing the pipe: a terminal and systemd
 * send their signals to all processes at once. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};
    for (size_t i = 0; i < ARRAY_LENGTH(ignored); i++)
        (void)signal(ignored[i], SIG_IGN);
}

static bool is_kept(const struct server *server, int fd)
{
    const struct server_config *config = &server->config;
    if (fd == server->frames || fd == server->acks)
        return true;
    for (size_t i = 0; i < config->listener_count; i++) {
        if (fd == config->listeners[i])
            return true;
    }
    return false;
}

static int highest_kept(const struct server *server)
{
    const struct server_config *config = &server->config;
    int highest = server->frames > server->acks ? server->frames : server->acks;
    for (size_t i = 0; i < config->listener_count; i++) {
        if (config->listeners[i] > highest)
            highest = config->listeners[i];
    }
    return highest;
}

static void close_other_descriptors(const struct server *server)
{
    int highest = highest_kept(server);
    for (int fd = STDERR_FILENO + 1; fd < highest; fd++) {
        if (!is_kept(server, fd))
            close(fd);
    }
    closefrom(highest + 1);
    CLEANUP(close_fdp) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(null, STDOUT_FILENO);
    }
}

/* A client more than there are descriptors for could not even be refused: as many are
 * taken as the hard limit allows. */
static void fit_descriptor_limit(struct server_config *config)
{
    struct rlimit limit;
    rlim_t others = OTHER_DESCRIPTORS + config->listener_count * LISTENER_DESCRIPTORS;
    rlim_t needed = config->max_connections + others;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return;
    limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= needed)
        return;
    config->max_connections = limit.rlim_cur > others ? limit.rlim_cur - others : 1;
    log_line(&config->log, LOG_WARN,
             "no more than %zu connections: the hard limit of open files is %llu",
             config->max_connections, (unsigned long long)limit.rlim_max);
}

/* A core would hold the TLS key. Only a limit of 1 refuses both kinds: it is too small
 * for a file, and a program that the kernel pipes cores to gets them at any limit but 1,
 * at 0 too (core(5)). Not PR_SET_DUMPABLE: with it the parent, which has no capability
 * either, could not count our descriptors. */
static void forbid_cores(const struct log *log)
{
    const struct rlimit no_core = {1, 1};
    if (setrlimit(RLIMIT_CORE, &no_core) != 0)
        log_line(log, LOG_WARN,
                 "a crash of the server may hand its memory, keys too, to the system's "
                 "core handler: the hard limit of core files is 0, set it to 1 "
                 "(systemd: LimitCORE=1)");
}

static bool set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* Return: false when this process has no reason to be any more. */
static bool settle(struct server *server)
{
    ignore_signals();
    (void)prctl(PR_SET_NAME, "gpu-sess-web");
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != server->config.parent) /* it ended before prctl took effect */
        return false;
    for (size_t i = 0; i < server->config.foreign_count; i++)
        (void)munmap(server->config.foreign[i].address, server->config.foreign[i].bytes);
    close_other_descriptors(server);
    fit_descriptor_limit(&server->config);
    forbid_cores(&server->config.log);
    return set_nonblocking(server->frames) && set_nonblocking(server->acks);
}

/* Landlock allows what lies below a folder, and below that one lies everything. */
static bool is_root(const char *directory)
{
    struct stat at, root;
    return stat(directory, &at) == 0 && stat("/", &root) == 0 &&
           at.st_dev == root.st_dev && at.st_ino == root.st_ino;
}

static void warn_of_root(const struct log *log, const struct sandbox_config *sandbox)
{
    for (size_t i = 0; i < sandbox->readable_count; i++) {
        if (!is_root(sandbox->readable[i]))
            continue;
        log_line(log, LOG_WARN,
                 "sandbox: every file stays readable for the server, because the web "
                 "configuration or a certificate lies directly in /: move it into a "
                 "folder of its own (--web.config.file)");
        return;
    }
}

/* Everything is open by now, and no other thread runs yet. */
static void lock_in(const struct server *server)
{
    const struct server_config *config = &server->config;
    const struct web_config *web = web_gate_config(server->gate);
    const char *readable[WEB_CONFIG_DIRECTORIES_MAX];
    const struct sandbox_config sandbox = {
        .readable = readable,
        .readable_count =
            web ? web_config_directories(web, readable, ARRAY_LENGTH(readable)) : 0};
    struct sandbox_report report;
    if (!config->with_sandbox) {
        log_line(&config->log, LOG_WARN, "sandbox: off");
        return;
    }
    warn_of_root(&config->log, &sandbox);
    bool holds = sandbox_enter(&sandbox, &report) == 0;
    log_line(&config->log, holds ? LOG_INFO : LOG_WARN, "sandbox: %s", report.words);
}

/* --- the loop ------------------------------------------------------------------------
 */

/* A parent that does not read them loses acks; it would wait for the next one. */
static void acknowledge(const struct server *server)
{
    const char ack = SERVER_ACK;
    ssize_t ignored = write(server->acks, &ack, 1);
    (void)ignored;
}

static void take_frame(struct server *server)
{
    struct err err = {0};
    struct frame_reader *reader = &server->reader;
    if (reader->header.kind == FRAME_PAGE &&
        http_set_page(server->http, &reader->page, &err) < 0)
        log_line(&server->config.log, LOG_WARN, "%s", err.message);
    server->is_open |= reader->header.kind == FRAME_PAGE;
    if (reader->header.kind == FRAME_RELOAD)
        web_gate_reload(server->gate, server->http);
    acknowledge(server);
}

/* Reads once, so that clients come to their turn during a long page. Return: 0; 1 at the
 * end of the pipe; negative when the pipe is of no use any more. */
static int read_frames(struct server *server, struct err *err)
{
    char *at;
    size_t want = frame_reader_want(&server->reader, &at);
    if (want == 0)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory for a new page");
    ssize_t n = read(server->frames, at, want);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : err_errno(err, errno, "read page");
    if (n == 0)
        return 1;
    int rc = frame_reader_got(&server->reader, (size_t)n, err);
    if (rc == FRAME_COMPLETE)
        take_frame(server);
    return rc < 0 ? rc : 0;
}

static int serve(struct server *server, struct err *err)
{
    acknowledge(server);
    for (;;) {
        struct pollfd fds[2 + HTTP_MAX_LISTENERS] = {
            {.fd = server->frames, .events = POLLIN},
            {.fd = web_gate_poll_fd(server->gate), .events = POLLIN}};
        size_t count = 2;
        if (server->is_open)
            count += http_poll_fds(server->http, fds + 2);
        if (poll(fds, count, http_timeout_ms(server->http, clock_monotonic_ns())) < 0 &&
            errno != EINTR)
            return err_errno(err, errno, "wait for requests");
        int rc = fds[0].revents ? read_frames(server, err) : 0;
        if (rc != 0)
            return rc;
        uint64_t now_ns = clock_monotonic_ns();
        web_gate_run(server->gate, server->http, now_ns);
        if (server->is_open)
            http_run(server->http, now_ns);
    }
}

static int start(struct server *server, struct err *err)
{
    int rc = web_gate_new(&server->config, &server->gate, err);
    if (rc != 0)
        return rc;
    const struct http_setup setup = web_gate_setup(server->gate);
    const struct extra_headers extra = web_gate_headers(server->gate);
    server->http = http_new(&server->config, &setup, err);
    if (!server->http)
        return -EIO;
    lock_in(server);
    rc = http_set_headers(server->http, &extra, err);
    return rc == 0 ? web_gate_start(server->gate, err) : rc;
}

int server_run(const struct server_config *config, int frames, int acks)
{
    struct err err = {0};
    struct server server = {
        .config = *config, .frames = frames, .acks = acks, .reader = FRAME_READER_INIT};
    server.is_open = !config->awaits_page;
    if (!settle(&server))
        return EXIT_FAILURE;
    int rc = start(&server, &err);
    if (rc == 0)
        rc = serve(&server, &err);
    if (rc < 0)
        log_line(&config->log, LOG_ERROR, "server: %s", err.message);
    http_free(server.http);
    web_gate_free(server.gate);
    frame_reader_done(&server.reader);
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
