/* Limits of time, the bound on connections, and who leaves first: on real sockets, with
 * the clock given. */
#include "server/connections.h"

#include "../../support/cmocka_all.h"
#include "base/cleanup.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_NS = 1000, RESPONSE_NS = 3000, IDLE_NS = 12000, MAX = 3 };

struct pair {
    int client;
    int server;
    struct connection *connection;
};

struct fixture {
    struct connections connections;
    struct server_counters counters;
    int listener;
    struct sockaddr_in address;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.address.sin_family = AF_INET};
    fixture.connections = (struct connections){.max_count = MAX,
                                               .request_limit_ns = REQUEST_NS,
                                               .response_limit_ns = RESPONSE_NS,
                                               .idle_limit_ns = IDLE_NS,
                                               .counters = &fixture.counters};
    connections_init(&fixture.connections);
    socklen_t size = sizeof fixture.address;
    fixture.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fixture.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *state = &fixture;
    return fixture.listener < 0 ||
           bind(fixture.listener, (struct sockaddr *)&fixture.address, size) != 0 ||
           listen(fixture.listener, 8) != 0 ||
           getsockname(fixture.listener, (struct sockaddr *)&fixture.address, &size) != 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    return close(fixture->listener);
}

static struct pair open_pair(struct fixture *fixture, uint64_t now_ns)
{
    struct pair pair = {.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(connect(pair.client, (struct sockaddr *)&fixture->address,
                             sizeof fixture->address),
                     0);
    pair.server = accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC);
    pair.connection = connections_open(&fixture->connections, pair.server, now_ns);
    assert_non_null(pair.connection);
    return pair;
}

static void close_pair(struct fixture *fixture, struct pair *pair)
{
    connections_close(&fixture->connections, pair->connection);
    close(pair->server);
    close(pair->client);
}

static void send_byte(const struct pair *pair)
{
    struct pollfd server = {.fd = pair->server, .events = POLLIN};
    assert_int_equal(send(pair->client, "x", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(poll(&server, 1, 10000), 1);
}

static bool is_ended(const struct pair *pair)
{
    char byte;
    return pair->connection->phase == PHASE_ENDED &&
           recv(pair->client, &byte, 1, MSG_DONTWAIT) <= 0;
}

static uint64_t refused(const struct fixture *fixture, enum server_refusal reason)
{
    return fixture->counters.refused[reason];
}

static void test_silent_from_the_start(void **state)
{
    struct fixture *fixture = *state;
    struct pair a = open_pair(fixture, 0);
    connections_sweep(&fixture->connections, REQUEST_NS - 1);
    assert_false(is_ended(&a));
    connections_sweep(&fixture->connections, 2 * REQUEST_NS);
    assert_true(is_ended(&a));
    assert_int_equal(refused(fixture, REFUSED_SLOW), 1);
    assert_int_equal(fixture->connections.count, 0);
    close_pair(fixture, &a);
}

/* Byte after byte does not buy time: it counts from the first. */
static void test_slow_request(void **state)
{
    struct fixture *fixture = *state;
    struct pair a = open_pair(fixture, 0);
    uint64_t now_ns = 0;
    for (; now_ns < REQUEST_NS + REQUEST_NS / 2; now_ns += REQUEST_NS / 4 + 1) {
        connections_sweep(&fixture->connections, now_ns);
        send_byte(&a);
    }
    assert_int_equal(a.connection->phase, PHASE_ENDED);
    assert_int_equal(refused(fixture, REFUSED_SLOW), 1);
    close_pair(fixture, &a);
}

/* After an answer there is time, until a byte of the next request comes. */
static void test_idle(void **state)
{
    struct fixture *fixture = *state;
    struct pair a = open_pair(fixture, 0);
    struct pair b = open_pair(fixture, 0);
    send_byte(&a);
    connections_start_response(&fixture->connections, a.connection, 0);
    connections_end_response(&fixture->connections, a.connection, 0);
    connections_start_response(&fixture->connections, b.connection, 0);
    connections_end_response(&fixture->connections, b.connection, 0);
    connections_sweep(&fixture->connections, IDLE_NS - 1);
    assert_int_equal(a.connection->phase, PHASE_WAITING);
    send_byte(&b);
    connections_sweep(&fixture->connections, IDLE_NS + REQUEST_NS / 2);
    assert_true(is_ended(&a));
    assert_int_equal(refused(fixture, REFUSED_SLOW), 0); /* it had no more to ask */
    assert_int_equal(b.connection->phase, PHASE_REQUEST);
    connections_sweep(&fixture->connections, IDLE_NS + 2 * REQUEST_NS);
    assert_true(is_ended(&b));
    assert_int_equal(refused(fixture, REFUSED_SLOW), 1);
    close_pair(fixture, &a);
    close_pair(fixture, &b);
}

static void test_response_progress(void **state)
{
    struct fixture *fixture = *state;
    struct pair a = open_pair(fixture, 0);
    connections_start_response(&fixture->connections, a.connection, 0);
    /* Whatever was acknowledged before counts as progress once. */
    connections_sweep(&fixture->connections, 1);
    for (uint64_t now_ns = 1; now_ns < 4 * RESPONSE_NS; now_ns += RESPONSE_NS - 1) {
        char byte;
        uint64_t before_ns = a.connection->since_ns;
        assert_int_equal(send(a.server, "x", 1, MSG_NOSIGNAL), 1);
        assert_int_equal(recv(a.client, &byte, 1, 0), 1);
        /* The acknowledgement may take its time. */
        for (int i = 0; i < 1000 && a.connection->since_ns == before_ns; i++) {
            fixture->connections.next_sweep_ns = 0;
            connections_sweep(&fixture->connections, now_ns + 1);
            (void)poll(NULL, 0, 1);
        }
        assert_int_equal(a.connection->phase, PHASE_RESPONSE);
    }
    connections_sweep(&fixture->connections, 9 * RESPONSE_NS);
    assert_true(is_ended(&a));
    assert_int_equal(refused(fixture, REFUSED_SLOW), 1);
    close_pair(fixture, &a);
}

static void test_bound(void **state)
{
    struct fixture *fixture = *state;
    struct pair busy = open_pair(fixture, 0);
    struct pair first = open_pair(fixture, 1);
    struct pair second = open_pair(fixture, 2);
    connections_start_response(&fixture->connections, busy.connection, 3);
    /* The longest idle one, not the longest connected one. */
    connections_start_response(&fixture->connections, first.connection, 4);
    connections_end_response(&fixture->connections, first.connection, 5);
    struct pair third = open_pair(fixture, 6);
    assert_true(is_ended(&second));
    struct pair fourth = open_pair(fixture, 7);
    assert_true(is_ended(&first));
    connections_start_response(&fixture->connections, third.connection, 8);
    connections_start_response(&fixture->connections, fourth.connection, 9);
    /* Nobody is idle: the one that has been answered longest. */
    struct pair fifth = open_pair(fixture, 10);
    assert_true(is_ended(&busy));
    assert_int_equal(fixture->connections.count, MAX);
    assert_int_equal(refused(fixture, REFUSED_CONNECTIONS), 3);
    close_pair(fixture, &busy);
    close_pair(fixture, &first);
    close_pair(fixture, &second);
    close_pair(fixture, &third);
    close_pair(fixture, &fourth);
    close_pair(fixture, &fifth);
    assert_int_equal(fixture->connections.count, 0);
}

static void test_readers_of_old_pages(void **state)
{
    struct fixture *fixture = *state;
    struct pair old = open_pair(fixture, 0);
    struct pair young = open_pair(fixture, 0);
    struct pair done = open_pair(fixture, 0);
    connections_start_response(&fixture->connections, old.connection, 0);
    connections_start_response(&fixture->connections, young.connection, 0);
    connections_start_response(&fixture->connections, done.connection, 0);
    old.connection->page_number = 4;
    young.connection->page_number = 5;
    done.connection->page_number = 1;
    connections_end_response(&fixture->connections, done.connection, 0);
    connections_end_readers(&fixture->connections, 4);
    assert_true(is_ended(&old));
    assert_int_equal(young.connection->phase, PHASE_RESPONSE);
    assert_int_equal(done.connection->phase, PHASE_WAITING);
    close_pair(fixture, &old);
    close_pair(fixture, &young);
    close_pair(fixture, &done);
}

/* What the library reports after a connection was ended changes nothing. */
static void test_after_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct pair a = open_pair(fixture, 0);
    connections_sweep(&fixture->connections, 2 * REQUEST_NS);
    connections_start_response(&fixture->connections, a.connection, 3 * REQUEST_NS);
    assert_int_equal(a.connection->phase, PHASE_ENDED);
    connections_end_response(&fixture->connections, a.connection, 3 * REQUEST_NS);
    assert_int_equal(a.connection->phase, PHASE_ENDED);
    assert_int_equal(fixture->connections.count, 0);
    connections_close(&fixture->connections, NULL);
    close_pair(fixture, &a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_silent_from_the_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_idle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_response_progress, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_readers_of_old_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_after_the_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
