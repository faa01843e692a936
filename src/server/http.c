/*
 * Requests and their routes, on libmicrohttpd: one of its daemons per listening socket,
 * all driven from one loop, so nothing here runs twice at a time.
 *
 * What bounds a client: memory per connection (the library's pool), the number of
 * connections and their time (connections.h). The library has a bound on connections too;
 * it lies higher, because at that bound it would let newcomers wait.
 */
#include "server/http.h"

#include "base/cleanup.h"
#include "server/answers.h"
#include "server/connections.h"
#include "server/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The least that takes 8 KiB of request line and headers, a hundred of them, beside the
 * answer's own headers; what is longer gets 414 or 431. */
enum { CONNECTION_MEMORY_BYTES = 15 * 1024 };
enum { READINESS_MAX_BYTES = 65536 };

struct http {
    const struct server_config *config;
    struct http_setup setup;
    struct content *content;
    struct answers answers;
    struct extra_headers extra;
    struct connections connections;
    struct MHD_Daemon *daemons[HTTP_MAX_LISTENERS];
    uint64_t now_ns; /* one time for all that happens in one http_run() */
};

/* --- routes --------------------------------------------------------------------------
 */

static struct str header_of(struct MHD_Connection *request, const char *name)
{
    const char *value = MHD_lookup_connection_value(request, MHD_HEADER_KIND, name);
    return value ? str_from(value) : STR("");
}

static struct connection *connection_of(struct MHD_Connection *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static enum MHD_Result answer_document(struct http *http, struct MHD_Connection *request,
                                       enum document document)
{
    if (!content_page(http->content))
        return answers_queue(&http->answers, request, ANSWER_NO_COLLECTION);
    enum coding coding =
        negotiate_coding(header_of(request, MHD_HTTP_HEADER_ACCEPT_ENCODING));
    struct MHD_Response *response =
        content_response(http->content, document, coding, http->now_ns);
    if (!response)
        return answers_queue(&http->answers, request, ANSWER_NO_MEMORY);
    return MHD_queue_response(request, MHD_HTTP_OK, response);
}

static enum MHD_Result answer_metrics(struct http *http, struct MHD_Connection *request)
{
    enum exposition exposition =
        negotiate_exposition(header_of(request, MHD_HTTP_HEADER_ACCEPT));
    return answer_document(http, request,
                           exposition == EXPOSITION_OPENMETRICS ? DOCUMENT_OPENMETRICS
                                                                : DOCUMENT_TEXT);
}

static enum MHD_Result answer_sessions(struct http *http, struct MHD_Connection *request)
{
    return answer_document(http, request, DOCUMENT_SESSIONS);
}

static enum MHD_Result answer_devices(struct http *http, struct MHD_Connection *request)
{
    return answer_document(http, request, DOCUMENT_DEVICES);
}

static enum MHD_Result answer_health(struct http *http, struct MHD_Connection *request)
{
    return answers_queue(&http->answers, request, ANSWER_HEALTHY);
}

static enum MHD_Result answer_not_ready(struct http *http, struct MHD_Connection *request,
                                        struct buf *why)
{
    struct MHD_Response *response =
        buf_is_full(why) ? NULL : answers_make_text(why, &http->extra);
    if (!response)
        return answers_queue(&http->answers, request, ANSWER_NO_MEMORY);
    enum MHD_Result result =
        MHD_queue_response(request, MHD_HTTP_SERVICE_UNAVAILABLE, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_readiness(struct http *http, struct MHD_Connection *request)
{
    const struct page *page = content_page(http->content);
    if (!page)
        return answers_queue(&http->answers, request, ANSWER_NO_COLLECTION);
    CLEANUP(buf_done) struct buf why = BUF_INIT(READINESS_MAX_BYTES);
    buf_append(&why, page_part(page, PART_NOT_READY));
    if (content_is_stale(http->content, http->now_ns))
        buf_printf(&why, "nothing was collected for %.0f seconds\n",
                   (double)(http->now_ns - page->measured_at_ns) / 1e9);
    if (why.len == 0)
        return answers_queue(&http->answers, request, ANSWER_READY);
    return answer_not_ready(http, request, &why);
}

static enum MHD_Result answer_landing(struct http *http, struct MHD_Connection *request)
{
    return answers_queue(&http->answers, request, ANSWER_LANDING);
}

static const struct route {
    const char *path;
    enum MHD_Result (*answer)(struct http *http, struct MHD_Connection *request);
} routes[] = {
    {"/healthz", answer_health},
    {"/readyz", answer_readiness},
    {"/api/v1/sessions", answer_sessions},
    {"/api/v1/devices", answer_devices},
    {"/", answer_landing},
};

static enum MHD_Result answer_path(struct http *http, struct MHD_Connection *request,
                                   const char *path)
{
    if (strcmp(path, http->config->telemetry_path) == 0)
        return answer_metrics(http, request);
    for (size_t i = 0; i < ARRAY_LENGTH(routes); i++) {
        if (strcmp(path, routes[i].path) == 0)
            return routes[i].answer(http, request);
    }
    return answers_queue(&http->answers, request, ANSWER_NOT_FOUND);
}

static bool has_body(struct MHD_Connection *request)
{
    struct str length = header_of(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return header_of(request, MHD_HTTP_HEADER_TRANSFER_ENCODING).n > 0 ||
           (length.n > 0 && !str_equal(length, STR("0")));
}

static enum gate_verdict ask_gate(struct http *http, struct MHD_Connection *request,
                                  struct connection *connection)
{
    const struct http_gate *gate = &http->setup.gate;
    return gate->ask ? gate->ask(gate->context, request, &connection->gate_state)
                     : GATE_GRANTED;
}

static enum MHD_Result answer(struct http *http, struct MHD_Connection *request,
                              const char *path, const char *method)
{
    if (strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
        strcmp(method, MHD_HTTP_METHOD_HEAD) == 0)
        return answer_path(http, request, path);
    server_count(http->config->counters, REFUSED_METHOD);
    return answers_queue(&http->answers, request, ANSWER_METHOD);
}

/* The library calls this when the headers are there, when the (empty) body is at its end,
 * and again after a suspension. An answer to the first of these calls ends the
 * connection: the library then does not look for the body. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *request,
                                  const char *url, const char *method,
                                  const char *version, const char *upload,
                                  size_t *upload_bytes, void **state)
{
    (void)version;
    (void)upload;
    *upload_bytes = 0; /* what came of a body is dropped */
    struct http *http = context;
    struct connection *connection = connection_of(request);
    if (!connection)
        return MHD_NO;
    bool is_first_call = *state == NULL;
    *state = connection;
    connections_start_response(&http->connections, connection, http->now_ns);
    if (is_first_call)
        return has_body(request) ? answers_queue(&http->answers, request, ANSWER_BODY)
                                 : MHD_YES;
    connection->page_number = content_page_number(http->content);
    switch (ask_gate(http, request, connection)) {
    case GATE_GRANTED: return answer(http, request, url, method);
    case GATE_UNAUTHORIZED:
        return answers_queue(&http->answers, request, ANSWER_UNAUTHORIZED);
    case GATE_TOO_MANY: return answers_queue(&http->answers, request, ANSWER_TOO_MANY);
    case GATE_BUSY: return answers_queue(&http->answers, request, ANSWER_BUSY);
    case GATE_SUSPENDED: return MHD_YES;
    }
    return MHD_NO;
}

/* --- what the library tells ----------------------------------------------------------
 */

static void on_completed(void *context, struct MHD_Connection *request, void **state,
                         enum MHD_RequestTerminationCode code)
{
    (void)state;
    (void)code;
    struct http *http = context;
    struct connection *connection = connection_of(request);
    if (!connection)
        return;
    if (connection->gate_state)
        http->setup.gate.forget(http->setup.gate.context, TAKE(connection->gate_state));
    connections_end_response(&http->connections, connection, http->now_ns);
}

static void close_connection(struct http *http, struct connection *connection)
{
    if (connection && connection->gate_peer)
        http->setup.gate.close(http->setup.gate.context, TAKE(connection->gate_peer));
    connections_close(&http->connections, connection);
}

static void on_connection(void *context, struct MHD_Connection *request, void **state,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http *http = context;
    const struct http_gate *gate = &http->setup.gate;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        close_connection(http, TAKE(*state));
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *connection =
        info ? connections_open(&http->connections, info->connect_fd, http->now_ns)
             : NULL;
    *state = connection;
    if (connection && gate->open)
        gate->open(gate->context, request, &connection->gate_peer);
}

/* The library reports a request that it answers itself only here. */
__attribute__((format(printf, 2, 0))) static void on_log(void *context,
                                                         const char *format, va_list list)
{
    struct http *http = context;
    char line[256];
    if (str_starts(str_from(format), STR("Error processing request")))
        server_count(http->config->counters, REFUSED_MALFORMED);
    if (http->config->log.level > LOG_DEBUG)
        return;
    (void)vsnprintf(line, sizeof line, format, list);
    log_line(&http->config->log, LOG_DEBUG, "http: %s", line);
}

/* --- daemons -------------------------------------------------------------------------
 */

/* On a descriptor of its own, which the library closes: the socket outlives it. */
static struct MHD_Daemon *start_daemon(struct http *http, const struct http_setup *setup,
                                       int listener)
{
    static const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    CLEANUP(close_fdp) int fd = fcntl(listener, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags | setup->flags, 0, NULL, NULL, on_request, http, /* first: it is used by
                                                                  the options below */
        MHD_OPTION_EXTERNAL_LOGGER, on_log, http, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
        MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)(http->config->max_connections + HTTP_SPARE_CONNECTIONS),
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, http, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_ARRAY,
        setup->options ? setup->options : none, MHD_OPTION_END);
    if (daemon)
        (void)take_fd(&fd);
    return daemon;
}

static void stop_daemons(struct MHD_Daemon **daemons)
{
    for (size_t i = 0; i < HTTP_MAX_LISTENERS; i++) {
        struct MHD_Daemon *daemon = TAKE(daemons[i]);
        if (daemon)
            MHD_stop_daemon(daemon);
    }
}

static void stop_serving(struct http *http)
{
    if (http->setup.gate.resume_all)
        http->setup.gate.resume_all(http->setup.gate.context);
    stop_daemons(http->daemons);
}

static int start_daemons(struct http *http, const struct http_setup *setup,
                         struct MHD_Daemon **daemons, struct err *err)
{
    for (size_t i = 0; i < http->config->listener_count; i++) {
        daemons[i] = start_daemon(http, setup, http->config->listeners[i]);
        if (!daemons[i]) {
            stop_daemons(daemons);
            return err_set(err, EIO, ERR_ERRNO, EIO,
                           "the HTTP library refuses to serve listening socket %zu", i);
        }
    }
    return 0;
}

int http_restart(struct http *http, const struct http_setup *setup, struct err *err)
{
    struct MHD_Daemon *daemons[HTTP_MAX_LISTENERS] = {NULL};
    int rc = start_daemons(http, setup, daemons, err);
    if (rc < 0)
        return rc;
    stop_serving(http);
    memcpy(http->daemons, daemons, sizeof daemons);
    http->setup = *setup;
    return 0;
}

static int init(struct http *http, const struct http_setup *setup, struct err *err)
{
    const struct server_config *config = http->config;
    http->connections = (struct connections){
        .max_count = config->max_connections,
        .request_limit_ns = config->request_limit_ns,
        .response_limit_ns = config->response_limit_ns,
        .idle_limit_ns = config->idle_limit_ns,
        .counters = config->counters,
    };
    connections_init(&http->connections);
    http->content = content_new();
    int rc = answers_init(&http->answers, config->telemetry_path, &http->extra);
    if (rc < 0 || !http->content)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory to serve HTTP");
    return http_restart(http, setup, err);
}

struct http *http_new(const struct server_config *config, const struct http_setup *setup,
                      struct err *err)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http) {
        (void)err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory to serve HTTP");
        return NULL;
    }
    http->config = config;
    if (init(http, setup, err) == 0)
        return http;
    http_free(http);
    return NULL;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    stop_serving(http);
    content_free(http->content);
    answers_done(&http->answers);
    free(http);
}

int http_set_headers(struct http *http, const struct extra_headers *extra,
                     struct err *err)
{
    struct answers answers;
    http->extra = *extra;
    content_set_headers(http->content, extra);
    if (answers_init(&answers, http->config->telemetry_path, extra) < 0) {
        answers_done(&answers);
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "no memory to serve HTTP");
    }
    answers_done(&http->answers);
    http->answers = answers;
    return 0;
}

int http_set_page(struct http *http, struct page *page, struct err *err)
{
    int rc = content_set_page(http->content, page, err);
    uint64_t number = content_page_number(http->content);
    if (rc == 0 && number > CONTENT_MAX_OLD_PAGES)
        connections_end_readers(&http->connections, number - CONTENT_MAX_OLD_PAGES - 1);
    return rc;
}

/* --- the loop's side -----------------------------------------------------------------
 */

size_t http_poll_fds(const struct http *http, struct pollfd *fds)
{
    size_t count = http->config->listener_count;
    for (size_t i = 0; i < count; i++) {
        const union MHD_DaemonInfo *info =
            MHD_get_daemon_info(http->daemons[i], MHD_DAEMON_INFO_EPOLL_FD);
        fds[i] = (struct pollfd){.fd = info->epoll_fd, .events = POLLIN};
    }
    return count;
}

int http_timeout_ms(const struct http *http, uint64_t now_ns)
{
    for (size_t i = 0; i < http->config->listener_count; i++) {
        MHD_UNSIGNED_LONG_LONG ms;
        /* No time limit is set in the library: when it names one, it has work to do. */
        if (MHD_get_timeout(http->daemons[i], &ms) == MHD_YES)
            return 0;
    }
    if (http->connections.count == 0)
        return -1;
    uint64_t next_ns = http->connections.next_sweep_ns;
    return next_ns > now_ns ? (int)((next_ns - now_ns) / 1000000 + 1) : 0;
}

void http_run(struct http *http, uint64_t now_ns)
{
    http->now_ns = now_ns;
    for (size_t i = 0; i < http->config->listener_count; i++)
        (void)MHD_run(http->daemons[i]);
    connections_sweep(&http->connections, now_ns);
}
