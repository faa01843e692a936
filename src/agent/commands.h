/* The subcommands. Each returns the program's exit status: 0 done, 1 it failed, or what
 * follows. */
#pragma once

#include "agent/config.h"

enum { EXIT_USAGE = 2 }; /* what was asked for cannot be */

int command_collect(const struct config *config);
int command_serve(const struct config *config);
int command_list(const struct config *config);
int command_prepare_textfile(const struct config *config);
int command_simulate(const struct config *config);
