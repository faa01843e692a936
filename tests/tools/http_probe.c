/*
 * One request of our HTTP client:  http_probe URL CA-FILE CONNECT-TO TOKEN, "" for none.
 * Prints "STATUS BODY-BYTES", or the counters' word and the message.
 */
#include "source/http_client.h"

#include <stdio.h>

static const char *argument(const char *text)
{
    return text[0] ? text : NULL;
}

int main(int argc, char **argv)
{
    struct http_client *client = NULL;
    struct http_answer answer = {0};
    struct err err = {0};
    if (argc != 5)
        return 2;
    const struct http_request request = {
        .url = argv[1],
        .ca_file = argument(argv[2]),
        .connect_to = argument(argv[3]),
        .bearer_token = argument(argv[4]),
        .timeout_ns = UINT64_C(10000000000),
        .max_body_bytes = 1 << 20,
    };
    int rc = http_client_open(&client, &err);
    if (rc == 0)
        rc = http_get(client, &request, &answer, &err);
    if (rc == 0)
        (void)printf("%ld %d\n", answer.status, (int)answer.body_bytes);
    else
        (void)printf("%s %s\n", http_failure_word(rc), err.message);
    http_client_close(client);
    return 0;
}
