/*
 * Basic authentication: the header only. Written here because libmicrohttpd's own reader
 * leaves copies of the password in memory that it does not wipe.
 */
#include "server/basic_auth.h"

#include <gnutls/gnutls.h>
#include <strings.h>

#define SCHEME "Basic "
/* Of all that can be valid: user, colon and password, as base64. */
#define BASE64_BYTES_MAX                                                                 \
    ((BASIC_AUTH_USER_MAX + 1 + BASIC_AUTH_PASSWORD_MAX + 2) / (size_t)3 * 4)

static bool split_pair(struct str pair, struct basic_auth *out)
{
    ptrdiff_t colon = str_find(pair, ':');
    if (colon < 0 || colon > BASIC_AUTH_USER_MAX || str_find(pair, '\0') >= 0)
        return false;
    size_t user_bytes = (size_t)colon;
    size_t password_bytes = pair.n - user_bytes - 1;
    if (password_bytes > BASIC_AUTH_PASSWORD_MAX)
        return false;
    *out = (struct basic_auth){0};
    memcpy(out->user, pair.p, user_bytes);
    memcpy(out->password, pair.p + user_bytes + 1, password_bytes);
    return true;
}

bool basic_auth_parse(struct str header, struct basic_auth *out)
{
    /* RFC 7235: the scheme in any case, then one or more blanks */
    if (header.n < sizeof SCHEME - 1 ||
        strncasecmp(header.p, SCHEME, sizeof SCHEME - 1) != 0)
        return false;
    struct str base64 =
        str_trim(str_part(header, sizeof SCHEME - 1, header.n - (sizeof SCHEME - 1)));
    if (base64.n == 0 || base64.n > BASE64_BYTES_MAX)
        return false;

    gnutls_datum_t encoded = {str_without_const(base64), (unsigned)base64.n};
    gnutls_datum_t decoded = {0};
    if (gnutls_base64_decode2(&encoded, &decoded) != GNUTLS_E_SUCCESS)
        return false;
    bool is_pair =
        split_pair((struct str){(const char *)decoded.data, decoded.size}, out);
    explicit_bzero(decoded.data, decoded.size);
    gnutls_free(decoded.data);
    return is_pair;
}
