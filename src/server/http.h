/*
 * HTTP on the listening sockets: routes, bounds on connections and time, the gate.
 *
 * No thread: http_run() does what has become possible and returns. The caller waits on
 * the descriptors of http_poll_fds() for at most http_timeout_ms().
 */
#pragma once

#include "server/extra_headers.h"
#include "server/page.h"
#include "server/server.h"

#include <microhttpd.h>
#include <poll.h>

/* What a gate says to a request. */
enum gate_verdict {
    GATE_GRANTED,
    GATE_UNAUTHORIZED,
    GATE_TOO_MANY,
    GATE_BUSY,
    GATE_SUSPENDED, /* it has suspended the connection; it resumes it on the loop's
                       thread, before an http_run(), and is asked again */
};

/* Asked for each request before anything else is looked at. NULL members: all granted. */
struct http_gate {
    /* *STATE is the gate's own, NULL when a request is seen for the first time. */
    enum gate_verdict (*ask)(void *context, struct MHD_Connection *connection,
                             void **state);
    /* The request has come to its end, in whatever way. Called when STATE is not NULL. */
    void (*forget)(void *context, void *state);
    /* A client has connected, and nothing was read from it yet. What is put into *PEER
     * comes back, when it is not NULL, at the end of the connection. */
    void (*open)(void *context, struct MHD_Connection *connection, void **peer);
    void (*close)(void *context, void *peer);
    /* Resumes every connection that it has suspended: the library must not be stopped
     * with one. They are forgotten next. */
    void (*resume_all)(void *context);
    void *context;
};

/* How connections are taken; replaced as a whole when the web configuration changes. */
struct http_setup {
    struct http_gate gate;
    unsigned flags;                       /* MHD_FLAG bits beyond our own: MHD_USE_TLS */
    const struct MHD_OptionItem *options; /* ended by MHD_OPTION_END; NULL: none. What
                                             they point at outlives the next setup */
};

struct http;

/* CONFIG's memory and its sockets must outlive the object; SETUP is copied. Return: NULL
 * with words in ERR. */
struct http *http_new(const struct server_config *config, const struct http_setup *setup,
                      struct err *err);

/* Closes all connections; the listening sockets stay open. Accepts NULL. */
void http_free(struct http *http);

static inline void http_freep(struct http **http)
{
    http_free(*http);
}

/* Closes all connections and goes on, on the same sockets, as SETUP says. The old setup's
 * requests are forgotten before this returns. On failure nothing has changed. */
int http_restart(struct http *http, const struct http_setup *setup, struct err *err)
    __attribute__((warn_unused_result));

/* Puts EXTRA, which must live until the next call, on every answer from now on. On
 * failure some answers are still without. */
int http_set_headers(struct http *http, const struct extra_headers *extra,
                     struct err *err) __attribute__((warn_unused_result));

/* Serves PAGE from now on; its bytes are taken over. On failure the old one is served. */
int http_set_page(struct http *http, struct page *page, struct err *err)
    __attribute__((warn_unused_result));

enum { HTTP_MAX_LISTENERS = 16 };
/* Of each listener, beyond the bound: connections that were ended and are not closed yet.
 * The library accepts a few between two looks at those that it has. */
enum { HTTP_SPARE_CONNECTIONS = 64 };

/* Fills FDS (HTTP_MAX_LISTENERS) with what to wait for. Return: how many. */
size_t http_poll_fds(const struct http *http, struct pollfd *fds);

/* How long nothing is to be done unless a descriptor is ready; -1: for ever. */
int http_timeout_ms(const struct http *http, uint64_t now_ns);

/* Does what can be done without waiting, and closes what has used up its time. */
void http_run(struct http *http, uint64_t now_ns);
