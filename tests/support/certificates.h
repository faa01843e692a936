/* Certificates made on the spot, so that none in the tree can expire. */
#pragma once

#include "base/str.h"
#include "cmocka_all.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <time.h>

struct test_certificate {
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key;
    gnutls_datum_t crt_pem, key_pem;
};

/* Named NAME, also as the DNS name, for PURPOSE (NULL: a CA); signed by ISSUER (NULL: by
 * itself). */
static inline struct test_certificate certificate_make(
    const char *name, const char *purpose, const struct test_certificate *issuer)
{
    struct test_certificate made;
    time_t now = time(NULL);
    assert_int_equal(gnutls_x509_crt_init(&made.crt), 0);
    assert_int_equal(gnutls_x509_privkey_init(&made.key), 0);
    assert_int_equal(
        gnutls_x509_privkey_generate(made.key, GNUTLS_PK_ECDSA,
                                     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
        0);
    gnutls_x509_crt_set_version(made.crt, 3);
    gnutls_x509_crt_set_serial(made.crt, name, strlen(name));
    gnutls_x509_crt_set_activation_time(made.crt, now - 3600);
    gnutls_x509_crt_set_expiration_time(made.crt, now + 3600);
    gnutls_x509_crt_set_dn(made.crt, purpose ? "CN=leaf" : "CN=ca", NULL);
    gnutls_x509_crt_set_key(made.crt, made.key);
    gnutls_x509_crt_set_subject_alt_name(made.crt, GNUTLS_SAN_DNSNAME, name,
                                         (unsigned)strlen(name), GNUTLS_FSAN_SET);
    gnutls_x509_crt_set_basic_constraints(made.crt, purpose == NULL, -1);
    if (purpose)
        gnutls_x509_crt_set_key_purpose_oid(made.crt, purpose, 0);
    gnutls_x509_crt_set_key_usage(made.crt, purpose ? GNUTLS_KEY_DIGITAL_SIGNATURE
                                                    : GNUTLS_KEY_KEY_CERT_SIGN);
    assert_int_equal(gnutls_x509_crt_sign2(made.crt, issuer ? issuer->crt : made.crt,
                                           issuer ? issuer->key : made.key,
                                           GNUTLS_DIG_SHA256, 0),
                     0);
    gnutls_x509_crt_export2(made.crt, GNUTLS_X509_FMT_PEM, &made.crt_pem);
    gnutls_x509_privkey_export2(made.key, GNUTLS_X509_FMT_PEM, &made.key_pem);
    return made;
}

static inline void certificate_done(struct test_certificate *certificate)
{
    gnutls_x509_crt_deinit(certificate->crt);
    gnutls_x509_privkey_deinit(certificate->key);
    gnutls_free(certificate->crt_pem.data);
    gnutls_free(certificate->key_pem.data);
}

static inline struct str certificate_text(const gnutls_datum_t *pem)
{
    return (struct str){(const char *)pem->data, pem->size};
}
