/*
 * GnuTLS credentials and the verification of clients.
 *
 * No session tickets are offered, so that no client returns by resumption past a
 * verification that has become stricter.
 */
#include "server/tls.h"

#include "base/cleanup.h"
#include "server/tls_san.h"

#include <errno.h>
#include <gnutls/x509.h>

#define PRIORITY_BYTES_MAX 1024

struct tls {
    size_t references;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
    enum client_auth client_auth;
    size_t san_count;
    char **sans;
};

static gnutls_datum_t datum(struct str text)
{
    return (gnutls_datum_t){str_without_const(text), (unsigned)text.n};
}

static int load_key_pair(struct tls *tls, const struct tls_material *material,
                         struct err *err)
{
    gnutls_datum_t cert = datum(material->cert), key = datum(material->key);
    int rc = gnutls_certificate_set_x509_key_mem2(tls->credentials, &cert, &key,
                                                  GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rc >= 0)
        return 0;
    if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return err_set(err, EINVAL, ERR_PARSE, rc,
                       "%s is not the key of the first certificate in %s",
                       material->key_file, material->cert_file);
    return err_set(err, EINVAL, ERR_PARSE, rc,
                   "cannot use certificate %s with key %s: %s; both must be PEM, the key "
                   "without a password",
                   material->cert_file, material->key_file, gnutls_strerror(rc));
}

static int load_client_ca(struct tls *tls, const struct tls_material *material,
                          struct err *err)
{
    if (!material->client_ca.n)
        return 0;
    gnutls_datum_t ca = datum(material->client_ca);
    int rc =
        gnutls_certificate_set_x509_trust_mem(tls->credentials, &ca, GNUTLS_X509_FMT_PEM);
    if (rc > 0)
        return 0;
    return err_set(err, EINVAL, ERR_PARSE, rc, "%s has no CA certificate in PEM: %s",
                   material->client_ca_file, rc < 0 ? gnutls_strerror(rc) : "none found");
}

static int load_priority(struct tls *tls, const struct tls_protocol_settings *protocol,
                         struct err *err)
{
    CLEANUP(buf_done) struct buf words = BUF_INIT(PRIORITY_BYTES_MAX);
    int rc = tls_priority_build(protocol, &words, err);
    if (rc != 0)
        return err_wrap(err, rc, "tls_server_config");
    buf_append_char(&words, '\0');
    if (buf_is_full(&words))
        return err_set(err, EINVAL, ERR_PARSE, 0,
                       "tls_server_config: curve_preferences is too long");
    rc = gnutls_priority_init(&tls->priority, words.p, NULL);
    if (rc < 0)
        return err_set(err, EINVAL, ERR_PARSE, rc,
                       "tls_server_config: this system's GnuTLS refuses the versions, "
                       "cipher suites and curves: %s",
                       gnutls_strerror(rc));
    return 0;
}

static int copy_sans(struct tls *tls, const struct yaml_texts *sans)
{
    tls->sans = calloc(sans->count + 1, sizeof *tls->sans);
    if (!tls->sans)
        return -ENOMEM;
    for (; tls->san_count < sans->count; tls->san_count++) {
        size_t bytes = strlen(sans->items[tls->san_count]) + 1;
        char *copy = calloc(1, bytes);
        if (!copy)
            return -ENOMEM;
        memcpy(copy, sans->items[tls->san_count], bytes);
        tls->sans[tls->san_count] = copy;
    }
    return 0;
}

int tls_new(const struct tls_settings *settings, const struct tls_material *material,
            struct tls **out, struct err *err)
{
    struct tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "out of memory");
    tls->references = 1;
    tls->client_auth = settings->client_auth;
    int rc = copy_sans(tls, &settings->client_allowed_sans);
    if (rc == 0 && gnutls_certificate_allocate_credentials(&tls->credentials) < 0)
        rc = -ENOMEM;
    if (rc != 0)
        err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "out of memory");
    if (rc == 0)
        rc = load_key_pair(tls, material, err);
    if (rc == 0)
        rc = load_client_ca(tls, material, err);
    if (rc == 0)
        rc = load_priority(tls, &settings->protocol, err);
    if (rc == 0)
        *out = tls;
    else
        tls_unref(tls);
    return rc;
}

struct tls *tls_ref(struct tls *tls)
{
    tls->references++;
    return tls;
}

void tls_unref(struct tls *tls)
{
    if (!tls || --tls->references)
        return;
    for (size_t i = 0; i < tls->san_count; i++)
        free(tls->sans[i]);
    free(tls->sans);
    if (tls->priority)
        gnutls_priority_deinit(tls->priority);
    if (tls->credentials)
        gnutls_certificate_free_credentials(tls->credentials);
    free(tls);
}

/* By chain, time and purpose, as a server verifies a client. */
static bool is_certificate_verified(gnutls_session_t session)
{
    gnutls_typed_vdata_st purpose = {
        .type = GNUTLS_DT_KEY_PURPOSE_OID,
        .data = str_without_const(STR(GNUTLS_KP_TLS_WWW_CLIENT))};
    unsigned status;
    return gnutls_certificate_verify_peers(session, &purpose, 1, &status) == 0 &&
           status == 0;
}

static bool is_san_allowed(const struct tls *tls, const gnutls_datum_t *certificate)
{
    if (tls->san_count == 0)
        return true;
    gnutls_x509_crt_t parsed;
    if (gnutls_x509_crt_init(&parsed) < 0)
        return false;
    bool is_allowed =
        gnutls_x509_crt_import(parsed, certificate, GNUTLS_X509_FMT_DER) == 0 &&
        tls_san_is_any_of(parsed, (const char *const *)tls->sans, tls->san_count);
    gnutls_x509_crt_deinit(parsed);
    return is_allowed;
}

static bool is_client_welcome(const struct tls *tls, gnutls_session_t session)
{
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    switch (tls->client_auth) {
    case CLIENT_AUTH_NONE:
    case CLIENT_AUTH_REQUEST: return true;
    case CLIENT_AUTH_REQUIRE_ANY: return count > 0;
    case CLIENT_AUTH_VERIFY_IF_GIVEN:
        if (count == 0)
            return true;
        break;
    case CLIENT_AUTH_REQUIRE_VERIFIED: break;
    }
    return count > 0 && is_certificate_verified(session) && is_san_allowed(tls, chain);
}

/* GnuTLS calls this in the handshake, with the client's certificates or without any. */
static int verify_client(gnutls_session_t session)
{
    if (is_client_welcome(gnutls_db_get_ptr(session), session))
        return 0;
    /* The program around us only closes; the alert tells the client why. */
    gnutls_alert_send(session, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE);
    return GNUTLS_E_CERTIFICATE_ERROR;
}

int tls_begin_session(struct tls *tls, gnutls_session_t session)
{
    static const gnutls_certificate_request_t requests[] = {
        [CLIENT_AUTH_NONE] = GNUTLS_CERT_IGNORE,
        [CLIENT_AUTH_REQUEST] = GNUTLS_CERT_REQUEST,
        [CLIENT_AUTH_REQUIRE_ANY] = GNUTLS_CERT_REQUIRE,
        [CLIENT_AUTH_VERIFY_IF_GIVEN] = GNUTLS_CERT_REQUEST,
        [CLIENT_AUTH_REQUIRE_VERIFIED] = GNUTLS_CERT_REQUIRE,
    };
    if (gnutls_priority_set(session, tls->priority) < 0 ||
        gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials) < 0)
        return -EINVAL;
    gnutls_certificate_server_set_request(session, requests[tls->client_auth]);
    /* The session's own pointer belongs to the HTTP library. This one is meant for a
     * cache of sessions, which there is none of. */
    gnutls_db_set_ptr(session, tls);
    gnutls_session_set_verify_function(session, verify_client);
    return 0;
}
