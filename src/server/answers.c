/* A table of status, type and words. */
#include "server/answers.h"

#include "base/cleanup.h"
#include "server/landing.h"

#include <errno.h>

#define PLAIN "text/plain; charset=utf-8"
#define HTML "text/html; charset=utf-8"

enum { LANDING_MAX_BYTES = 65536 };

static const struct form {
    unsigned status;
    const char *type;
    const char *body; /* NULL: the landing page */
    const char *header, *value;
} forms[ANSWER_COUNT] = {
    [ANSWER_HEALTHY] = {MHD_HTTP_OK, PLAIN, "ok\n", NULL, NULL},
    [ANSWER_READY] = {MHD_HTTP_OK, PLAIN, "ready\n", NULL, NULL},
    [ANSWER_NO_COLLECTION] = {MHD_HTTP_SERVICE_UNAVAILABLE, PLAIN, "no collection yet\n",
                              "Retry-After", "1"},
    [ANSWER_NO_MEMORY] = {MHD_HTTP_SERVICE_UNAVAILABLE, PLAIN, "no memory to answer\n",
                          "Retry-After", "1"},
    [ANSWER_NOT_FOUND] = {MHD_HTTP_NOT_FOUND, PLAIN, "not found\n", NULL, NULL},
    [ANSWER_METHOD] = {MHD_HTTP_METHOD_NOT_ALLOWED, PLAIN, "only GET and HEAD\n", "Allow",
                       "GET, HEAD"},
    [ANSWER_UNAUTHORIZED] = {MHD_HTTP_UNAUTHORIZED, PLAIN,
                             "a user name and password are needed\n", "WWW-Authenticate",
                             "Basic realm=\"gpu-sessions\""},
    [ANSWER_TOO_MANY] = {MHD_HTTP_TOO_MANY_REQUESTS, PLAIN, "too many requests\n",
                         "Retry-After", "1"},
    [ANSWER_BUSY] = {MHD_HTTP_SERVICE_UNAVAILABLE, PLAIN,
                     "too many passwords are waiting to be checked\n", "Retry-After",
                     "1"},
    /* The body is not read, so the connection cannot go on. */
    [ANSWER_BODY] = {MHD_HTTP_CONTENT_TOO_LARGE, PLAIN, "no request body is taken\n",
                     "Connection", "close"},
    [ANSWER_LANDING] = {MHD_HTTP_OK, HTML, NULL, "Content-Security-Policy",
                        "default-src 'none'; base-uri 'none'; form-action 'none'; "
                        "frame-ancestors 'none'"},
};

static bool add_headers(struct MHD_Response *response, const struct form *form,
                        const struct extra_headers *extra)
{
    const struct {
        const char *name, *value;
    } headers[] = {
        {"Content-Type", form->type},
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {form->header, form->value},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(headers); i++) {
        if (headers[i].name && MHD_add_response_header(response, headers[i].name,
                                                       headers[i].value) != MHD_YES)
            return false;
    }
    return extra_headers_add(extra, response);
}

int answers_init(struct answers *answers, const char *telemetry_path,
                 const struct extra_headers *extra)
{
    CLEANUP(buf_done) struct buf landing = BUF_INIT(LANDING_MAX_BYTES);
    *answers = (struct answers){.responses = {NULL}};
    landing_render(telemetry_path, &landing);
    if (buf_is_full(&landing))
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        struct str body = forms[i].body ? str_from(forms[i].body) : buf_str(&landing);
        struct MHD_Response *response = MHD_create_response_from_buffer(
            body.n, str_without_const(body), MHD_RESPMEM_MUST_COPY);
        answers->responses[i] = response;
        if (!response || !add_headers(response, &forms[i], extra))
            return -ENOMEM;
    }
    return 0;
}

void answers_done(struct answers *answers)
{
    for (size_t i = 0; i < ARRAY_LENGTH(answers->responses); i++) {
        struct MHD_Response *response = TAKE(answers->responses[i]);
        if (response)
            MHD_destroy_response(response);
    }
}

enum MHD_Result answers_queue(const struct answers *answers,
                              struct MHD_Connection *connection, enum answer answer)
{
    return MHD_queue_response(connection, forms[answer].status,
                              answers->responses[answer]);
}

struct MHD_Response *answers_make_text(struct buf *body,
                                       const struct extra_headers *extra)
{
    const struct form plain = {.type = PLAIN};
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->p, MHD_RESPMEM_MUST_COPY);
    if (response && !add_headers(response, &plain, extra)) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}
