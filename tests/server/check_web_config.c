/* Is FILE a web configuration that can be used? Usage: check_web_config FILE */
#include "server/web_config.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct web_config *config;
    struct err err = {0};
    if (argc != 2)
        return 2;
    if (web_config_load(argv[1], &config, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    web_config_free(config);
    return 0;
}
