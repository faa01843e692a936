/* gpu-sessions simulate: makes a node that the other commands can be pointed at. */
#include "agent/commands.h"
#include "sim/node/simulate.h"

#include <stdlib.h>
#include <unistd.h>

int command_simulate(const struct config *config)
{
    struct simulate_options options = {
        .directory = config->directory,
        .scenario = config->scenario,
        .hold = config->hold,
        .freeze = config->freeze,
        .list = config->list_scenarios,
        .output_fd = STDOUT_FILENO,
    };
    struct err err = {0};
    if (simulate_run(&options, &err) == 0)
        return EXIT_SUCCESS;
    log_line(&config->log, LOG_ERROR, "%s", err.message);
    return EXIT_FAILURE;
}
