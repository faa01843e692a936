/* Messages to the service manager, received by real sockets. */
#include "agent/notify.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct manager {
    int fd;
    char name[64]; /* as NOTIFY_SOCKET has it */
};

/* A manager that listens at a path, or at an abstract name. */
static struct manager start_manager(bool is_abstract)
{
    struct manager manager;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(manager.name, sizeof manager.name, "%s/gpu-sessions-notify-%d",
                   is_abstract ? "@" : "/tmp", (int)getpid());
    size_t length = strlen(manager.name);
    memcpy(address.sun_path, manager.name, length);
    if (is_abstract)
        address.sun_path[0] = '\0';
    manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(manager.fd >= 0);
    assert_int_equal(bind(manager.fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
                     0);
    return manager;
}

static void stop_manager(struct manager *manager)
{
    close(manager->fd);
    if (manager->name[0] == '/')
        assert_int_equal(unlink(manager->name), 0);
}

static void open_with(const char *address, const char *interval, const char *pid,
                      struct notify *out)
{
    const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};
    const char *const values[] = {address, interval, pid};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (values[i])
            assert_int_equal(setenv(names[i], values[i], 1), 0);
        else
            assert_int_equal(unsetenv(names[i]), 0);
    }
    notify_open(out);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_null(getenv(names[i]));
}

static const char *receive(const struct manager *manager, char text[1024])
{
    ssize_t n = recv(manager->fd, text, 1023, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

static void say_everything(const struct manager *manager)
{
    struct notify notify;
    char text[1024];
    open_with(manager->name, NULL, NULL, &notify);
    assert_int_equal(notify.watchdog_ns, 0);
    notify_ready(&notify);
    assert_string_equal(receive(manager, text), "READY=1");
    notify_status(&notify, "%d sessions on %s", 3, "2 GPUs");
    assert_string_equal(receive(manager, text), "STATUS=3 sessions on 2 GPUs");
    notify_reloading(&notify);
    static const char reloading[] = "RELOADING=1\nMONOTONIC_USEC=";
    assert_memory_equal(receive(manager, text), reloading, sizeof reloading - 1);
    assert_true(strspn(text + sizeof reloading - 1, "0123456789") > 0);
    notify_stopping(&notify);
    assert_string_equal(receive(manager, text), "STOPPING=1");
}

static void test_at_a_path_and_at_an_abstract_name(void **state)
{
    (void)state;
    for (int is_abstract = 0; is_abstract < 2; is_abstract++) {
        struct manager manager = start_manager(is_abstract);
        say_everything(&manager);
        stop_manager(&manager);
    }
}

static void test_status_is_one_bounded_line(void **state)
{
    (void)state;
    struct manager manager = start_manager(true);
    struct notify notify;
    char text[1024];
    open_with(manager.name, NULL, NULL, &notify);
    notify_status(&notify, "a\nREADY=1\n");
    assert_string_equal(receive(&manager, text), "STATUS=a READY=1 ");
    notify_status(&notify, "%0900d", 7);
    assert_int_equal(strlen(receive(&manager, text)), 511);
    stop_manager(&manager);
}

static void test_nobody_wants_to_know(void **state)
{
    (void)state;
    char too_long[200];
    memset(too_long, 'a', sizeof too_long - 1);
    too_long[0] = '/';
    too_long[sizeof too_long - 1] = '\0';
    const char *const rows[] = {NULL, "", "@", "relative", "vsock:2:1", too_long};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct notify notify;
        open_with(rows[i], "30000000", NULL, &notify);
        assert_int_equal(notify.address_bytes, 0);
        assert_int_equal(notify.watchdog_ns, 0);
        notify_ready(&notify);
        notify_status(&notify, "unheard");
    }
}

static void test_longest_address_fits(void **state)
{
    (void)state;
    struct notify notify;
    char name[sizeof notify.address.sun_path];
    memset(name, 'a', sizeof name - 1);
    name[0] = '/';
    name[sizeof name - 1] = '\0';
    open_with(name, NULL, NULL, &notify);
    assert_int_equal(notify.address_bytes, sizeof(struct sockaddr_un));
    notify_ready(&notify); /* there is none: no harm */
}

static void test_full_socket_does_not_block(void **state)
{
    (void)state;
    struct manager manager = start_manager(true);
    struct notify notify;
    open_with(manager.name, NULL, NULL, &notify);
    for (int i = 0; i < 10000; i++)
        notify_ready(&notify);
    stop_manager(&manager);
}

static void test_watchdog(void **state)
{
    (void)state;
    char self[16];
    (void)snprintf(self, sizeof self, "%d", (int)getpid());
    const struct {
        const char *interval;
        const char *pid;
        uint64_t nanoseconds;
    } rows[] = {
        {"30000000", NULL, UINT64_C(30000000000)},
        {"30000000", self, UINT64_C(30000000000)},
        {"30000000", "1", 0}, /* for somebody else */
        {"30000000", "", 0},
        {"30000000", "x", 0},
        {"", self, 0},
        {"-1", self, 0},
        {"18446744073709551615", self, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct notify notify;
        open_with("@anybody", rows[i].interval, rows[i].pid, &notify);
        assert_int_equal(notify.watchdog_ns, rows[i].nanoseconds);
    }
}

static bool hears_something(const struct manager *manager)
{
    char text[1024];
    ssize_t n = recv(manager->fd, text, sizeof text, 0);
    return n > 0;
}

/* The loop's own distance varies; what is sent keeps its quarter of the interval. */
static void test_watchdog_is_fed_no_more_often_than_needed(void **state)
{
    (void)state;
    struct manager manager = start_manager(true);
    struct notify notify;
    open_with(manager.name, NULL, NULL, &notify);
    assert_true(notify_watchdog_share(&notify) == UINT64_MAX);
    notify_watchdog(&notify);
    assert_false(hears_something(&manager));

    open_with(manager.name, "3600000000", NULL, &notify);
    assert_true(notify_watchdog_share(&notify) == UINT64_C(900000000000));
    notify.fed_at_ns = clock_monotonic_ns() - notify_watchdog_share(&notify);
    notify_watchdog(&notify);
    assert_true(hears_something(&manager));
    notify_watchdog(&notify);
    assert_false(hears_something(&manager));
    stop_manager(&manager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_a_path_and_at_an_abstract_name),
        cmocka_unit_test(test_status_is_one_bounded_line),
        cmocka_unit_test(test_nobody_wants_to_know),
        cmocka_unit_test(test_longest_address_fits),
        cmocka_unit_test(test_full_socket_does_not_block),
        cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_watchdog_is_fed_no_more_often_than_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
