/*
 * The daemon's parent process: collects on an interval through the supervisor, shows the
 * pages through the server process, and minds both.
 *
 * It opens no connection and reads no request; it calls no driver. So it is the one that
 * may wait for either of its children and replace it.
 */
#pragma once

#include "agent/config.h"
#include "agent/listeners.h"

/* Serves until SIGTERM or SIGINT. SIGHUP: reads the web configuration again and starts
 * the collecting process anew. SIGUSR1: closes the driver for config->release_ns;
 * SIGUSR2: takes it back. Return: the exit status. */
int daemon_run(const struct config *config, const struct listeners *listeners);
