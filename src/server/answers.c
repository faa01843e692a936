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
    /* The body is not read, so the connection cannot go on. */
    [ANSWER_BODY] = {MHD_HTTP_CONTENT_TOO_LARGE, PLAIN, "no request body is taken\n",
                     "Connection", "close"},
    [ANSWER_LANDING] = {MHD_HTTP_OK, HTML, NULL, "Content-Security-Policy",
                        "default-src 'none'; base-uri 'none'; form-action 'none'; "
                        "frame-ancestors 'none'"},
};

static bool add_headers(struct MHD_Response *response, const struct form *form)
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
    return true;
}

int answers_init(struct answers *answers, const char *telemetry_path)
{
    *answers = (struct answers){.landing = BUF_INIT(LANDING_MAX_BYTES)};
    landing_render(telemetry_path, &answers->landing);
    if (buf_is_full(&answers->landing))
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        struct str body =
            forms[i].body ? str_from(forms[i].body) : buf_str(&answers->landing);
        const struct MHD_IoVec vector = {body.p, body.n};
        answers->responses[i] = MHD_create_response_from_iovec(&vector, 1, NULL, NULL);
        if (!answers->responses[i] || !add_headers(answers->responses[i], &forms[i]))
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
    buf_done(&answers->landing);
}

enum MHD_Result answers_queue(const struct answers *answers,
                              struct MHD_Connection *connection, enum answer answer)
{
    return MHD_queue_response(connection, forms[answer].status,
                              answers->responses[answer]);
}

struct MHD_Response *answers_make_text(struct buf *body)
{
    const struct form plain = {.type = PLAIN};
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->p, MHD_RESPMEM_MUST_COPY);
    if (response && !add_headers(response, &plain)) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}
