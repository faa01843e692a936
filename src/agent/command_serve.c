/* gpu-sessions serve: listens first, so that what is wrong with an address ends the start
 * and not the service. */
#include "agent/commands.h"
#include "agent/daemon.h"
#include "base/cleanup.h"

#include <stdlib.h>

int command_serve(const struct config *config)
{
    struct err err = {0};
    struct listeners listeners = {0};
    if (listeners_open(config, &listeners, &err) != 0) {
        log_line(&config->log, LOG_ERROR, "%s", err.message);
        return err.domain == ERR_USAGE ? EXIT_USAGE : EXIT_FAILURE;
    }
    int status = daemon_run(config, &listeners);
    listeners_close(&listeners);
    return status;
}
