/* Alternative names, compared as text and addresses as addresses. */
#include "server/tls_san.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/* DNS names have 253 bytes at most; URIs of workload identities are longer. */
#define SAN_BYTES_MAX 2048
#define SANS_READ_MAX 256

static bool is_address(const char *text, const char *name, size_t bytes)
{
    unsigned char address[16];
    int family = bytes == 4 ? AF_INET : AF_INET6;
    return (bytes == 4 || bytes == 16) && inet_pton(family, text, address) == 1 &&
           memcmp(address, name, bytes) == 0;
}

static bool is_name(const char *text, unsigned type, const char *name, size_t bytes)
{
    if (type == GNUTLS_SAN_IPADDRESS)
        return is_address(text, name, bytes);
    if (type != GNUTLS_SAN_DNSNAME && type != GNUTLS_SAN_RFC822NAME &&
        type != GNUTLS_SAN_URI)
        return false;
    /* with the length: a name may hold a NUL */
    return strlen(text) == bytes && memcmp(text, name, bytes) == 0;
}

bool tls_san_is_any_of(gnutls_x509_crt_t certificate, const char *const *allowed,
                       size_t count)
{
    for (unsigned i = 0; i < SANS_READ_MAX; i++) {
        char name[SAN_BYTES_MAX];
        size_t bytes = sizeof name;
        unsigned type;
        int rc = gnutls_x509_crt_get_subject_alt_name2(certificate, i, name, &bytes,
                                                       &type, NULL);
        if (rc == GNUTLS_E_SHORT_MEMORY_BUFFER)
            continue;
        if (rc < 0)
            return false; /* the end of the list, or not one */
        for (size_t at = 0; at < count; at++) {
            if (is_name(allowed[at], type, name, bytes))
                return true;
        }
    }
    return false;
}
