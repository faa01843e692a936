/* The gate and the restart on the same sockets, with a client in the same process. The
 * routes and bounds are tested from outside, by tests/scenario/test_server.py. */
#include "server/http.h"

#include "../../support/cmocka_all.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

struct gate {
    enum gate_verdict verdict;
    struct MHD_Connection *suspended;
    unsigned asked;
    unsigned forgotten;
};

struct fixture {
    struct server_config config;
    struct server_counters counters;
    struct gate gate;
    struct http_setup setup;
    struct http *http;
    int listener;
    struct sockaddr_in address;
};

static enum gate_verdict ask(void *context, struct MHD_Connection *connection,
                             void **state)
{
    struct gate *gate = context;
    gate->asked++;
    bool is_second = *state != NULL;
    *state = gate;
    if (gate->verdict == GATE_SUSPENDED && !is_second) {
        gate->suspended = connection;
        MHD_suspend_connection(connection);
        return GATE_SUSPENDED;
    }
    return gate->verdict == GATE_SUSPENDED ? GATE_GRANTED : gate->verdict;
}

static void forget(void *context, void *state)
{
    struct gate *gate = context;
    assert_ptr_equal(state, gate);
    gate->forgotten++;
}

static void resume_all(void *context)
{
    struct gate *gate = context;
    if (gate->suspended)
        MHD_resume_connection(TAKE(gate->suspended));
}

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.address.sin_family = AF_INET};
    socklen_t size = sizeof fixture.address;
    fixture.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fixture.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fixture.listener < 0 ||
        bind(fixture.listener, (struct sockaddr *)&fixture.address, size) != 0 ||
        listen(fixture.listener, 8) != 0 ||
        getsockname(fixture.listener, (struct sockaddr *)&fixture.address, &size) != 0)
        return 1;
    fixture.config = (struct server_config){
        .listeners = &fixture.listener,
        .listener_count = 1,
        .telemetry_path = "/healthz", /* wins over the route of that name */
        .max_connections = 8,
        .request_limit_ns = SERVER_REQUEST_LIMIT_NS,
        .response_limit_ns = SERVER_RESPONSE_LIMIT_NS,
        .idle_limit_ns = SERVER_IDLE_LIMIT_NS,
        .log = {.level = LOG_ERROR},
        .counters = &fixture.counters,
    };
    fixture.setup = (struct http_setup){.gate = {.ask = ask,
                                                 .forget = forget,
                                                 .resume_all = resume_all,
                                                 .context = &fixture.gate}};
    struct err err;
    fixture.http = http_new(&fixture.config, &fixture.setup, &err);
    *state = &fixture;
    return fixture.http == NULL;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    http_free(fixture->http);
    return close(fixture->listener);
}

static int send_request(struct fixture *fixture, struct str request)
{
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(
        connect(client, (struct sockaddr *)&fixture->address, sizeof fixture->address),
        0);
    assert_int_equal(send(client, request.p, request.n, MSG_NOSIGNAL), request.n);
    return client;
}

/* Serves until CLIENT has something to read (true), or nothing is left to do (false). */
static bool serve(struct fixture *fixture, int client, int patience_ms)
{
    for (;;) {
        struct pollfd fds[1 + HTTP_MAX_LISTENERS] = {{.fd = client, .events = POLLIN}};
        size_t count = 1 + http_poll_fds(fixture->http, fds + 1);
        int timeout_ms = http_timeout_ms(fixture->http, clock_monotonic_ns());
        if (poll(fds, count, timeout_ms == 0 ? 0 : patience_ms) == 0 && timeout_ms != 0)
            return false;
        if (fds[0].revents)
            return true;
        http_run(fixture->http, clock_monotonic_ns());
    }
}

static void assert_answer(struct fixture *fixture, int client, const char *status)
{
    char answer[512] = "";
    assert_true(serve(fixture, client, 10000));
    assert_true(recv(client, answer, sizeof answer - 1, 0) > 12);
    answer[12] = '\0';
    assert_string_equal(answer + 9, status);
}

#define GET(path) STR("GET " path " HTTP/1.1\r\nHost: x\r\n\r\n")

static void test_verdicts(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        enum gate_verdict verdict;
        const char *status;
    } cases[] = {{GATE_GRANTED, "404"},
                 {GATE_UNAUTHORIZED, "401"},
                 {GATE_TOO_MANY, "429"},
                 {GATE_BUSY, "503"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        fixture->gate.verdict = cases[i].verdict;
        CLEANUP(close_fdp) int client = send_request(fixture, GET("/nowhere"));
        assert_answer(fixture, client, cases[i].status);
        assert_int_equal(fixture->gate.asked, i + 1);
        assert_int_equal(fixture->gate.forgotten, i + 1);
    }
}

static void test_suspended_and_resumed(void **state)
{
    struct fixture *fixture = *state;
    fixture->gate.verdict = GATE_SUSPENDED;
    CLEANUP(close_fdp) int client = send_request(fixture, GET("/"));
    assert_false(serve(fixture, client, 50));
    assert_non_null(fixture->gate.suspended);
    resume_all(&fixture->gate);
    http_run(fixture->http, clock_monotonic_ns());
    assert_answer(fixture, client, "200");
    http_run(fixture->http, clock_monotonic_ns());
    assert_int_equal(fixture->gate.asked, 2);
    assert_int_equal(fixture->gate.forgotten, 1);
}

static void test_telemetry_path_wins(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(close_fdp) int client = send_request(fixture, GET("/healthz"));
    assert_answer(fixture, client, "503"); /* no page yet; the other route says 200 */
}

static void test_restart(void **state)
{
    struct fixture *fixture = *state;
    const struct http_setup open = {.options = NULL};
    struct err err;
    char byte;
    fixture->gate.verdict = GATE_SUSPENDED;
    CLEANUP(close_fdp) int old = send_request(fixture, GET("/"));
    assert_false(serve(fixture, old, 50));
    assert_int_equal(http_restart(fixture->http, &open, &err), 0);
    assert_int_equal(fixture->gate.forgotten, 1);
    assert_true(recv(old, &byte, 1, 0) <= 0);
    CLEANUP(close_fdp) int client = send_request(fixture, GET("/"));
    assert_answer(fixture, client, "200");
    assert_int_equal(fixture->gate.asked, 1);
}

/* A setup that cannot be used leaves the one in force alone. */
static void test_restart_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct http_setup impossible = {.flags = MHD_USE_INTERNAL_POLLING_THREAD |
                                                   MHD_USE_THREAD_PER_CONNECTION};
    struct err err;
    fixture->gate.verdict = GATE_GRANTED;
    assert_true(http_restart(fixture->http, &impossible, &err) < 0);
    CLEANUP(close_fdp) int client = send_request(fixture, GET("/"));
    assert_answer(fixture, client, "200");
    assert_int_equal(fixture->gate.asked, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_verdicts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_suspended_and_resumed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_telemetry_path_wins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restart_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
