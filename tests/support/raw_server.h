/*
 * A server that sends prepared bytes, in a process of its own: what a client makes of an
 * answer that no proper server would give.
 */
#pragma once

#include "base/cleanup.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct raw_server {
    pid_t pid;
    char url[64];  /* http://127.0.0.1:PORT/page */
    char path[64]; /* of the unix socket, when it has one */
};

/* How the prepared bytes go out after each request. */
enum raw_manner {
    RAW_CLOSE,   /* once, then the connection is closed */
    RAW_KEEP,    /* once per request, the connection stays */
    RAW_ENDLESS, /* first HEAD, then BODY again and again */
    RAW_DRIP,    /* first HEAD, then one byte of BODY each 20 ms */
    RAW_SILENT,  /* nothing, ever */
};

struct raw_page {
    enum raw_manner manner;
    const char *head;
    const char *body; /* may be NULL */
};

static inline bool raw_send(int fd, const char *text, size_t n)
{
    return send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* Reads to the end of a request's headers (and body, where a test sends a short one in
 * the same piece). */
static inline bool raw_read_request(int fd)
{
    char bytes[8192];
    size_t n = 0;
    while (n < sizeof bytes - 1) {
        ssize_t got = read(fd, bytes + n, sizeof bytes - 1 - n);
        if (got <= 0)
            return false;
        n += (size_t)got;
        bytes[n] = '\0';
        if (strstr(bytes, "\r\n\r\n"))
            return true;
    }
    return false;
}

static inline void raw_answer_body(int fd, const struct raw_page *page)
{
    size_t n = strlen(page->body);
    const struct timespec pause = {.tv_nsec = 20000000};
    for (size_t i = 0;; i++) {
        bool is_sent = page->manner == RAW_ENDLESS ? raw_send(fd, page->body, n)
                                                   : raw_send(fd, page->body + i % n, 1);
        if (!is_sent)
            return;
        if (page->manner == RAW_DRIP)
            (void)nanosleep(&pause, NULL);
    }
}

static inline void raw_answer(int fd, const struct raw_page *page)
{
    do {
        if (!raw_read_request(fd))
            return;
        if (page->manner == RAW_SILENT)
            (void)pause();
        if (!raw_send(fd, page->head, strlen(page->head)))
            return;
        if (page->manner == RAW_ENDLESS || page->manner == RAW_DRIP)
            raw_answer_body(fd, page);
        else if (page->body)
            (void)raw_send(fd, page->body, strlen(page->body));
    } while (page->manner == RAW_KEEP);
}

__attribute__((noreturn)) static inline void raw_serve(int listener,
                                                       const struct raw_page *page)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            _exit(1);
        raw_answer(fd, page);
        (void)shutdown(fd, SHUT_WR);
        char rest[256]; /* so that the close sends no reset before the answer is read */
        while (read(fd, rest, sizeof rest) > 0)
            ;
        close(fd);
    }
}

static inline struct raw_server raw_start_on(int listener, const struct raw_page *page)
{
    struct raw_server server = {.pid = -1};
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    if (listen(listener, 8) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        abort();
    if (address.sin_family == AF_INET)
        (void)snprintf(server.url, sizeof server.url, "http://127.0.0.1:%u/page",
                       (unsigned)ntohs(address.sin_port));
    else
        (void)snprintf(server.url, sizeof server.url, "http://localhost/page");
    server.pid = fork();
    if (server.pid == 0)
        raw_serve(listener, page);
    close(listener);
    return server;
}

static inline struct raw_server raw_start(const struct raw_page *page)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        abort();
    return raw_start_on(fd, page);
}

static inline struct raw_server raw_start_unix(const struct raw_page *page)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "/tmp/raw-server-%d.sock",
                   (int)getpid());
    (void)unlink(address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        abort();
    struct raw_server server = raw_start_on(fd, page);
    (void)snprintf(server.path, sizeof server.path, "%s", address.sun_path);
    return server;
}

static inline void raw_stop(struct raw_server *server)
{
    if (server->pid > 0) {
        (void)kill(server->pid, SIGKILL);
        (void)waitpid(server->pid, NULL, 0);
    }
    if (server->path[0])
        (void)unlink(server->path);
    server->pid = -1;
}
