/* gpu-sessions prepare-textfile: what an init container does for a collector that is not
 * root. */
#include "agent/commands.h"
#include "output/textfile.h"

#include <stdlib.h>

int command_prepare_textfile(const struct config *config)
{
    struct err err = {0};
    if (textfile_share_directory(config->textfile, config->group, &err) == 0)
        return EXIT_SUCCESS;
    log_line(&config->log, LOG_ERROR, "%s", err.message);
    return EXIT_FAILURE;
}
