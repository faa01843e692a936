/*
 * Messages to the service manager. The protocol is a datagram of lines NAME=VALUE; see
 * sd_notify(3). A socket is opened for each: there are few, and no child inherits it.
 */
#include "agent/notify.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_BYTES = 512 };

#define NS_PER_US UINT64_C(1000)

/* A leading '@' stands for the NUL of an abstract name. */
static void read_address(const char *name, struct notify *out)
{
    struct str text = str_from(name);
    struct sockaddr_un *address = &out->address;
    bool is_abstract = text.n > 1 && name[0] == '@';
    if (!is_abstract && (text.n == 0 || name[0] != '/'))
        return;
    if (text.n >= sizeof address->sun_path)
        return;
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, name, text.n);
    if (is_abstract)
        address->sun_path[0] = '\0';
    /* The NUL that ends a path is counted, an abstract name has none. */
    out->address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + text.n +
                                     (is_abstract ? 0 : 1));
}

static uint64_t read_watchdog(const char *interval, const char *for_pid)
{
    uint64_t microseconds;
    uint64_t pid = (uint64_t)getpid();
    if (!str_u64(str_from(interval), &microseconds) ||
        microseconds > UINT64_MAX / NS_PER_US)
        return 0;
    if (for_pid && (!str_u64(str_from(for_pid), &pid) || pid != (uint64_t)getpid()))
        return 0;
    return microseconds * NS_PER_US;
}

void notify_open(struct notify *out)
{
    *out = (struct notify){0};
    const char *name = getenv("NOTIFY_SOCKET");
    if (name)
        read_address(name, out);
    const char *interval = getenv("WATCHDOG_USEC");
    if (interval && out->address_bytes)
        out->watchdog_ns = read_watchdog(interval, getenv("WATCHDOG_PID"));
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

static void send_text(const struct notify *notify, struct str text)
{
    if (!notify->address_bytes)
        return;
    CLEANUP(close_fdp) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, text.p, text.n, MSG_DONTWAIT | MSG_NOSIGNAL,
                 (const struct sockaddr *)&notify->address, notify->address_bytes);
}

void notify_ready(const struct notify *notify)
{
    send_text(notify, STR("READY=1"));
}

void notify_reloading(const struct notify *notify)
{
    char text[MESSAGE_BYTES];
    /* The time tells the manager which of two reloads a later READY=1 belongs to. */
    (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   clock_monotonic_ns() / NS_PER_US);
    send_text(notify, str_from(text));
}

void notify_stopping(const struct notify *notify)
{
    send_text(notify, STR("STOPPING=1"));
}

uint64_t notify_watchdog_share(const struct notify *notify)
{
    return notify->watchdog_ns ? notify->watchdog_ns / 4 : UINT64_MAX;
}

void notify_watchdog(struct notify *notify)
{
    uint64_t now = clock_monotonic_ns();
    if (now - notify->fed_at_ns < notify_watchdog_share(notify))
        return;
    send_text(notify, STR("WATCHDOG=1"));
    notify->fed_at_ns = now;
}

void notify_status(const struct notify *notify, const char *format, ...)
{
    char text[MESSAGE_BYTES] = "STATUS=";
    size_t head = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + head, sizeof text - head, format, arguments);
    va_end(arguments);
    /* A second line would be a message of its own. */
    for (char *end = strchr(text, '\n'); end; end = strchr(end, '\n'))
        *end = ' ';
    send_text(notify, str_from(text));
}
