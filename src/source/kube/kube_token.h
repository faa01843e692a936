/*
 * The service account's token. It is rotated about every hour, so it is read again for
 * each request; a request is rare.
 */
#pragma once

#include "base/err.h"

enum { KUBE_TOKEN_BYTES = 16 * 1024 };

#define KUBE_SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

/* Fills TOKEN, NUL-terminated. Return: 0, or -errno with words that name the file and the
 * remedy; never the token itself. */
int kube_token_read(const char *path, char token[KUBE_TOKEN_BYTES + 1], struct err *err)
    __attribute__((warn_unused_result));
