/*
 * The Authorization header of RFC 7617: user and password out of base64.
 */
#pragma once

#include "base/str.h"

/* libxcrypt takes no longer passwords (bcrypt itself looks at 72 bytes). */
#define BASIC_AUTH_PASSWORD_MAX 511
#define BASIC_AUTH_USER_MAX 255

struct basic_auth {
    char user[BASIC_AUTH_USER_MAX + 1];
    char password[BASIC_AUTH_PASSWORD_MAX + 1];
};

/* Reads "Basic dXNlcjpwYXNz". Return: false, with nothing written, when it is another
 * scheme, not base64, without a colon, holds a NUL or is longer than the bounds. The
 * caller wipes *OUT. */
bool basic_auth_parse(struct str header, struct basic_auth *out);
