/*
 * The alternative names of a client's certificate.
 */
#pragma once

#include <gnutls/x509.h>
#include <stdbool.h>
#include <stddef.h>

/* Is one of CERTIFICATE's names (DNS, IP address, mail address, URI) literally one of
 * ALLOWED? No wildcards; addresses are compared by value. */
bool tls_san_is_any_of(gnutls_x509_crt_t certificate, const char *const *allowed,
                       size_t count);
