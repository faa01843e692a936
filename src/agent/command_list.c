/* gpu-sessions list: one collection as a table for a person, or as JSON for a program. */
#include "agent/commands.h"
#include "agent/supervisor.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "output/json.h"
#include "output/table.h"

#include <stdlib.h>
#include <sys/ioctl.h>

static bool wants_color(const struct config *config)
{
    if (config->color != COLOR_AUTO)
        return config->color == COLOR_ALWAYS;
    const char *no_color = getenv("NO_COLOR");
    return (!no_color || !*no_color) && isatty(STDOUT_FILENO);
}

static unsigned terminal_width(void)
{
    struct winsize size;
    bool is_known = isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    return is_known ? size.ws_col : 0;
}

/* What the worker needs to render; it can no longer ask the terminal itself. */
struct list_view {
    const struct config *config;
    struct table_options table;
};

static int render_list(const struct snapshot *snapshot, const void *context,
                       struct buf *out)
{
    const struct list_view *view = context;
    if (view->config->as_json)
        return json_render(snapshot, &view->config->filter, out);
    return table_render(snapshot, &view->config->filter, &view->table, out);
}

int command_list(const struct config *config)
{
    struct list_view view = {
        .config = config,
        .table = {.with_color = wants_color(config), .width = terminal_width()},
    };
    struct err err = {0};
    CLEANUP(supervisor_freep)
    struct supervisor *supervisor = supervisor_new(config, render_list, &view, NULL);
    CLEANUP(collection_done) struct collection collection = COLLECTION_INIT;
    int rc = supervisor ? supervisor_collect(supervisor, &collection, &err)
                        : err_set(&err, 1, ERR_ERRNO, 0, "no memory to start");
    if (rc == 0) {
        rc = fdio_write_all(STDOUT_FILENO, buf_str(&collection.body));
        if (rc != 0)
            (void)err_errno(&err, -rc, "cannot write to standard output");
    }
    if (rc != 0)
        log_line(&config->log, LOG_ERROR, "%s", err.message);
    return rc == 0 && collection.is_complete ? EXIT_SUCCESS : EXIT_FAILURE;
}
