/* Alternative names: every kind, and what must not be taken for equal. */
#include "server/tls_san.h"

#include "../../support/certificates.h"
#include "base/cleanup.h"

/* What was set is only found again in an encoded certificate. */
static gnutls_x509_crt_t encode(gnutls_x509_crt_t crt)
{
    struct test_certificate ca = certificate_make("ca", NULL, NULL);
    gnutls_x509_crt_t decoded;
    gnutls_datum_t der;
    gnutls_x509_crt_set_version(crt, 3);
    gnutls_x509_crt_set_serial(crt, "1", 1);
    gnutls_x509_crt_set_activation_time(crt, 0);
    gnutls_x509_crt_set_expiration_time(crt, 1);
    gnutls_x509_crt_set_key(crt, ca.key);
    assert_int_equal(gnutls_x509_crt_sign2(crt, ca.crt, ca.key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der), 0);
    gnutls_x509_crt_deinit(crt);
    assert_int_equal(gnutls_x509_crt_init(&decoded), 0);
    assert_int_equal(gnutls_x509_crt_import(decoded, &der, GNUTLS_X509_FMT_DER), 0);
    gnutls_free(der.data);
    certificate_done(&ca);
    return decoded;
}

static gnutls_x509_crt_t make(void)
{
    static const unsigned char v4[] = {10, 1, 2, 3};
    static const unsigned char v6[16] = {0xfd, [15] = 1};
    gnutls_x509_crt_t crt;
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, "a.example", 9,
                                         GNUTLS_FSAN_SET);
    gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, v4, sizeof v4,
                                         GNUTLS_FSAN_APPEND);
    gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, v6, sizeof v6,
                                         GNUTLS_FSAN_APPEND);
    gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_URI, "spiffe://a/b", 12,
                                         GNUTLS_FSAN_APPEND);
    gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_RFC822NAME, "a@b.example", 11,
                                         GNUTLS_FSAN_APPEND);
    return encode(crt);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *allowed;
        bool is_match;
    } rows[] = {
        {"a.example", true},  {"10.1.2.3", true},     {"fd00::1", true},
        {"FD00:0::1", true},  {"spiffe://a/b", true}, {"a@b.example", true},
        {"*.example", false}, {"A.EXAMPLE", false},   {"a.example.", false},
        {"a.exampl", false},  {"10.1.2.30", false},   {"10.1.2", false},
        {"fd00::2", false},   {"\n\1\2\3", false},    {"", false},
    };
    gnutls_x509_crt_t crt = make();
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const char *allowed[] = {"none", rows[i].allowed};
        assert_int_equal(tls_san_is_any_of(crt, allowed, 2), rows[i].is_match);
        assert_false(tls_san_is_any_of(crt, allowed, 1));
    }
    gnutls_x509_crt_deinit(crt);
}

static void test_without_names(void **state)
{
    (void)state;
    const char *allowed[] = {"", "a"};
    gnutls_x509_crt_t crt;
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    crt = encode(crt);
    assert_false(tls_san_is_any_of(crt, allowed, 2));
    gnutls_x509_crt_deinit(crt);
}

/* A name that is too long to be read must not end the search. */
static void test_long_name(void **state)
{
    (void)state;
    static char name[4000];
    const char *allowed[] = {"a.example"};
    gnutls_x509_crt_t crt;
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    memset(name, 'a', sizeof name);
    gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name, sizeof name,
                                         GNUTLS_FSAN_SET);
    gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, "a.example", 9,
                                         GNUTLS_FSAN_APPEND);
    crt = encode(crt);
    assert_true(tls_san_is_any_of(crt, allowed, 1));
    gnutls_x509_crt_deinit(crt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_without_names),
        cmocka_unit_test(test_long_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
