/* The subcommands. Each returns the program's exit status: 0 done, 1 collection failed.
 */
#pragma once

#include "agent/config.h"

int command_collect(const struct config *config);
int command_serve(const struct config *config);
int command_list(const struct config *config);
int command_simulate(const struct config *config);
