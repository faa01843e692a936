/* Go's names in, a priority string that GnuTLS takes and that allows exactly these, out.
 */
#include "server/tls_priority.h"

#include "../../support/cmocka_all.h"
#include "base/cleanup.h"

#include <errno.h>
#include <gnutls/gnutls.h>

#define NAMES_MAX 8

struct row {
    enum tls_version min, max;
    const char *suites[NAMES_MAX];
    const char *curves[NAMES_MAX];
    const char *expected; /* a part of the priority, or of the message */
};

static struct yaml_texts texts(const char *const *names)
{
    struct yaml_texts out = {(const char **)(uintptr_t)names, 0};
    while (out.count < NAMES_MAX && names[out.count])
        out.count++;
    return out;
}

static int build(const struct row *row, struct buf *out, struct err *err)
{
    struct tls_protocol_settings settings = {
        .min = row->min,
        .max = row->max,
        .cipher_suites = texts(row->suites),
        .curves = texts(row->curves),
        .prefer_server_cipher_suites = true,
    };
    int rc = tls_priority_build(&settings, out, err);
    buf_append_char(out, '\0');
    return rc;
}

static void assert_gnutls_takes(const char *priority)
{
    gnutls_priority_t parsed;
    assert_int_equal(gnutls_priority_init(&parsed, priority, NULL), 0);
    gnutls_priority_deinit(parsed);
}

static void test_valid(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {TLS_VERSION_12,
         TLS_VERSION_13,
         {NULL},
         {NULL},
         "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-ECDSA:+ECDHE-RSA:+AES-128-GCM"},
        {TLS_VERSION_10,
         TLS_VERSION_12,
         {NULL},
         {NULL},
         "NONE:+VERS-TLS1.2:+VERS-TLS1.1:+VERS-TLS1.0:+"},
        {TLS_VERSION_13, TLS_VERSION_13, {NULL}, {NULL}, "NONE:+VERS-TLS1.3:+ECDHE"},
        {TLS_VERSION_12,
         TLS_VERSION_12,
         {"TLS_RSA_WITH_AES_256_CBC_SHA"},
         {NULL},
         "NONE:+VERS-TLS1.2:+RSA:+AES-256-CBC:+AEAD"},
        {TLS_VERSION_12,
         TLS_VERSION_13,
         {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
          "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
         {"CurveP521", "X25519"},
         ":+ECDHE-RSA:+ECDHE-ECDSA:+AES-256-GCM:+AEAD:+SHA1:+COMP-NULL:+SIGN-ALL:"
         "+CTYPE-X509:+GROUP-SECP521R1:+GROUP-X25519:%SERVER_PRECEDENCE"},
        {TLS_VERSION_13,
         TLS_VERSION_13,
         {"TLS_CHACHA20_POLY1305_SHA256"},
         {NULL},
         "NONE:+VERS-TLS1.3:+CHACHA20-POLY1305:"},
        /* RSA with ChaCha20 does not exist, so it cannot be missing */
        {TLS_VERSION_12,
         TLS_VERSION_12,
         {"TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
          "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
         {"CurveP256", "CurveP384"},
         ":+RSA:+ECDHE-RSA:+AES-128-GCM:+CHACHA20-POLY1305:"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        CLEANUP(buf_done) struct buf out = BUF_INIT(1024);
        struct err err = {0};
        assert_int_equal(build(&rows[i], &out, &err), 0);
        assert_non_null(strstr(out.p, rows[i].expected));
        assert_gnutls_takes(out.p);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {TLS_VERSION_13,
         TLS_VERSION_12,
         {NULL},
         {NULL},
         "min_version is above max_version"},
        {TLS_VERSION_12,
         TLS_VERSION_13,
         {"TLS_RSA_WITH_RC4_128_SHA"},
         {NULL},
         "cipher_suites: unknown name \"TLS_RSA_WITH_RC4_128_SHA\"; use Go's names"},
        {TLS_VERSION_12,
         TLS_VERSION_13,
         {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
          "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
         {NULL},
         "would allow TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 too; add it"},
        {TLS_VERSION_12,
         TLS_VERSION_13,
         {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"},
         {NULL},
         "would allow TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 too"},
        {TLS_VERSION_12,
         TLS_VERSION_13,
         {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"},
         {NULL},
         "none has a cipher of TLS 1.3"},
        {TLS_VERSION_12,
         TLS_VERSION_13,
         {"TLS_AES_128_GCM_SHA256"},
         {NULL},
         "none is for TLS 1.2"},
        {TLS_VERSION_11,
         TLS_VERSION_12,
         {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
         {NULL},
         "none is for TLS 1.0 and 1.1"},
        {TLS_VERSION_12,
         TLS_VERSION_13,
         {NULL},
         {"X25519MLKEM768"},
         "curve_preferences: unknown name \"X25519MLKEM768\"; known are X25519"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        CLEANUP(buf_done) struct buf out = BUF_INIT(1024);
        struct err err = {0};
        assert_int_equal(build(&rows[i], &out, &err), -EINVAL);
        assert_non_null(strstr(err.message, rows[i].expected));
    }
}

static void test_versions(void **state)
{
    (void)state;
    static const char *const words[] = {"TLS10", "TLS11", "TLS12", "TLS13"};
    static const char *const others[] = {"", "TLS1.2", "tls12", "TLS14", "SSL30"};
    enum tls_version version = TLS_VERSION_10;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        assert_true(tls_version_parse(str_from(words[i]), &version));
        assert_int_equal(version, i);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_false(tls_version_parse(str_from(others[i]), &version));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
