/* gpu-sessions serve: the daemon. */
#include "agent/commands.h"

#include <stdlib.h>

int command_serve(const struct config *config)
{
    log_line(&config->log, LOG_ERROR, "the server is not part of this build");
    return EXIT_FAILURE;
}
