/* Listening sockets: the forms of addresses, what is refused, systemd's sockets. */
#include "agent/listeners.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct config config_for(const char *first, const char *second)
{
    struct config config = {.listen = {first, second}};
    config.listen_count = second ? 2 : 1;
    return config;
}

static bool has_ipv6(void)
{
    CLEANUP(close_fdp) int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                   .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    /* Both families have it at the same place. */
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

/* Whether 127.0.0.1 (or ::1) answers at PORT. */
static bool answers(int family, uint16_t port)
{
    struct sockaddr_in four = {.sin_family = AF_INET,
                               .sin_port = htons(port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6,
                               .sin6_port = htons(port),
                               .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    CLEANUP(close_fdp) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return family == AF_INET ? connect(fd, (struct sockaddr *)&four, sizeof four) == 0
                             : connect(fd, (struct sockaddr *)&six, sizeof six) == 0;
}

static void test_forms(void **state)
{
    (void)state;
    static const struct {
        const char *first;
        const char *second;
        size_t count;          /* 0: as many addresses as the name has */
        const char *described; /* of the first socket, without its port */
        bool needs_ipv6;
        bool answers_four;
        bool answers_six;
    } rows[] = {
        {"127.0.0.1:0", NULL, 1, "127.0.0.1:", false, true, false},
        {"[::1]:0", NULL, 1, "[::1]:", true, false, true},
        {"0.0.0.0:0", NULL, 1, "0.0.0.0:", false, true, false},
        {":0", NULL, 1, "[::]:", true, true, true},
        {"[::]:0", NULL, 1, "[::]:", true, true, true},
        {"[::]:0", "0.0.0.0:0", 2, "[::]:", true, false, true},
        {"[::]:0,0.0.0.0:0", NULL, 2, "[::]:", true, false, true},
        {"127.0.0.1:0, 127.0.0.1:0", "127.0.0.1:0", 3, "127.0.0.1:", false, true, false},
        {"localhost:0", NULL, 0, NULL, false, false, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (rows[i].needs_ipv6 && !has_ipv6())
            continue;
        struct config config = config_for(rows[i].first, rows[i].second);
        struct listeners listeners;
        struct err err = {0};
        if (listeners_open(&config, &listeners, &err) != 0)
            fail_msg("%s: %s", rows[i].first, err.message);
        assert_true(listeners.count == rows[i].count ||
                    (!rows[i].count && listeners.count));
        uint16_t port = port_of(listeners.fds[0]);
        char text[LISTENERS_ADDRESS_BYTES];
        listeners_describe(&listeners, 0, text);
        if (rows[i].described) {
            char expected[LISTENERS_ADDRESS_BYTES];
            (void)snprintf(expected, sizeof expected, "%s%u", rows[i].described,
                           (unsigned)port);
            assert_string_equal(text, expected);
            assert_int_equal(answers(AF_INET, port), rows[i].answers_four);
            assert_true(!has_ipv6() || answers(AF_INET6, port) == rows[i].answers_six);
        }
        for (size_t j = 0; j < listeners.count; j++) {
            assert_true(fcntl(listeners.fds[j], F_GETFL) & O_NONBLOCK);
            assert_true(fcntl(listeners.fds[j], F_GETFD) & FD_CLOEXEC);
        }
        listeners_close(&listeners);
        assert_int_equal(listeners.count, 0);
        assert_false(answers(AF_INET, port));
    }
}

static void test_refuses(void **state)
{
    (void)state;
    char long_host[400];
    memset(long_host, 'h', sizeof long_host);
    memcpy(long_host + sizeof long_host - 4, ":80", 4);
    const struct {
        const char *address;
        const char *words;
    } rows[] = {
        {"10105", "no port"},
        {"127.0.0.1", "no port"},
        {"127.0.0.1:0,", "no port"},
        {",127.0.0.1:0", "no port"},
        {"127.0.0.1:", "no valid port"},
        {"127.0.0.1:http", "no valid port"},
        {"127.0.0.1:65536", "no valid port"},
        {"127.0.0.1:-1", "no valid port"},
        {"127.0.0.1: 80", "no valid port"},
        {"::1:80", "no valid host"},
        {"[::1:80", "no valid host"},
        {"[127.0.0.1]:80", "no valid host"},
        {"[]:80", "no valid host"},
        {long_host, "no valid host"},
        {"999.1.1.1:0", "cannot find the address to listen on, '999.1.1.1:0'"},
        {"192.0.2.1:0", "no network interface of this host has the address"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct config config = config_for("127.0.0.1:0", rows[i].address);
        struct listeners listeners = {.count = 7};
        struct err err = {0};
        assert_true(listeners_open(&config, &listeners, &err) < 0);
        if (!strstr(err.message, rows[i].words))
            fail_msg("%s: %s", rows[i].address, err.message);
        assert_int_equal(listeners.count, 7);
    }
}

static void test_port_in_use(void **state)
{
    (void)state;
    struct config config = config_for("127.0.0.1:0", NULL);
    struct listeners first;
    struct listeners second;
    struct err err = {0};
    assert_int_equal(listeners_open(&config, &first, &err), 0);
    char address[LISTENERS_ADDRESS_BYTES];
    listeners_describe(&first, 0, address);
    config = config_for(address, NULL);
    assert_true(listeners_open(&config, &second, &err) < 0);
    char expected[ERR_MESSAGE_BYTES];
    (void)snprintf(expected, sizeof expected,
                   "cannot listen on %s: Address already in use: another program has the "
                   "port; choose another with --web.listen-address",
                   address);
    assert_string_equal(err.message, expected);
    listeners_close(&first);
    /* … and free at once when the other is gone */
    assert_int_equal(listeners_open(&config, &second, &err), 0);
    listeners_close(&second);
}

static void test_at_most_sixteen(void **state)
{
    (void)state;
    char many[17 * 12];
    char *end = many;
    for (int i = 0; i < LISTENERS_MAX; i++)
        end += snprintf(end, 13, "%s127.0.0.1:0", i ? "," : "");
    struct config config = config_for(many, NULL);
    struct listeners listeners;
    struct err err = {0};
    assert_int_equal(listeners_open(&config, &listeners, &err), 0);
    assert_int_equal(listeners.count, LISTENERS_MAX);
    listeners_close(&listeners);
    config = config_for(many, "127.0.0.1:0");
    assert_true(listeners_open(&config, &listeners, &err) < 0);
    assert_string_equal(err.message, "more than 16 addresses to listen on");
}

/* --- systemd's sockets, each case in a process of its own
 * -------------------------------
 */

enum passed { PASSED_LISTENING, PASSED_BOUND, PASSED_DATAGRAM, PASSED_UNIX, PASSED_FILE };

static int make_passed(enum passed kind)
{
    if (kind == PASSED_FILE)
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    int family = kind == PASSED_UNIX ? AF_UNIX : AF_INET;
    int fd = socket(family, kind == PASSED_DATAGRAM ? SOCK_DGRAM : SOCK_STREAM, 0);
    if (kind == PASSED_LISTENING)
        (void)listen(fd, 1);
    return fd;
}

struct handover {
    const char *pid; /* NULL: the process's own */
    const char *count;
    enum passed kind;
    const char *words; /* of the refusal; NULL: two sockets are taken */
};

/* Return: 0 when it went as it should. */
static int play_handover(const struct handover *row)
{
    char self[16];
    (void)snprintf(self, sizeof self, "%d", (int)getpid());
    (void)setenv("LISTEN_PID", row->pid ? row->pid : self, 1);
    (void)setenv("LISTEN_FDS", row->count, 1);
    int fd = make_passed(row->kind);
    if (fd < 0 || (fd != 3 && dup2(fd, 3) != 3) || dup2(3, 4) != 4)
        return 1;
    struct config config = {.with_systemd_socket = true};
    struct listeners listeners;
    struct err err = {0};
    int rc = listeners_open(&config, &listeners, &err);
    if (getenv("LISTEN_PID") || getenv("LISTEN_FDS"))
        return 2;
    if (row->words)
        return rc < 0 && strstr(err.message, row->words) ? 0 : 3;
    if (rc != 0 || listeners.count != 2 || listeners.fds[0] != 3 || listeners.fds[1] != 4)
        return 4;
    return fcntl(4, F_GETFL) & O_NONBLOCK && fcntl(4, F_GETFD) & FD_CLOEXEC ? 0 : 5;
}

static void test_passed_by_systemd(void **state)
{
    (void)state;
    static const struct handover rows[] = {
        {NULL, "2", PASSED_LISTENING, NULL},
        {NULL, "0", PASSED_LISTENING, "systemd has passed no socket"},
        {NULL, "", PASSED_LISTENING, "systemd has passed no socket"},
        {NULL, "-1", PASSED_LISTENING, "systemd has passed no socket"},
        {"1", "2", PASSED_LISTENING, "systemd has passed no socket"},
        {NULL, "17", PASSED_LISTENING, "more than 16 addresses"},
        {NULL, "2", PASSED_BOUND, "descriptor 3 from systemd does not listen"},
        {NULL, "2", PASSED_DATAGRAM, "descriptor 3 from systemd is not a TCP socket"},
        {NULL, "2", PASSED_UNIX, "descriptor 3 from systemd is not a TCP socket"},
        {NULL, "2", PASSED_FILE, "descriptor 3 from systemd is not a socket"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(play_handover(&rows[i]));
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status != 0)
            fail_msg("row %zu: status %d", i, status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_port_in_use),
        cmocka_unit_test(test_at_most_sixteen),
        cmocka_unit_test(test_passed_by_systemd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
