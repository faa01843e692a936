/* Three lists, each in order of age: the first to leave is always at a head. */
#include "server/connections.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

static void unlink_from_list(struct connections *connections, struct connection *c)
{
    if (c->phase == PHASE_ENDED)
        return;
    struct connection_list *list = &connections->phases[c->phase];
    *(c->previous ? &c->previous->next : &list->first) = c->next;
    *(c->next ? &c->next->previous : &list->last) = c->previous;
    c->previous = c->next = NULL;
    c->phase = PHASE_ENDED;
    connections->count--;
}

static void enter(struct connections *connections, struct connection *c,
                  enum connection_phase phase, uint64_t limit_ns, uint64_t now_ns)
{
    unlink_from_list(connections, c);
    struct connection_list *list = &connections->phases[phase];
    c->phase = phase;
    c->since_ns = now_ns;
    c->limit_ns = limit_ns;
    c->previous = list->last;
    *(list->last ? &list->last->next : &list->first) = c;
    list->last = c;
    connections->count++;
}

/* Bytes that the kernel has moved so far: in a response those that the client has
 * acknowledged, else those that came. 0 where the socket does not say. */
static uint64_t moved_bytes(const struct connection *c, enum connection_phase phase)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return 0;
    return phase == PHASE_RESPONSE ? info.tcpi_bytes_acked : info.tcpi_bytes_received;
}

static void end(struct connections *connections, struct connection *c)
{
    /* What a client does not take must not go on holding the kernel's memory. */
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (c->phase == PHASE_RESPONSE)
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    unlink_from_list(connections, c);
    (void)shutdown(c->fd, SHUT_RDWR);
}

static void refuse(struct connections *connections, struct connection *c,
                   enum server_refusal reason)
{
    end(connections, c);
    server_count(connections->counters, reason);
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void connections_init(struct connections *connections)
{
    const uint64_t usual_ns = 1000000000;
    uint64_t shortest =
        smaller(connections->request_limit_ns,
                smaller(connections->response_limit_ns, connections->idle_limit_ns));
    connections->sweep_interval_ns = smaller(usual_ns, shortest / 4 + 1);
}

static void make_room(struct connections *connections)
{
    for (size_t i = 0; i < PHASE_COUNT; i++) {
        struct connection *oldest = connections->phases[i].first;
        if (oldest) {
            refuse(connections, oldest, REFUSED_CONNECTIONS);
            return;
        }
    }
}

struct connection *connections_open(struct connections *connections, int fd,
                                    uint64_t now_ns)
{
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    if (connections->count >= connections->max_count)
        make_room(connections);
    c->fd = fd;
    c->phase = PHASE_ENDED;
    enter(connections, c, PHASE_WAITING, connections->request_limit_ns, now_ns);
    return c;
}

void connections_start_response(struct connections *connections,
                                struct connection *connection, uint64_t now_ns)
{
    if (connection->phase == PHASE_RESPONSE || connection->phase == PHASE_ENDED)
        return;
    connection->moved_bytes = 0;
    enter(connections, connection, PHASE_RESPONSE, connections->response_limit_ns,
          now_ns);
}

void connections_end_response(struct connections *connections,
                              struct connection *connection, uint64_t now_ns)
{
    connection->page_number = 0;
    connection->has_been_served = true;
    if (connection->phase == PHASE_ENDED)
        return;
    connection->moved_bytes = moved_bytes(connection, PHASE_WAITING);
    enter(connections, connection, PHASE_WAITING, connections->idle_limit_ns, now_ns);
}

void connections_close(struct connections *connections, struct connection *connection)
{
    if (connection)
        unlink_from_list(connections, connection);
    free(connection);
}

/* Has something moved since it was last looked at? Then a wait has become a request, and
 * a response has its time anew. */
static void note_progress(struct connections *connections, struct connection *c,
                          uint64_t now_ns)
{
    uint64_t moved = moved_bytes(c, c->phase);
    if (moved == c->moved_bytes)
        return;
    c->moved_bytes = moved;
    if (c->phase == PHASE_RESPONSE)
        enter(connections, c, PHASE_RESPONSE, c->limit_ns, now_ns);
    else
        enter(connections, c, PHASE_REQUEST, connections->request_limit_ns, now_ns);
}

static void sweep_phase(struct connections *connections, enum connection_phase phase,
                        uint64_t now_ns)
{
    struct connection *last = connections->phases[phase].last;
    struct connection *next = connections->phases[phase].first;
    for (struct connection *c = NULL; next && c != last;) {
        c = next;
        next = c->next;
        if (phase != PHASE_REQUEST)
            note_progress(connections, c, now_ns);
        if (now_ns - c->since_ns < c->limit_ns)
            continue;
        if (c->has_been_served && c->phase == PHASE_WAITING)
            end(connections, c); /* nothing is wrong: its client has no more to ask */
        else
            refuse(connections, c, REFUSED_SLOW);
    }
}

void connections_sweep(struct connections *connections, uint64_t now_ns)
{
    if (now_ns < connections->next_sweep_ns)
        return;
    connections->next_sweep_ns = now_ns + connections->sweep_interval_ns;
    for (size_t i = 0; i < PHASE_COUNT; i++)
        sweep_phase(connections, (enum connection_phase)i, now_ns);
}

void connections_end_readers(struct connections *connections, uint64_t last)
{
    struct connection *next = connections->phases[PHASE_RESPONSE].first;
    while (next) {
        struct connection *c = next;
        next = c->next;
        if (c->page_number && c->page_number <= last)
            refuse(connections, c, REFUSED_SLOW);
    }
}
