/* bcrypt hashes: their form, and the slow comparison. */
#include "server/bcrypt.h"

#include <gnutls/gnutls.h>
#include <stdio.h>

static bool is_bcrypt_base64(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '/';
}

bool bcrypt_parse(struct str hash, unsigned *cost)
{
    uint32_t number;
    if (hash.n != BCRYPT_HASH_BYTES)
        return false;
    if (!str_starts(hash, STR("$2a$")) && !str_starts(hash, STR("$2b$")) &&
        !str_starts(hash, STR("$2y$")))
        return false;
    if (!str_u32(str_part(hash, 4, 2), &number) || hash.p[6] != '$')
        return false;
    for (size_t i = 7; i < hash.n; i++) {
        if (!is_bcrypt_base64(hash.p[i]))
            return false;
    }
    *cost = number;
    return true;
}

void bcrypt_write_dummy(unsigned cost, char *out)
{
    snprintf(out, BCRYPT_HASH_BYTES + 1,
             "$2b$%02u$......................eeeeeeeeeeeeeeeeeeeeeeeeeeeeeee", cost);
}

bool bcrypt_matches(const char *password, const char *hash, struct crypt_data *scratch)
{
    const char *again = crypt_rn(password, hash, scratch, (int)sizeof *scratch);
    bool is_equal = again && strlen(again) == BCRYPT_HASH_BYTES &&
                    strlen(hash) == BCRYPT_HASH_BYTES &&
                    gnutls_memcmp(again, hash, BCRYPT_HASH_BYTES) == 0;
    explicit_bzero(scratch, sizeof *scratch);
    return is_equal;
}
