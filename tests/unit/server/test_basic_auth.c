/* Authorization headers: every way to be wrong, and both bounds. */
#include "server/basic_auth.h"

#include "../../support/cmocka_all.h"
#include "base/buf.h"
#include "base/cleanup.h"

#include <gnutls/gnutls.h>

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        const char *user, *password; /* NULL: refused */
    } rows[] = {
        {"Basic YW5uOnNlY3JldA==", "ann", "secret"},
        {"basic YW5uOnNlY3JldA==", "ann", "secret"},
        {"BASIC   YW5uOnNlY3JldA==  ", "ann", "secret"},
        {"Basic YW5uOg==", "ann", ""},
        {"Basic OnNlY3JldA==", "", "secret"},
        {"Basic Og==", "", ""},
        {"Basic YW5uOmE6Yg==", "ann", "a:b"},
        {"Basic w6R8OsO2", "\xC3\xA4|", "\xC3\xB6"},
        {"", NULL, NULL},
        {"Basic", NULL, NULL},
        {"Basic ", NULL, NULL},
        {"Bearer YW5uOnNlY3JldA==", NULL, NULL},
        {"Basic: YW5uOnNlY3JldA==", NULL, NULL},
        {"Basic YW5u", NULL, NULL},             /* no colon */
        {"Basic YW5uOnNlY3JldA=", NULL, NULL},  /* padding cut */
        {"Basic YW5uOnNl*3JldA==", NULL, NULL}, /* not base64 */
        {"Basic YW5uOgBi", NULL, NULL},         /* a NUL in the password */
        {"Basic AGFubjpi", NULL, NULL},         /* a NUL in the user */
        {"Basic ====", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct basic_auth out = {.user = "untouched"};
        bool is_valid = basic_auth_parse(str_from(rows[i].header), &out);
        assert_int_equal(is_valid, rows[i].user != NULL);
        assert_string_equal(out.user, is_valid ? rows[i].user : "untouched");
        if (is_valid)
            assert_string_equal(out.password, rows[i].password);
    }
}

static bool parse_sized(size_t user_bytes, size_t password_bytes)
{
    CLEANUP(buf_done) struct buf pair = BUF_INIT(1 << 16);
    CLEANUP(buf_done) struct buf header = BUF_INIT(1 << 16);
    struct basic_auth out;
    gnutls_datum_t encoded;
    for (size_t i = 0; i < user_bytes; i++)
        buf_append_char(&pair, 'u');
    buf_append_char(&pair, ':');
    for (size_t i = 0; i < password_bytes; i++)
        buf_append_char(&pair, 'p');
    gnutls_datum_t plain = {(unsigned char *)pair.p, (unsigned)pair.len};
    assert_int_equal(gnutls_base64_encode2(&plain, &encoded), 0);
    buf_append_text(&header, "Basic ");
    buf_append(&header, (struct str){(const char *)encoded.data, encoded.size});
    gnutls_free(encoded.data);
    return basic_auth_parse(buf_str(&header), &out);
}

static void test_bounds(void **state)
{
    (void)state;
    assert_true(parse_sized(BASIC_AUTH_USER_MAX, BASIC_AUTH_PASSWORD_MAX));
    assert_false(parse_sized(BASIC_AUTH_USER_MAX + 1, 1));
    assert_false(parse_sized(1, BASIC_AUTH_PASSWORD_MAX + 1));
    assert_false(parse_sized(BASIC_AUTH_USER_MAX, BASIC_AUTH_PASSWORD_MAX + 1));
    assert_false(parse_sized(1, 20000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
