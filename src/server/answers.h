/*
 * Answers that never change, made once.
 */
#pragma once

#include "base/buf.h"
#include "server/extra_headers.h"

#include <microhttpd.h>

enum answer {
    ANSWER_HEALTHY,
    ANSWER_READY,
    ANSWER_NO_COLLECTION, /* there is nothing to serve yet */
    ANSWER_NO_MEMORY,
    ANSWER_NOT_FOUND,
    ANSWER_METHOD,
    ANSWER_UNAUTHORIZED, /* no password, or a wrong one */
    ANSWER_TOO_MANY,     /* requests, by the rate limit */
    ANSWER_BUSY,         /* too many passwords are waiting to be checked */
    ANSWER_BODY,
    ANSWER_LANDING,
    ANSWER_COUNT,
};

struct answers {
    struct MHD_Response *responses[ANSWER_COUNT];
};

/* With the EXTRA headers on each. Return: 0 or -ENOMEM; answers_done() is to be called in
 * either case. */
int answers_init(struct answers *answers, const char *telemetry_path,
                 const struct extra_headers *extra) __attribute__((warn_unused_result));
void answers_done(struct answers *answers);

/* Return: MHD_NO when the connection is to be closed. */
enum MHD_Result answers_queue(const struct answers *answers,
                              struct MHD_Connection *connection, enum answer answer);

/* A response with BODY, which is copied, as plain text that nobody keeps. Return: NULL
 * without memory. */
struct MHD_Response *answers_make_text(struct buf *body,
                                       const struct extra_headers *extra);
