/*
 * From libcurl's outcome to ours: an errno value and one sentence with cause and remedy.
 */
#pragma once

#include "source/http_transfer.h"

/* What CODE means for TRANSFER, whose handle still has the request. Return: 0 for
 * CURLE_OK, otherwise as http_client.h lists. */
int http_failure_set(const struct http_transfer *transfer, CURLcode code,
                     struct err *err);
