/*
 * Listening sockets. All entries are read before the first is opened: whether "[::]" may
 * take IPv4 too depends on the others.
 */
#include "agent/listeners.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
    HOST_BYTES = 256,
    PORT_BYTES = 6,
    BACKLOG = 512,       /* connections that wait for accept */
    FIRST_PASSED_FD = 3, /* SD_LISTEN_FDS_START */
};

/* An entry, taken apart. */
struct place {
    char host[HOST_BYTES]; /* "": every address */
    char port[PORT_BYTES]; /* canonical decimal */
    struct str text;       /* as it was given */
};

struct places {
    struct place at[LISTENERS_MAX];
    size_t count;
};

/* --- reading what was asked for
 * ---------------------------------------------------------
 */

static int refuse_place(struct str text, const char *why, struct err *err)
{
    return err_set(err, EINVAL, ERR_USAGE, 0,
                   "%s in listen address '%.*s': give host:port, as in :10105, "
                   "127.0.0.1:10105 or [::1]:10105",
                   why, (int)(text.n < 100 ? text.n : 100), text.p);
}

/* Takes the brackets off an IPv6 address; without them its colons could not be told from
 * the one before the port. */
static bool read_host(struct str host, struct place *out)
{
    bool has_brackets = str_starts(host, STR("[")) && str_ends(host, STR("]"));
    if (has_brackets)
        host = str_part(host, 1, host.n - 2);
    bool has_colon = str_find(host, ':') >= 0;
    if (has_brackets != has_colon || host.n >= sizeof out->host)
        return false;
    memcpy(out->host, host.p, host.n);
    out->host[host.n] = '\0';
    return true;
}

static int read_place(struct str text, struct place *out, struct err *err)
{
    *out = (struct place){.text = text};
    ptrdiff_t colon = str_find_last(text, ':');
    if (colon < 0)
        return refuse_place(text, "no port", err);
    struct str port = str_part(text, (size_t)colon + 1, text.n - (size_t)colon - 1);
    uint32_t number;
    if (!str_u32(port, &number) || number > UINT16_MAX)
        return refuse_place(text, "no valid port", err);
    (void)snprintf(out->port, sizeof out->port, "%u", (unsigned)number);
    if (!read_host(str_part(text, 0, (size_t)colon), out))
        return refuse_place(text, "no valid host", err);
    return 0;
}

static int too_many(struct err *err)
{
    return err_set(err, E2BIG, ERR_USAGE, 0, "more than %d addresses to listen on",
                   LISTENERS_MAX);
}

static int read_places(const struct config *config, struct places *out, struct err *err)
{
    out->count = 0;
    for (size_t i = 0; i < config->listen_count; i++) {
        struct str rest = str_from(config->listen[i]);
        struct str text;
        while (str_split(&rest, ',', &text)) {
            if (out->count == LISTENERS_MAX)
                return too_many(err);
            int rc = read_place(str_trim(text), &out->at[out->count], err);
            if (rc < 0)
                return rc;
            out->count++;
        }
    }
    return 0;
}

/* "[::]" leaves IPv4 to an entry that asks for all of it at the same port. */
static bool is_without_ipv4(const struct places *places, const struct place *place)
{
    if (strcmp(place->host, "::") != 0)
        return false;
    for (size_t i = 0; i < places->count; i++) {
        const struct place *other = &places->at[i];
        if (strcmp(other->host, "0.0.0.0") == 0 && strcmp(other->port, place->port) == 0)
            return true;
    }
    return false;
}

/* --- opening
 * ----------------------------------------------------------------------------
 */

/* Return: a listening socket, or -errno. */
static int open_socket(const struct addrinfo *address, bool without_ipv4)
{
    CLEANUP(close_fdp)
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    IPPROTO_TCP);
    if (fd < 0)
        return -errno;
    int yes = 1;
    int only_ipv6 = without_ipv4;
    /* A port whose last connections are still being buried may be taken again. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0)
        return -errno;
    if (address->ai_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6, sizeof only_ipv6) != 0)
        return -errno;
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
        return -errno;
    return take_fd(&fd);
}

static const char *remedy(int code)
{
    switch (code) {
    case EADDRINUSE:
        return ": another program has the port; choose another with "
               "--web.listen-address";
    case EACCES:
        return ": the port is reserved for programs with CAP_NET_BIND_SERVICE; choose "
               "one "
               "from 1024 on with --web.listen-address";
    case EADDRNOTAVAIL:
        return ": no network interface of this host has the address; choose another with "
               "--web.listen-address";
    default: return "";
    }
}

static int explain_failure(const struct place *place, int code, struct err *err)
{
    const char *cause = strerrordesc_np(code);
    return err_set(err, code, ERR_ERRNO, code, "cannot listen on %.*s: %s%s",
                   (int)place->text.n, place->text.p, cause ? cause : "unknown error",
                   remedy(code));
}

/* The kernel, or this network namespace, is without the address's family. */
static bool is_missing_family(int code)
{
    return code == EAFNOSUPPORT || code == EADDRNOTAVAIL;
}

static int resolve(const struct place *place, const char *host, struct addrinfo **found,
                   struct err *err)
{
    const struct addrinfo hints = {
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_protocol = IPPROTO_TCP,
    };
    int rc = getaddrinfo(host, place->port, &hints, found);
    if (rc == 0)
        return 0;
    return err_set(err, EADDRNOTAVAIL, ERR_USAGE, rc,
                   "cannot find the address to listen on, '%.*s': %s", (int)place->text.n,
                   place->text.p, gai_strerror(rc));
}

static void free_addresses(struct addrinfo **addresses)
{
    if (*addresses)
        freeaddrinfo(*addresses);
}

/* Every address of the name HOST that this host has. */
static int open_host(const struct place *place, const char *host, bool without_ipv4,
                     struct listeners *out, struct err *err)
{
    CLEANUP(free_addresses) struct addrinfo *addresses = NULL;
    int rc = resolve(place, host, &addresses, err);
    if (rc < 0)
        return rc;
    size_t before = out->count;
    int missing = 0;
    for (const struct addrinfo *one = addresses; one; one = one->ai_next) {
        if (out->count == LISTENERS_MAX)
            return too_many(err);
        int fd = open_socket(one, without_ipv4);
        if (fd >= 0)
            out->fds[out->count++] = fd;
        else if (is_missing_family(-fd))
            missing = -fd;
        else
            return explain_failure(place, -fd, err);
    }
    return out->count > before ? 0 : explain_failure(place, missing, err);
}

static int open_place(const struct places *places, const struct place *place,
                      struct listeners *out, struct err *err)
{
    if (*place->host)
        return open_host(place, place->host, is_without_ipv4(places, place), out, err);
    int rc = open_host(place, "::", false, out, err);
    return rc < 0 && is_missing_family(-rc) ? open_host(place, "0.0.0.0", false, out, err)
                                            : rc;
}

/* --- systemd's sockets
 * ------------------------------------------------------------------
 */

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

static int check_passed(int fd, struct err *err)
{
    int domain = option_of(fd, SO_DOMAIN);
    const char *wrong = NULL;
    if (domain < 0)
        wrong = "is not a socket";
    else if ((domain != AF_INET && domain != AF_INET6) ||
             option_of(fd, SO_TYPE) != SOCK_STREAM)
        wrong = "is not a TCP socket";
    else if (option_of(fd, SO_ACCEPTCONN) != 1)
        wrong = "does not listen";
    if (wrong)
        return err_set(err, EINVAL, ERR_USAGE, 0,
                       "descriptor %d from systemd %s: the socket unit needs "
                       "ListenStream=PORT and Accept=no",
                       fd, wrong);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return err_errno(err, errno, "descriptor %d from systemd", fd);
    return 0;
}

/* How many sockets were passed to this very process; 0: none. */
static uint32_t passed_count(void)
{
    uint32_t pid = 0;
    uint32_t count = 0;
    (void)str_u32(str_from(getenv("LISTEN_PID")), &pid);
    (void)str_u32(str_from(getenv("LISTEN_FDS")), &count);
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return pid == (uint32_t)getpid() ? count : 0;
}

static int take_passed(struct listeners *out, struct err *err)
{
    uint32_t count = passed_count();
    if (count == 0)
        return err_set(err, ENOTCONN, ERR_USAGE, 0,
                       "systemd has passed no socket: start the program by its socket "
                       "unit, or leave --web.systemd-socket out");
    if (count > LISTENERS_MAX)
        return too_many(err);
    for (int fd = FIRST_PASSED_FD; fd < FIRST_PASSED_FD + (int)count; fd++) {
        int rc = check_passed(fd, err);
        if (rc < 0)
            return rc;
        out->fds[out->count++] = fd;
    }
    return 0;
}

/* --- the whole
 * --------------------------------------------------------------------------
 */

static int open_places(const struct config *config, struct listeners *out,
                       struct err *err)
{
    struct places places;
    int rc = read_places(config, &places, err);
    for (size_t i = 0; rc == 0 && i < places.count; i++)
        rc = open_place(&places, &places.at[i], out, err);
    return rc;
}

int listeners_open(const struct config *config, struct listeners *out, struct err *err)
{
    struct listeners opened = {.count = 0};
    int rc = config->with_systemd_socket ? take_passed(&opened, err)
                                         : open_places(config, &opened, err);
    if (rc < 0) {
        listeners_close(&opened);
        return rc;
    }
    *out = opened;
    return 0;
}

void listeners_close(struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++)
        close(listeners->fds[i]);
    listeners->count = 0;
}

void listeners_describe(const struct listeners *listeners, size_t index,
                        char text[LISTENERS_ADDRESS_BYTES])
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof address;
    char host[LISTENERS_ADDRESS_BYTES - 10];
    char port[PORT_BYTES];
    if (getsockname(listeners->fds[index], (struct sockaddr *)&address, &length) != 0 ||
        getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        (void)snprintf(text, LISTENERS_ADDRESS_BYTES, "unknown");
        return;
    }
    bool is_ipv6 = address.ss_family == AF_INET6;
    (void)snprintf(text, LISTENERS_ADDRESS_BYTES, is_ipv6 ? "[%s]:%s" : "%s:%s", host,
                   port);
}
