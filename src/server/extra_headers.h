/*
 * Headers that the web configuration puts on every answer.
 */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

struct extra_header {
    const char *name;
    const char *value;
};

struct extra_headers {
    const struct extra_header *items;
    size_t count;
};

/* Adds them to RESPONSE, in place of those of the same name. Return: false without
 * memory. */
bool extra_headers_add(const struct extra_headers *headers,
                       struct MHD_Response *response);
