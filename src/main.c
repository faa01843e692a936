/* gpu-sessions: reads what was asked for, runs it, turns the outcome into an exit status.
 */
#include "agent/commands.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* A closed standard descriptor would be given to the next file or pipe that is opened,
 * and printing would then go there. Read-only, so that printing fails with a word. */
static bool fill_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd < STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
    return fd >= 0;
}

int main(int argc, char **argv)
{
    if (!fill_standard_descriptors())
        return EXIT_FAILURE;
    struct config config;
    struct err err = {0};
    int rc = config_read(argc, argv, &config, &err);
    if (rc == CONFIG_DONE)
        return EXIT_SUCCESS;
    if (rc < 0) {
        struct log log = {LOG_INFO, LOG_LOGFMT};
        log_line(&log, LOG_ERROR, "%s", err.message);
        return EXIT_USAGE;
    }
    /* A reader that went away shows as EPIPE on the write, not as a silent end. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* likewise EFBIG past a file size limit */
    switch (config.command) {
    case COMMAND_COLLECT: return command_collect(&config);
    case COMMAND_SERVE: return command_serve(&config);
    case COMMAND_LIST: return command_list(&config);
    case COMMAND_PREPARE_TEXTFILE: return command_prepare_textfile(&config);
    case COMMAND_SIMULATE: return command_simulate(&config);
    case COMMAND_NONE: break;
    }
    return EXIT_USAGE;
}
