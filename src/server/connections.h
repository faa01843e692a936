/*
 * Who is connected, how long each may go on, and who has to leave for a newcomer.
 *
 * The HTTP library knows one time limit, of silence; a client that sends a byte now and
 * then would stay for ever. So each connection is kept in the list of what it is doing,
 * the one that has been doing it longest first, and is looked at about once a second.
 *
 * A connection is ended by shutting its socket down; the library then notices and closes.
 */
#pragma once

#include "server/counters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order in which they have to leave when the bound is reached. */
enum connection_phase {
    PHASE_WAITING, /* for the first byte of a request */
    PHASE_REQUEST, /* which has not come whole */
    PHASE_RESPONSE,
    PHASE_COUNT,
    PHASE_ENDED = PHASE_COUNT, /* shut down, in no list */
};

struct connection {
    struct connection *previous, *next;
    int fd;
    enum connection_phase phase;
    uint64_t since_ns;    /* start of the phase; in a response, the last progress */
    uint64_t limit_ns;    /* from then on */
    uint64_t moved_bytes; /* received, or taken by the client, when last looked at */
    uint64_t page_number; /* whose response is being taken; 0: of none */
    bool has_been_served; /* at least one request */
    void *gate_state;     /* the gate's, of the request under way */
    void *gate_peer;      /* the gate's, of the connection */
};

struct connection_list {
    struct connection *first, *last;
};

struct connections {
    struct connection_list phases[PHASE_COUNT];
    size_t count; /* in all lists */
    size_t max_count;
    uint64_t request_limit_ns, response_limit_ns, idle_limit_ns;
    uint64_t sweep_interval_ns, next_sweep_ns;
    struct server_counters *counters;
};

/* Sets the interval of looking from the limits, which are set already. */
void connections_init(struct connections *connections);

/* A client has connected on socket FD. At the bound, the first to leave is ended. Return:
 * NULL without memory. */
struct connection *connections_open(struct connections *connections, int fd,
                                    uint64_t now_ns);

/* A request has come whole. */
void connections_start_response(struct connections *connections,
                                struct connection *connection, uint64_t now_ns);

/* The response is with the kernel. */
void connections_end_response(struct connections *connections,
                              struct connection *connection, uint64_t now_ns);

/* The socket is about to be closed. Frees CONNECTION; accepts NULL. */
void connections_close(struct connections *connections, struct connection *connection);

/* Ends those that have used up their time, when it is time to look. */
void connections_sweep(struct connections *connections, uint64_t now_ns);

/* Ends those that are still taking a response of page LAST or one before it. */
void connections_end_readers(struct connections *connections, uint64_t last);
