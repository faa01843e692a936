/*
 * The parent's side of the server process: starts it, feeds it pages, starts it again.
 *
 * The listening sockets stay open here, so a server that ended is replaced without a
 * connection being refused.
 */
#pragma once

#include "server/page.h"
#include "server/server.h"

#include <sys/types.h>

struct server_process;

/* CONFIG is copied; what it points to outlives the process. NULL when memory is gone. */
struct server_process *server_process_new(const struct server_config *config);

/* Closes the pipe, at which the server ends, and kills it if it does not within a moment.
 * Accepts NULL. */
void server_process_free(struct server_process *server);

/* Called while the server is waited for, at least ten times a second. Return: false to
 * wait no longer: the program is about to end. */
typedef bool server_process_tick(void *context);
void server_process_set_tick(struct server_process *server, server_process_tick *tick,
                             void *context);

/* Starts the server and waits until it answers. Return: 0; negative when it ended or did
 * not answer; it has said why on standard error. */
int server_process_start(struct server_process *server, struct err *err)
    __attribute__((warn_unused_result));

/* The server shows PAGE, which is borrowed until the next call and shown again by a
 * server that has to be started anew. */
void server_process_show(struct server_process *server, const struct page *page);

/* The server reads its web configuration again. */
void server_process_reload(struct server_process *server);

/* Looks after the server: asks whether it lives, starts another where it does not, at
 * growing distances. To be called about once a second. */
void server_process_check(struct server_process *server);

/* Becomes readable when the server has ended; -1 while there is none. */
int server_process_fd(const struct server_process *server);

pid_t server_process_pid(const struct server_process *server); /* 0: none is running */
uint64_t server_process_restarts(const struct server_process *server);
