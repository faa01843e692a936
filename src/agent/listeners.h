/*
 * The sockets that the daemon serves on: opened here, or handed over by systemd.
 *
 * The coordinating process holds them, so that the serving process can be replaced
 * without a refused connection.
 */
#pragma once

#include "agent/config.h"

enum {
    LISTENERS_MAX = 16,
    LISTENERS_ADDRESS_BYTES = 64, /* "[address%zone]:port" */
};

struct listeners {
    int fds[LISTENERS_MAX];
    size_t count;
};

/**
 * listeners_open() - listening sockets for config->listen, or those of systemd
 *
 * An entry is HOST:PORT, or several with commas between them. HOST is an IPv4 address, an
 * IPv6 address in brackets, or a name, of which all addresses are taken. Without HOST:
 * every address of the host, by one socket for IPv6 and IPv4 where the kernel has both.
 * "[::]" means the same, unless another entry asks for 0.0.0.0 at that port. Port 0 is
 * any that is free.
 *
 * With config->with_systemd_socket the descriptors announced by LISTEN_PID and LISTEN_FDS
 * are taken instead, and these variables removed.
 *
 * All sockets are non-blocking and closed on exec. Return: 0; negative with words that
 * name the address and what to do about it: nothing is open then.
 */
int listeners_open(const struct config *config, struct listeners *out, struct err *err)
    __attribute__((warn_unused_result));

void listeners_close(struct listeners *listeners);

/* The address that socket number INDEX is bound to, with its real port, as it stands in a
 * URL: "127.0.0.1:41235", "[::]:10105". */
void listeners_describe(const struct listeners *listeners, size_t index,
                        char text[LISTENERS_ADDRESS_BYTES]);
