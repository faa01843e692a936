/* The words for what was refused. */
#include "server/counters.h"

const char *server_refusal_name(enum server_refusal reason)
{
    static const char *const names[REFUSED_COUNT] = {
        [REFUSED_CONNECTIONS] = "too_many_connections",
        [REFUSED_SLOW] = "slow_request",
        [REFUSED_METHOD] = "method",
        [REFUSED_UNAUTHORIZED] = "unauthorized",
        [REFUSED_BUSY] = "password_queue_full",
        [REFUSED_RATE] = "rate_limit",
        [REFUSED_MALFORMED] = "malformed_request",
        [REFUSED_CONFIG] = "web_config_invalid",
    };
    return names[reason];
}
