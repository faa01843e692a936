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

struct server_config {
    const int *listeners; /* listening sockets, inherited */
    size_t listener_count;
    const char *telemetry_path;  /* "/metrics" */
    const char *web_config_file; /* TLS and passwords; NULL: neither */
    size_t max_connections;      /* of all listeners together */
    bool with_sandbox;
    struct log log;
    struct server_counters *counters;
};

/* What the server writes up for each frame that it took in, and once at its start, when
 * it answers. */
#define SERVER_ACK '.'

/**
 * server_run() - serve until FRAMES is at its end
 * @frames: frames come in here (frame.h)
 * @acks:   SERVER_ACK goes out here
 *
 * To be called in a process of its own that holds no other descriptor than these, the
 * listeners and standard error. Return: the exit status.
 */
int server_run(const struct server_config *config, int frames, int acks);
