/* Go's names for cipher suites, curves and versions as a GnuTLS priority string. */
#include "server/tls_priority.h"

#include "base/cleanup.h"

#include <errno.h>

enum key_exchange { KX_TLS13, KX_RSA, KX_ECDHE_RSA, KX_ECDHE_ECDSA, KX_COUNT };

enum cipher {
    CIPHER_AES_128_GCM,
    CIPHER_AES_256_GCM,
    CIPHER_CHACHA20,
    CIPHER_AES_128_CBC,
    CIPHER_AES_256_CBC,
    CIPHER_COUNT,
};

static const char *const kx_words[KX_COUNT] = {
    [KX_RSA] = ":+RSA",
    [KX_ECDHE_RSA] = ":+ECDHE-RSA",
    [KX_ECDHE_ECDSA] = ":+ECDHE-ECDSA",
};

static const char *const cipher_words[CIPHER_COUNT] = {
    [CIPHER_AES_128_GCM] = ":+AES-128-GCM",    [CIPHER_AES_256_GCM] = ":+AES-256-GCM",
    [CIPHER_CHACHA20] = ":+CHACHA20-POLY1305", [CIPHER_AES_128_CBC] = ":+AES-128-CBC",
    [CIPHER_AES_256_CBC] = ":+AES-256-CBC",
};

/* All that Go's crypto/tls calls secure (Go 1.19, tls.CipherSuites()). The place in the
 * list is Go's preference. */
static const struct suite {
    const char *name;
    enum key_exchange kx;
    enum cipher cipher;
} suites[] = {
    {"TLS_AES_128_GCM_SHA256", KX_TLS13, CIPHER_AES_128_GCM},
    {"TLS_AES_256_GCM_SHA384", KX_TLS13, CIPHER_AES_256_GCM},
    {"TLS_CHACHA20_POLY1305_SHA256", KX_TLS13, CIPHER_CHACHA20},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", KX_ECDHE_ECDSA, CIPHER_AES_128_GCM},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", KX_ECDHE_RSA, CIPHER_AES_128_GCM},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", KX_ECDHE_ECDSA, CIPHER_AES_256_GCM},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", KX_ECDHE_RSA, CIPHER_AES_256_GCM},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", KX_ECDHE_ECDSA, CIPHER_CHACHA20},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", KX_ECDHE_RSA, CIPHER_CHACHA20},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", KX_ECDHE_ECDSA, CIPHER_AES_128_CBC},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", KX_ECDHE_RSA, CIPHER_AES_128_CBC},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", KX_ECDHE_ECDSA, CIPHER_AES_256_CBC},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", KX_ECDHE_RSA, CIPHER_AES_256_CBC},
    {"TLS_RSA_WITH_AES_128_GCM_SHA256", KX_RSA, CIPHER_AES_128_GCM},
    {"TLS_RSA_WITH_AES_256_GCM_SHA384", KX_RSA, CIPHER_AES_256_GCM},
    {"TLS_RSA_WITH_AES_128_CBC_SHA", KX_RSA, CIPHER_AES_128_CBC},
    {"TLS_RSA_WITH_AES_256_CBC_SHA", KX_RSA, CIPHER_AES_256_CBC},
};

static const struct {
    const char *name;
    const char *word;
} curves[] = {
    {"X25519", ":+GROUP-X25519"},
    {"CurveP256", ":+GROUP-SECP256R1"},
    {"CurveP384", ":+GROUP-SECP384R1"},
    {"CurveP521", ":+GROUP-SECP521R1"},
};

static const struct {
    struct str name;
    const char *word;
} versions[] = {
    [TLS_VERSION_10] = {STR("TLS10"), ":+VERS-TLS1.0"},
    [TLS_VERSION_11] = {STR("TLS11"), ":+VERS-TLS1.1"},
    [TLS_VERSION_12] = {STR("TLS12"), ":+VERS-TLS1.2"},
    [TLS_VERSION_13] = {STR("TLS13"), ":+VERS-TLS1.3"},
};

/* What a list of suites comes to, in the order of the list. */
struct selection {
    bool has[KX_COUNT][CIPHER_COUNT];
    bool has_kx[KX_COUNT];
    bool has_cipher[CIPHER_COUNT];
    enum key_exchange kx[KX_COUNT];
    enum cipher cipher[CIPHER_COUNT];
    size_t kx_count;
    size_t cipher_count;
};

bool tls_version_parse(struct str word, enum tls_version *version)
{
    for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
        if (str_equal(word, versions[i].name)) {
            *version = (enum tls_version)i;
            return true;
        }
    }
    return false;
}

static const struct suite *find_suite(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(suites); i++) {
        if (strcmp(name, suites[i].name) == 0)
            return &suites[i];
    }
    return NULL;
}

static void selection_add(struct selection *selection, const struct suite *suite)
{
    selection->has[suite->kx][suite->cipher] = true;
    if (!selection->has_kx[suite->kx] && suite->kx != KX_TLS13)
        selection->kx[selection->kx_count++] = suite->kx;
    selection->has_kx[suite->kx] = true;
    if (!selection->has_cipher[suite->cipher])
        selection->cipher[selection->cipher_count++] = suite->cipher;
    selection->has_cipher[suite->cipher] = true;
}

/* Go's default: everything with forward secrecy. */
static void select_default(struct selection *selection)
{
    for (size_t i = 0; i < ARRAY_LENGTH(suites); i++) {
        if (suites[i].kx != KX_RSA)
            selection_add(selection, &suites[i]);
    }
}

static int select_listed(struct selection *selection, const struct yaml_texts *names,
                         struct err *err)
{
    for (size_t i = 0; i < names->count; i++) {
        const struct suite *suite = find_suite(names->items[i]);
        if (!suite)
            return err_set(
                err, EINVAL, ERR_PARSE, 0,
                "cipher_suites: unknown name \"%.60s\"; use Go's names, such as "
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                names->items[i]);
        selection_add(selection, suite);
    }
    return 0;
}

/* GnuTLS would allow each chosen key exchange with each chosen cipher. */
static int check_product(const struct selection *selection, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LENGTH(suites); i++) {
        const struct suite *suite = &suites[i];
        if (suite->kx == KX_TLS13 || selection->has[suite->kx][suite->cipher] ||
            !selection->has_kx[suite->kx] || !selection->has_cipher[suite->cipher])
            continue;
        return err_set(
            err, EINVAL, ERR_PARSE, 0,
            "cipher_suites: GnuTLS combines each listed key exchange with each "
            "listed cipher, so this list would allow %s too; add it, or remove "
            "the suites that share its parts",
            suite->name);
    }
    return 0;
}

static bool has_tls13_cipher(const struct selection *selection)
{
    return selection->has_cipher[CIPHER_AES_128_GCM] ||
           selection->has_cipher[CIPHER_AES_256_GCM] ||
           selection->has_cipher[CIPHER_CHACHA20];
}

static bool has_cipher_before_tls12(const struct selection *selection)
{
    return selection->kx_count > 0 && (selection->has_cipher[CIPHER_AES_128_CBC] ||
                                       selection->has_cipher[CIPHER_AES_256_CBC]);
}

/* Each allowed version must have a suite, or clients of it would fail one by one. */
static int check_versions(const struct tls_protocol_settings *settings,
                          const struct selection *selection, struct err *err)
{
    if (settings->max == TLS_VERSION_13 && !has_tls13_cipher(selection))
        return err_set(err, EINVAL, ERR_PARSE, 0,
                       "cipher_suites: none has a cipher of TLS 1.3; add "
                       "TLS_AES_128_GCM_SHA256 and what it combines with, or set "
                       "max_version: TLS12");
    if (settings->min <= TLS_VERSION_12 && selection->kx_count == 0)
        return err_set(err, EINVAL, ERR_PARSE, 0,
                       "cipher_suites: none is for TLS 1.2; add one, or set min_version: "
                       "TLS13");
    if (settings->min < TLS_VERSION_12 && !has_cipher_before_tls12(selection))
        return err_set(err, EINVAL, ERR_PARSE, 0,
                       "cipher_suites: none is for TLS 1.0 and 1.1; add "
                       "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA and what it combines with, or "
                       "set min_version: TLS12");
    return 0;
}

static int select_suites(const struct tls_protocol_settings *settings,
                         struct selection *selection, struct err *err)
{
    if (settings->cipher_suites.count == 0) {
        select_default(selection);
        return 0;
    }
    int rc = select_listed(selection, &settings->cipher_suites, err);
    if (rc == 0 && settings->min <= TLS_VERSION_12)
        rc = check_product(selection, err);
    if (rc == 0)
        rc = check_versions(settings, selection, err);
    return rc;
}

static int append_curves(const struct yaml_texts *names, struct buf *out, struct err *err)
{
    for (size_t i = 0; i < names->count; i++) {
        size_t at = 0;
        while (at < ARRAY_LENGTH(curves) && strcmp(names->items[i], curves[at].name) != 0)
            at++;
        if (at == ARRAY_LENGTH(curves))
            return err_set(err, EINVAL, ERR_PARSE, 0,
                           "curve_preferences: unknown name \"%.60s\"; known are X25519, "
                           "CurveP256, CurveP384, CurveP521",
                           names->items[i]);
        buf_append_text(out, curves[at].word);
    }
    for (size_t i = 0; names->count == 0 && i < ARRAY_LENGTH(curves); i++)
        buf_append_text(out, curves[i].word);
    return 0;
}

int tls_priority_build(const struct tls_protocol_settings *settings, struct buf *out,
                       struct err *err)
{
    struct selection selection = {0};
    if (settings->min > settings->max)
        return err_set(err, EINVAL, ERR_PARSE, 0,
                       "min_version is above max_version; no client could connect");
    int rc = select_suites(settings, &selection, err);
    if (rc != 0)
        return rc;

    buf_append_text(out, "NONE");
    for (int version = (int)settings->max; version >= (int)settings->min; version--)
        buf_append_text(out, versions[version].word);
    for (size_t i = 0; i < selection.kx_count; i++)
        buf_append_text(out, kx_words[selection.kx[i]]);
    for (size_t i = 0; i < selection.cipher_count; i++)
        buf_append_text(out, cipher_words[selection.cipher[i]]);
    buf_append_text(out, ":+AEAD:+SHA1:+COMP-NULL:+SIGN-ALL:+CTYPE-X509");
    rc = append_curves(&settings->curves, out, err);
    if (settings->prefer_server_cipher_suites)
        buf_append_text(out, ":%SERVER_PRECEDENCE");
    return rc;
}
