/* gpu-sessions serve: reads the web configuration and listens first, so that what is
 * wrong with either ends the start and not the service. */
#include "agent/commands.h"
#include "agent/daemon.h"
#include "base/cleanup.h"
#include "server/web_config.h"

#include <stdlib.h>

/* The server process reads the file for itself; this is for a word before it starts. */
static int check_web_config(const struct config *config, bool *with_tls, struct err *err)
{
    CLEANUP(web_config_freep) struct web_config *web = NULL;
    *with_tls = false;
    if (!config->web_config_file)
        return 0;
    int rc = web_config_load(config->web_config_file, &web, err);
    if (rc == 0)
        *with_tls = web_config_settings(web)->with_tls;
    return rc;
}

static void log_addresses(const struct config *config, const struct listeners *listeners,
                          bool with_tls)
{
    for (size_t i = 0; i < listeners->count; i++) {
        char address[LISTENERS_ADDRESS_BYTES];
        listeners_describe(listeners, i, address);
        log_line(&config->log, LOG_INFO, "serving %s://%s%s, collecting every %g s",
                 with_tls ? "https" : "http", address, config->telemetry_path,
                 (double)config->interval_ns / 1e9);
    }
}

int command_serve(const struct config *config)
{
    struct err err = {0};
    struct listeners listeners = {0};
    bool with_tls;
    if (check_web_config(config, &with_tls, &err) != 0) {
        log_line(&config->log, LOG_ERROR, "%s", err.message);
        return EXIT_FAILURE; /* what a file says is no usage */
    }
    if (listeners_open(config, &listeners, &err) != 0) {
        log_line(&config->log, LOG_ERROR, "%s", err.message);
        return err.domain == ERR_USAGE ? EXIT_USAGE : EXIT_FAILURE;
    }
    log_line(&config->log, LOG_INFO, "gpu-sessions %s starting", PROGRAM_VERSION);
    log_addresses(config, &listeners, with_tls);
    int status = daemon_run(config, &listeners);
    listeners_close(&listeners);
    return status;
}
