/*
 * The web configuration at work: TLS, passwords, rate limit and headers, and their change
 * while the server runs.
 *
 * A new configuration counts from the next request on, a new certificate from the next
 * connection on. One that cannot be used is reported, once by itself and whenever
 * somebody asks for it to be loaded, and the old one stays.
 */
#pragma once

#include "server/http.h"
#include "server/web_config.h"

struct web_gate;

/* Loads the file that CONFIG names, if any. CONFIG must outlive the gate. Return: 0, or
 * negative: with such a file there is no serving. */
int web_gate_new(const struct server_config *config, struct web_gate **out,
                 struct err *err) __attribute__((warn_unused_result));

/* Starts the thread for passwords: after sandbox_enter(), which binds only threads that
 * come later, and before the first request. */
int web_gate_start(struct web_gate *gate, struct err *err)
    __attribute__((warn_unused_result));

/* After http_free(). Accepts NULL. */
void web_gate_free(struct web_gate *gate);

/* How HTTP is to be served by what was loaded. */
struct http_setup web_gate_setup(struct web_gate *gate);
struct extra_headers web_gate_headers(const struct web_gate *gate);

/* NULL without a file. Borrowed until the next run or reload. */
const struct web_config *web_gate_config(const struct web_gate *gate);

/* To be waited on for reading; -1: nothing. */
int web_gate_poll_fd(const struct web_gate *gate);

/* Lets go on who waited for a check of their password. Looks, at most once a second,
 * whether a file has changed. */
void web_gate_run(struct web_gate *gate, struct http *http, uint64_t now_ns);

/* Loads the configuration again, changed or not, and logs what came of it. */
void web_gate_reload(struct web_gate *gate, struct http *http);
