/* Credentials that are refused with words, and handshakes by each policy. */
#include "server/tls.h"

#include "../../support/certificates.h"
#include "base/cleanup.h"

#include <errno.h>
#include <sys/socket.h>

struct pki {
    struct test_certificate ca, stranger, server, client, forged, wrong_use;
};

static int make_pki(void **state)
{
    static struct pki pki;
    pki.ca = certificate_make("ca", NULL, NULL);
    pki.stranger = certificate_make("stranger", NULL, NULL);
    pki.server = certificate_make("localhost", GNUTLS_KP_TLS_WWW_SERVER, &pki.ca);
    pki.client = certificate_make("prom", GNUTLS_KP_TLS_WWW_CLIENT, &pki.ca);
    pki.forged = certificate_make("prom", GNUTLS_KP_TLS_WWW_CLIENT, &pki.stranger);
    pki.wrong_use = certificate_make("prom", GNUTLS_KP_TLS_WWW_SERVER, &pki.ca);
    *state = &pki;
    return 0;
}

static int free_pki(void **state)
{
    struct pki *pki = *state;
    certificate_done(&pki->ca);
    certificate_done(&pki->stranger);
    certificate_done(&pki->server);
    certificate_done(&pki->client);
    certificate_done(&pki->forged);
    certificate_done(&pki->wrong_use);
    return 0;
}

static struct tls_settings settings_with(enum client_auth policy)
{
    return (struct tls_settings){
        .client_auth = policy,
        .protocol = {.min = TLS_VERSION_12,
                     .max = TLS_VERSION_13,
                     .prefer_server_cipher_suites = true},
    };
}

static struct tls_material material_of(const struct pki *pki)
{
    return (struct tls_material){
        .cert = certificate_text(&pki->server.crt_pem),
        .key = certificate_text(&pki->server.key_pem),
        .client_ca = certificate_text(&pki->ca.crt_pem),
        .cert_file = "c.pem",
        .key_file = "k.pem",
        .client_ca_file = "ca.pem",
    };
}

static gnutls_session_t make_session(unsigned flags, int fd)
{
    gnutls_session_t session;
    assert_int_equal(gnutls_init(&session, flags | GNUTLS_NONBLOCK), 0);
    gnutls_transport_set_int(session, fd);
    return session;
}

/* Both ends by turns. With TLS 1.3 the client is content before the server has looked at
 * its certificate; the server's word counts. */
static bool shake_hands(gnutls_session_t server, gnutls_session_t client)
{
    int server_rc = GNUTLS_E_AGAIN, client_rc = GNUTLS_E_AGAIN;
    while (server_rc == GNUTLS_E_AGAIN || client_rc == GNUTLS_E_AGAIN) {
        if (client_rc == GNUTLS_E_AGAIN)
            client_rc = gnutls_handshake(client);
        if (server_rc == GNUTLS_E_AGAIN)
            server_rc = gnutls_handshake(server);
        if ((server_rc != 0 && server_rc != GNUTLS_E_AGAIN) ||
            (client_rc != 0 && client_rc != GNUTLS_E_AGAIN))
            return false;
    }
    return server_rc == 0 && client_rc == 0;
}

static bool is_welcome(struct tls *tls, const struct test_certificate *certificate,
                       const char *priority)
{
    int fds[2];
    gnutls_certificate_credentials_t credentials;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    gnutls_session_t server = make_session(GNUTLS_SERVER, fds[0]);
    gnutls_session_t client =
        make_session(GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT, fds[1]);
    gnutls_certificate_allocate_credentials(&credentials);
    if (certificate) {
        struct test_certificate copy = *certificate;
        assert_int_equal(
            gnutls_certificate_set_x509_key(credentials, &copy.crt, 1, copy.key), 0);
    }
    gnutls_credentials_set(client, GNUTLS_CRD_CERTIFICATE, credentials);
    assert_int_equal(gnutls_priority_set_direct(client, priority, NULL), 0);
    assert_int_equal(tls_begin_session(tls, server), 0);
    bool is_done = shake_hands(server, client);
    gnutls_deinit(server);
    gnutls_deinit(client);
    gnutls_certificate_free_credentials(credentials);
    close(fds[0]);
    close(fds[1]);
    return is_done;
}

static void test_policies(void **state)
{
    const struct pki *pki = *state;
    const struct {
        enum client_auth policy;
        bool none, client, forged, wrong_use;
    } rows[] = {
        {CLIENT_AUTH_NONE, true, true, true, true},
        {CLIENT_AUTH_REQUEST, true, true, true, true},
        {CLIENT_AUTH_VERIFY_IF_GIVEN, true, true, false, false},
        {CLIENT_AUTH_REQUIRE_ANY, false, true, true, true},
        {CLIENT_AUTH_REQUIRE_VERIFIED, false, true, false, false},
    };
    static const char *const priorities[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.2",
                                             "NORMAL:-VERS-ALL:+VERS-TLS1.3"};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct tls_settings settings = settings_with(rows[i].policy);
        struct tls_material material = material_of(pki);
        struct tls *tls;
        struct err err;
        assert_int_equal(tls_new(&settings, &material, &tls, &err), 0);
        for (size_t p = 0; p < ARRAY_LENGTH(priorities); p++) {
            const char *priority = priorities[p];
            assert_int_equal(is_welcome(tls, NULL, priority), rows[i].none);
            assert_int_equal(is_welcome(tls, &pki->client, priority), rows[i].client);
            assert_int_equal(is_welcome(tls, &pki->forged, priority), rows[i].forged);
            assert_int_equal(is_welcome(tls, &pki->wrong_use, priority),
                             rows[i].wrong_use);
        }
        tls_unref(tls);
    }
}

static void test_sans_and_versions(void **state)
{
    const struct pki *pki = *state;
    static const char *names[] = {"other", "prom"};
    struct tls_settings settings = settings_with(CLIENT_AUTH_REQUIRE_VERIFIED);
    struct tls_material material = material_of(pki);
    settings.protocol.min = TLS_VERSION_13;
    for (size_t count = 1; count <= 2; count++) {
        struct tls *tls;
        struct err err;
        settings.client_allowed_sans = (struct yaml_texts){names, count};
        assert_int_equal(tls_new(&settings, &material, &tls, &err), 0);
        assert_int_equal(is_welcome(tls, &pki->client, "NORMAL"), count == 2);
        assert_false(is_welcome(tls, &pki->client, "NORMAL:-VERS-TLS1.3"));
        assert_ptr_equal(tls_ref(tls), tls);
        tls_unref(tls);
        tls_unref(tls);
    }
    tls_unref(NULL);
}

static void assert_refused(const struct tls_settings *settings,
                           const struct tls_material *material, const char *words)
{
    struct tls *tls = NULL;
    struct err err = {0};
    assert_int_equal(tls_new(settings, material, &tls, &err), -EINVAL);
    assert_null(tls);
    if (!strstr(err.message, words))
        assert_string_equal(err.message, words);
}

static void test_refused(void **state)
{
    const struct pki *pki = *state;
    struct tls_settings settings = settings_with(CLIENT_AUTH_NONE);
    struct tls_material material = material_of(pki);
    material.key = certificate_text(&pki->client.key_pem);
    assert_refused(&settings, &material,
                   "k.pem is not the key of the first certificate in c.pem");
    material.key = STR("");
    assert_refused(&settings, &material, "cannot use certificate c.pem with key k.pem: ");
    material = material_of(pki);
    material.cert = material.key;
    assert_refused(&settings, &material, "cannot use certificate c.pem with key k.pem: ");
    material = material_of(pki);
    material.client_ca = material.key;
    assert_refused(&settings, &material, "ca.pem has no CA certificate in PEM: ");
    material = material_of(pki);
    settings.protocol.max = TLS_VERSION_11;
    assert_refused(&settings, &material,
                   "tls_server_config: min_version is above max_version");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_sans_and_versions),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, make_pki, free_pki);
}
