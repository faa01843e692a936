/*
 * The network-facing process: serves ready-made pages and knows nothing of GPUs.
 *
 * One event loop over the pipe and HTTP (libmicrohttpd); the only other thread checks
 * passwords, because that takes long on purpose. After start it gives up what it does not
 * need (sandbox.h).
 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "server/counters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SERVER_FOREIGN_MAX = 2 };

/* Memory that the other processes share among each other. */
struct server_foreign {
    void *address;
    size_t bytes;
};

struct server_config {
    const int *listeners; /* listening sockets, inherited */
    size_t listener_count;
    const char *telemetry_path;  /* "/metrics" */
    const char *web_config_file; /* TLS and passwords; NULL: neither */
    size_t max_connections;      /* of all listeners together */
    uint64_t request_limit_ns;   /* from a request's first byte, or a connection's start,
                                    to the end of its headers */
    uint64_t response_limit_ns;  /* without a byte of a response taken */
    uint64_t idle_limit_ns;      /* between two requests of a connection */
    bool awaits_page;            /* one is on its way: whoever asks waits for it */
    bool with_sandbox;
    struct log log;
    struct server_counters *counters;
    /* Given up first: what the server could write there, the others would trust. */
    struct server_foreign foreign[SERVER_FOREIGN_MAX];
    size_t foreign_count;
    pid_t parent; /* the server ends when this process does */
};

/* For whoever has no reason to choose otherwise. */
#define SERVER_REQUEST_LIMIT_NS UINT64_C(10000000000)
#define SERVER_RESPONSE_LIMIT_NS UINT64_C(30000000000)
#define SERVER_IDLE_LIMIT_NS UINT64_C(120000000000)

/* What the server writes up for each frame that it took in, and once at its start, when
 * it answers. */
#define SERVER_ACK '.'

/**
 * server_run() - serve until FRAMES is at its end
 * @frames: frames come in here (frame.h)
 * @acks:   SERVER_ACK goes out here
 *
 * To be called in a process of its own: closes every other descriptor but the listeners
 * and standard error. Return: the exit status.
 */
int server_run(const struct server_config *config, int frames, int acks);
