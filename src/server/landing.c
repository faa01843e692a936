/* Static text around one path, which comes from the command line. */
#include "server/landing.h"

static void append_escaped(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        switch (text.p[i]) {
        case '&': buf_append(out, STR("&amp;")); break;
        case '<': buf_append(out, STR("&lt;")); break;
        case '>': buf_append(out, STR("&gt;")); break;
        case '"': buf_append(out, STR("&quot;")); break;
        default: buf_append_char(out, text.p[i]);
        }
    }
}

void landing_render(const char *telemetry_path, struct buf *out)
{
    buf_append_text(out, "<!DOCTYPE html>\n"
                         "<html lang=\"en\">\n"
                         "<head>\n"
                         "<meta charset=\"utf-8\">\n"
                         "<meta name=\"viewport\" content=\"width=device-width\">\n"
                         "<meta name=\"color-scheme\" content=\"light dark\">\n"
                         "<title>GPU sessions</title>\n"
                         "</head>\n"
                         "<body>\n"
                         "<main>\n"
                         "<h1>GPU sessions</h1>\n"
                         "<p>Who is using each GPU of this node, since when, how much. "
                         "Version " PROGRAM_VERSION "</p>\n"
                         "<ul>\n"
                         "<li><a href=\"");
    append_escaped(out, str_from(telemetry_path));
    buf_append_text(out, "\">Metrics</a> for Prometheus</li>\n"
                         "<li><a href=\"/api/v1/sessions\">Sessions</a> as JSON</li>\n"
                         "<li><a href=\"/api/v1/devices\">Devices</a> as JSON</li>\n"
                         "<li><a href=\"/healthz\">Health</a>: the server answers</li>\n"
                         "<li><a href=\"/readyz\">Readiness</a>: it has fresh data, "
                         "or says why not</li>\n"
                         "</ul>\n"
                         "</main>\n"
                         "</body>\n"
                         "</html>\n");
}
