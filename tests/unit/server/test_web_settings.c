/* Every key, every rule between keys, every message. */
#include "server/web_settings.h"

#include "../../support/cmocka_all.h"
#include "../../support/passwords.h"
#include "base/buf.h"
#include "base/cleanup.h"

#include <errno.h>

#define PAIR "tls_server_config:\n  cert_file: c\n  key_file: k\n"

static int parse(struct arena *arena, struct str text, struct web_settings *out,
                 struct err *err)
{
    return web_settings_parse(arena, "w.yml", text, out, err);
}

static void test_every_key(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    struct web_settings settings;
    struct err err = {0};
    assert_int_equal(
        parse(arena,
              STR("tls_server_config:\n  cert_file: c.pem\n  key: KEY\n"
                  "  client_ca_file: /ca.pem\n"
                  "  client_auth_type: RequireAndVerifyClientCert\n"
                  "  client_allowed_sans: [a.example, 10.0.0.1]\n"
                  "  min_version: TLS11\n  max_version: TLS12\n"
                  "  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n"
                  "  prefer_server_cipher_suites: false\n"
                  "  curve_preferences: [CurveP256]\n"
                  "http_server_config:\n  http2: true\n  headers:\n"
                  "    x-frame-options: deny\n    X-XSS-Protection: 1; mode=block\n"
                  "basic_auth_users:\n  ann: " HASH_OF_SECRET "\n  bob: " HASH_OF_OTHER
                  "\n"
                  "rate_limit:\n  interval: 100ms\n  burst: 20\n"),
              &settings, &err),
        0);
    assert_true(settings.with_tls);
    assert_string_equal(settings.tls.cert.file, "c.pem");
    assert_null(settings.tls.cert.text);
    assert_string_equal(settings.tls.key.text, "KEY");
    assert_string_equal(settings.tls.client_ca.file, "/ca.pem");
    assert_int_equal(settings.tls.client_auth, CLIENT_AUTH_REQUIRE_VERIFIED);
    assert_int_equal(settings.tls.client_allowed_sans.count, 2);
    assert_int_equal(settings.tls.protocol.min, TLS_VERSION_11);
    assert_int_equal(settings.tls.protocol.max, TLS_VERSION_12);
    assert_int_equal(settings.tls.protocol.cipher_suites.count, 1);
    assert_int_equal(settings.tls.protocol.curves.count, 1);
    assert_false(settings.tls.protocol.prefer_server_cipher_suites);
    assert_int_equal(settings.header_count, 2);
    assert_string_equal(settings.headers[0].name, "X-Frame-Options");
    assert_string_equal(settings.headers[0].value, "deny");
    assert_string_equal(settings.headers[1].value, "1; mode=block");
    assert_int_equal(settings.user_count, 2);
    assert_string_equal(settings.users[1].name, "bob");
    assert_string_equal(settings.users[1].hash, HASH_OF_OTHER);
    assert_int_equal(settings.users[1].cost, 4);
    assert_int_equal(settings.rate_interval_ns, 100000000);
    assert_int_equal(settings.rate_burst, 20);
    web_settings_wipe(&settings);
    assert_int_equal(settings.user_count, 0);
}

static void test_without_anything(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "tls_server_config:\n",
        "tls_server_config: {}\n",
        "tls_server_config: {cert_file: , min_version: TLS13}\n",
        "basic_auth_users:\nhttp_server_config:\nrate_limit:\n",
        "basic_auth_users: {}\nhttp_server_config: {headers: {}}\n",
        "rate_limit: {interval: 0, burst: 5}\n",
    };
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct web_settings settings = {.with_tls = true};
        struct err err = {0};
        assert_int_equal(parse(arena, str_from(rows[i]), &settings, &err), 0);
        assert_false(settings.with_tls);
        assert_int_equal(settings.user_count + settings.header_count, 0);
        assert_int_equal(settings.rate_interval_ns, 0);
    }
}

static void test_defaults(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    struct web_settings settings;
    struct err err = {0};
    assert_int_equal(parse(arena, STR(PAIR), &settings, &err), 0);
    assert_int_equal(settings.tls.client_auth, CLIENT_AUTH_NONE);
    assert_int_equal(settings.tls.protocol.min, TLS_VERSION_12);
    assert_int_equal(settings.tls.protocol.max, TLS_VERSION_13);
    assert_true(settings.tls.protocol.prefer_server_cipher_suites);
}

static void test_client_auth_types(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum client_auth expected;
    } rows[] = {
        {PAIR "  client_auth_type: NoClientCert\n", CLIENT_AUTH_NONE},
        {PAIR "  client_auth_type: RequestClientCert\n", CLIENT_AUTH_REQUEST},
        {PAIR "  client_auth_type: RequireAnyClientCert\n", CLIENT_AUTH_REQUIRE_ANY},
        {PAIR "  client_auth_type: VerifyClientCertIfGiven\n  client_ca: x\n",
         CLIENT_AUTH_VERIFY_IF_GIVEN},
        {PAIR "  client_auth_type: RequestClientCert\n  client_ca: x\n",
         CLIENT_AUTH_REQUEST},
    };
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct web_settings settings;
        struct err err = {0};
        assert_int_equal(parse(arena, str_from(rows[i].text), &settings, &err), 0);
        assert_int_equal(settings.tls.client_auth, rows[i].expected);
    }
}

static const struct {
    const char *text;
    const char *message; /* its beginning */
} refused[] = {
    {"tls: {}", "w.yml:1: unknown key \"tls\"; known are tls_server_config, "},
    {"[]", "w.yml:1: must be a mapping"},
    {"tls_server_config: on", "w.yml:1: tls_server_config: must be a mapping"},
    {"tls_server_config:\n  cert_flie: c\n",
     "w.yml:2: tls_server_config: unknown key \"cert_flie\"; known are cert_file, "
     "cert, "},
    {"tls_server_config: {cert_file: c}",
     "w.yml:1: tls_server_config: has no key; add key_file"},
    {"tls_server_config: {key_file: c}",
     "w.yml:1: tls_server_config: has no certificate; add cert_file"},
    {"tls_server_config: {client_auth_type: RequestClientCert}",
     "w.yml:1: tls_server_config: has no certificate; add cert_file"},
    {PAIR "  cert: x\n",
     "w.yml:2: tls_server_config: has both cert and cert_file; remove one"},
    {PAIR "  key: x\n", "w.yml:2: tls_server_config: has both key and key_file"},
    {PAIR "  client_auth_type: RequestClientCert\n  client_ca: x\n  client_ca_file: y\n",
     "w.yml:2: tls_server_config: has both client_ca and client_ca_file"},
    {PAIR "  client_ca_file: x\n",
     "w.yml:2: tls_server_config: has client_ca_file without a policy"},
    {PAIR "  client_auth_type: RequireAndVerifyClientCert\n",
     "w.yml:2: tls_server_config: has a client_auth_type that verifies, but no CA"},
    {PAIR "  client_auth_type: VerifyClientCertIfGiven\n",
     "w.yml:2: tls_server_config: has a client_auth_type that verifies, but no CA"},
    {PAIR "  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [a]\n",
     "w.yml:2: tls_server_config: has client_allowed_sans, but certificates are not"},
    {PAIR "  client_auth_type: Require\n",
     "w.yml:4: tls_server_config.client_auth_type: unknown policy \"Require\"; known"},
    {PAIR "  min_version: TLS1.2\n",
     "w.yml:4: tls_server_config.min_version: unknown version \"TLS1.2\"; known are"},
    {PAIR "  cipher_suites: TLS_AES_128_GCM_SHA256\n",
     "w.yml:4: tls_server_config.cipher_suites: must be a list"},
    {"http_server_config: {http3: true}",
     "w.yml:1: http_server_config: unknown key \"http3\"; known are http2, headers"},
    {"http_server_config: {http2: 2}",
     "w.yml:1: http_server_config.http2: must be true or false"},
    {"http_server_config: {headers: [a]}",
     "w.yml:1: http_server_config.headers: must be a mapping of names to values"},
    {"http_server_config: {headers: {Server: x}}",
     "w.yml:1: http_server_config.headers: \"Server\" cannot be set; those that can are"},
    {"http_server_config: {headers: {X-Frame-Options: allow}}",
     "w.yml:1: http_server_config.headers: X-Frame-Options cannot be \"allow\"; it can "
     "be "
     "deny or sameorigin"},
    {"http_server_config: {headers: {X-Content-Type-Options: sniff}}",
     "w.yml:1: http_server_config.headers: X-Content-Type-Options cannot be \"sniff\"; "
     "it "
     "can be nosniff"},
    {"http_server_config: {headers: {X-XSS-Protection: \"1\\r\\nSet-Cookie: a\"}}",
     "w.yml:1: http_server_config.headers: X-XSS-Protection has a byte that is not "
     "printable ASCII"},
    {"http_server_config: {headers: {X-Frame-Options: deny, x-frame-options: deny}}",
     "w.yml:1: http_server_config.headers: X-Frame-Options is there twice"},
    {"http_server_config: {headers: {X-XSS-Protection: [a]}}",
     "w.yml:1: http_server_config.headers: must be a single value"},
    {"basic_auth_users: [ann]",
     "w.yml:1: basic_auth_users: must be a mapping of users to hashes"},
    {"basic_auth_users: {ann: secret}",
     "w.yml:1: basic_auth_users: the password of \"ann\" is not a bcrypt hash"},
    {"basic_auth_users: {ann: }",
     "w.yml:1: basic_auth_users: the password of \"ann\" is not a bcrypt hash"},
    {"basic_auth_users: {\"\": " HASH_OF_SECRET "}",
     "w.yml:1: basic_auth_users: the user name \"\" is empty or has a colon"},
    {"basic_auth_users: {\"a:b\": " HASH_OF_SECRET "}",
     "w.yml:1: basic_auth_users: the user name \"a:b\" is empty or has a colon"},
    {"basic_auth_users:\n  ann: " HASH_OF_SECRET "\n  ann: " HASH_OF_SECRET "\n",
     "w.yml:3: basic_auth_users: user \"ann\" is there twice; remove one"},
    {"basic_auth_users: {ann: "
     "$2b$15$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW}",
     "w.yml:1: basic_auth_users: the hash of \"ann\" has cost 15; allowed are 4 to 14"},
    {"basic_auth_users: {ann: "
     "$2b$03$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW}",
     "w.yml:1: basic_auth_users: the hash of \"ann\" has cost 3; allowed are 4 to 14"},
    {"rate_limit: {interval: 5}",
     "w.yml:1: rate_limit.interval: \"5\" is not a whole number of ms, s, m or h"},
    {"rate_limit: {burst: many}", "w.yml:1: rate_limit.burst: must be a whole number"},
    {"rate_limit: {interval: 5s}",
     "w.yml:1: rate_limit: has no burst, so every request would be refused"},
    {"rate_limit: {interval: 5s, burst: 100001}",
     "w.yml:1: rate_limit: has a burst above 100000"},
    {"rate_limit: {rate: 5}", "w.yml:1: rate_limit: unknown key \"rate\"; known are"},
    {"rate_limit: {}\nrate_limit: {}\n", "w.yml:2: rate_limit: is there twice"},
};

static void test_refused(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
        struct web_settings settings = {.rate_burst = 7};
        struct err err = {0};
        assert_int_equal(parse(arena, str_from(refused[i].text), &settings, &err),
                         -EBADMSG);
        if (!str_starts(str_from(err.message), str_from(refused[i].message)))
            assert_string_equal(err.message, refused[i].message);
        assert_int_equal(settings.rate_burst, 7); /* untouched */
        assert_null(strstr(err.message, "secret"));
    }
}

static int parse_users(struct arena *arena, size_t count, struct err *err)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT(1 << 20);
    struct web_settings settings;
    buf_append_text(&text, "basic_auth_users:\n");
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "  user%zu: %s\n", i, HASH_OF_SECRET);
    return parse(arena, buf_str(&text), &settings, err);
}

static void test_users_at_the_bound(void **state)
{
    (void)state;
    CLEANUP(arena_freep) struct arena *arena = arena_new(1 << 20);
    struct err err = {0};
    assert_int_equal(parse_users(arena, WEB_USERS_MAX, &err), 0);
    assert_int_equal(parse_users(arena, WEB_USERS_MAX + 1, &err), -EBADMSG);
    assert_string_equal(err.message,
                        "w.yml:2: basic_auth_users: has 257 users; at most 256 are read");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key), cmocka_unit_test(test_without_anything),
        cmocka_unit_test(test_defaults),  cmocka_unit_test(test_client_auth_types),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_users_at_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
