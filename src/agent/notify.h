/*
 * What the daemon tells the service manager: sd_notify(3) without its library.
 *
 * One datagram per message to the socket that the environment names. None of these
 * blocks or fails the daemon; without a socket they do nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    struct sockaddr_un address;
    socklen_t address_bytes; /* 0: nobody wants to know */
    uint64_t watchdog_ns;    /* the longest silence that is forgiven; 0: any */
    uint64_t fed_at_ns;      /* the watchdog, last */
};

/**
 * notify_open() - take over what the environment says about the service manager
 *
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and removes them: programs that are
 * started by this one must not speak for it. A socket of another kind than a path or an
 * abstract name, and a watchdog that is meant for another process, are taken for none.
 */
void notify_open(struct notify *out);

/* The service does its work; after notify_reloading(): again. */
void notify_ready(const struct notify *notify);
/* It reads its configuration again. */
void notify_reloading(const struct notify *notify);
/* It is about to end. */
void notify_stopping(const struct notify *notify);
/* It is alive: for the loop that would hang, to be called at least every
 * notify_watchdog_share(). Sends no more than that often, and nothing where nobody
 * watches. */
void notify_watchdog(struct notify *notify);
/* A quarter of watchdog_ns; UINT64_MAX where nobody watches. */
uint64_t notify_watchdog_share(const struct notify *notify);
/* One line for people, in `systemctl status`. */
__attribute__((format(printf, 2, 3))) void notify_status(const struct notify *notify,
                                                         const char *format, ...);
