/*
 * The keys of the web configuration, and the rules between them that need no other file.
 */
#include "server/web_settings.h"

#include "base/cleanup.h"
#include "base/duration.h"
#include "server/bcrypt.h"

#include <errno.h>
#include <strings.h>

/* Keeps burst × interval far from overflow; more is no limit at all. */
#define RATE_BURST_MAX 100000

static int read_client_auth(struct yaml_reader *reader, yaml_node_t *value, void *at,
                            struct err *err)
{
    static const char *const words[] = {
        [CLIENT_AUTH_NONE] = "NoClientCert",
        [CLIENT_AUTH_REQUEST] = "RequestClientCert",
        [CLIENT_AUTH_REQUIRE_ANY] = "RequireAnyClientCert",
        [CLIENT_AUTH_VERIFY_IF_GIVEN] = "VerifyClientCertIfGiven",
        [CLIENT_AUTH_REQUIRE_VERIFIED] = "RequireAndVerifyClientCert",
    };
    enum client_auth *out = at;
    const char *word;
    int rc = yaml_read_text(reader, value, &word, err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (strcmp(word, words[i]) == 0) {
            *out = (enum client_auth)i;
            return 0;
        }
    }
    return yaml_refuse(
        reader, value, err,
        "unknown policy \"%.40s\"; known are NoClientCert, "
        "RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven, "
        "RequireAndVerifyClientCert",
        word);
}

static int read_version(struct yaml_reader *reader, yaml_node_t *value, void *at,
                        struct err *err)
{
    const char *word;
    int rc = yaml_read_text(reader, value, &word, err);
    if (rc == 0 && !tls_version_parse(str_from(word), at))
        rc = yaml_refuse(
            reader, value, err,
            "unknown version \"%.20s\"; known are TLS10, TLS11, TLS12, TLS13", word);
    return rc;
}

static int check_pem(const struct yaml_reader *reader, const yaml_node_t *value,
                     const struct pem_setting *pem, const char *key, struct err *err)
{
    if (pem->text && pem->file)
        return yaml_refuse(reader, value, err, "has both %s and %s_file; remove one", key,
                           key);
    return 0;
}

static bool is_verified(enum client_auth policy)
{
    return policy == CLIENT_AUTH_VERIFY_IF_GIVEN ||
           policy == CLIENT_AUTH_REQUIRE_VERIFIED;
}

static int check_client_auth(const struct yaml_reader *reader, const yaml_node_t *value,
                             const struct tls_settings *tls, struct err *err)
{
    bool has_ca = tls->client_ca.text || tls->client_ca.file;
    if (has_ca && tls->client_auth == CLIENT_AUTH_NONE)
        return yaml_refuse(reader, value, err,
                           "has client_ca_file without a policy, so nothing would be "
                           "verified; add client_auth_type: RequireAndVerifyClientCert");
    if (!has_ca && is_verified(tls->client_auth))
        return yaml_refuse(
            reader, value, err,
            "has a client_auth_type that verifies, but no CA to verify by; "
            "add client_ca_file");
    if (tls->client_allowed_sans.count && !is_verified(tls->client_auth))
        return yaml_refuse(reader, value, err,
                           "has client_allowed_sans, but certificates are not verified; "
                           "set client_auth_type: RequireAndVerifyClientCert");
    return 0;
}

static int check_tls(const struct yaml_reader *reader, const yaml_node_t *value,
                     const struct tls_settings *tls, struct err *err)
{
    int rc = check_pem(reader, value, &tls->cert, "cert", err);
    if (rc == 0)
        rc = check_pem(reader, value, &tls->key, "key", err);
    if (rc == 0)
        rc = check_pem(reader, value, &tls->client_ca, "client_ca", err);
    if (rc == 0 && !tls->cert.text && !tls->cert.file)
        rc = yaml_refuse(reader, value, err, "has no certificate; add cert_file");
    if (rc == 0 && !tls->key.text && !tls->key.file)
        rc = yaml_refuse(reader, value, err, "has no key; add key_file");
    return rc == 0 ? check_client_auth(reader, value, tls, err) : rc;
}

static bool is_without_tls(const struct tls_settings *tls)
{
    return !tls->cert.text && !tls->cert.file && !tls->key.text && !tls->key.file &&
           !tls->client_ca.text && !tls->client_ca.file &&
           tls->client_auth == CLIENT_AUTH_NONE && !tls->client_allowed_sans.count;
}

#define TLS_KEY(name, reader, field)                                                     \
    {                                                                                    \
        name, reader, offsetof(struct tls_settings, field)                               \
    }

static int read_tls(struct yaml_reader *reader, yaml_node_t *value, void *at,
                    struct err *err)
{
    static const struct yaml_key keys[] = {
        TLS_KEY("cert_file", yaml_read_text, cert.file),
        TLS_KEY("cert", yaml_read_text, cert.text),
        TLS_KEY("key_file", yaml_read_text, key.file),
        TLS_KEY("key", yaml_read_text, key.text),
        TLS_KEY("client_auth_type", read_client_auth, client_auth),
        TLS_KEY("client_ca_file", yaml_read_text, client_ca.file),
        TLS_KEY("client_ca", yaml_read_text, client_ca.text),
        TLS_KEY("client_allowed_sans", yaml_read_texts, client_allowed_sans),
        TLS_KEY("min_version", read_version, protocol.min),
        TLS_KEY("max_version", read_version, protocol.max),
        TLS_KEY("cipher_suites", yaml_read_texts, protocol.cipher_suites),
        TLS_KEY("curve_preferences", yaml_read_texts, protocol.curves),
        TLS_KEY("prefer_server_cipher_suites", yaml_read_bool,
                protocol.prefer_server_cipher_suites),
    };
    struct web_settings *settings = at;
    struct tls_settings tls = {.protocol = {.min = TLS_VERSION_12,
                                            .max = TLS_VERSION_13,
                                            .prefer_server_cipher_suites = true}};
    int rc = yaml_read_section(reader, value, "tls_server_config", keys,
                               ARRAY_LENGTH(keys), &tls, err);
    if (rc != 0 || is_without_tls(&tls))
        return rc;
    reader->key = "tls_server_config";
    rc = check_tls(reader, value, &tls, err);
    if (rc != 0)
        return rc;
    settings->tls = tls;
    settings->with_tls = true;
    return 0;
}

/* The headers that a file may set; VALUES, if any, are all that is allowed. */
static const struct allowed_header {
    const char *name;
    const char *values[2];
} allowed_headers[WEB_HEADERS_MAX] = {
    {"Content-Security-Policy", {NULL}},
    {"Strict-Transport-Security", {NULL}},
    {"X-Content-Type-Options", {"nosniff"}},
    {"X-Frame-Options", {"deny", "sameorigin"}},
    {"X-XSS-Protection", {NULL}},
};

static bool is_header_text(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c > 0x7E)
            return false;
    }
    return true;
}

/* One row of the free part of a mapping: key and value as texts. */
static int read_pair(struct yaml_reader *reader, const yaml_node_pair_t *pair,
                     const char **name, const char **value, yaml_node_t **value_node,
                     struct err *err)
{
    yaml_node_t *key_node = yaml_document_get_node(&reader->document, pair->key);
    *value_node = yaml_document_get_node(&reader->document, pair->value);
    int rc = yaml_read_text(reader, key_node, (void *)name, err);
    if (rc == 0)
        rc = yaml_read_text(reader, *value_node, (void *)value, err);
    return rc;
}

static int check_header(const struct yaml_reader *reader, const yaml_node_t *node,
                        const struct allowed_header *allowed, const char *value,
                        struct err *err)
{
    if (!is_header_text(value))
        return yaml_refuse(reader, node, err, "%s has a byte that is not printable ASCII",
                           allowed->name);
    for (size_t i = 0; i < ARRAY_LENGTH(allowed->values) && allowed->values[i]; i++) {
        if (strcmp(value, allowed->values[i]) == 0)
            return 0;
    }
    if (!allowed->values[0])
        return 0;
    return yaml_refuse(reader, node, err, "%s cannot be \"%.40s\"; it can be %s%s%s",
                       allowed->name, value, allowed->values[0],
                       allowed->values[1] ? " or " : "",
                       allowed->values[1] ? allowed->values[1] : "");
}

static int read_header(struct yaml_reader *reader, const yaml_node_pair_t *pair,
                       struct web_settings *settings, struct err *err)
{
    const char *name, *value;
    yaml_node_t *node;
    int rc = read_pair(reader, pair, &name, &value, &node, err);
    if (rc != 0)
        return rc;
    size_t at = 0;
    while (at < WEB_HEADERS_MAX && strcasecmp(name, allowed_headers[at].name) != 0)
        at++;
    if (at == WEB_HEADERS_MAX)
        return yaml_refuse(reader, node, err,
                           "\"%.40s\" cannot be set; those that can are "
                           "Content-Security-Policy, Strict-Transport-Security, "
                           "X-Content-Type-Options, X-Frame-Options, X-XSS-Protection",
                           name);
    for (size_t i = 0; i < settings->header_count; i++) {
        if (settings->headers[i].name == allowed_headers[at].name)
            return yaml_refuse(reader, node, err, "%s is there twice; remove one",
                               allowed_headers[at].name);
    }
    rc = check_header(reader, node, &allowed_headers[at], value, err);
    if (rc == 0)
        settings->headers[settings->header_count++] =
            (struct extra_header){allowed_headers[at].name, value};
    return rc;
}

static int read_headers(struct yaml_reader *reader, yaml_node_t *value, void *at,
                        struct err *err)
{
    if (value->type != YAML_MAPPING_NODE)
        return yaml_refuse(reader, value, err, "must be a mapping of names to values");
    int rc = 0;
    for (yaml_node_pair_t *pair = value->data.mapping.pairs.start;
         rc == 0 && pair < value->data.mapping.pairs.top; pair++)
        rc = read_header(reader, pair, at, err);
    return rc;
}

/* http2 means nothing here: the server speaks HTTP/1.1 only. */
static int read_http2(struct yaml_reader *reader, yaml_node_t *value, void *at,
                      struct err *err)
{
    (void)at;
    bool ignored;
    return yaml_read_bool(reader, value, &ignored, err);
}

static int read_http(struct yaml_reader *reader, yaml_node_t *value, void *at,
                     struct err *err)
{
    static const struct yaml_key keys[] = {
        {"http2", read_http2, 0},
        {"headers", read_headers, 0},
    };
    return yaml_read_section(reader, value, "http_server_config", keys,
                             ARRAY_LENGTH(keys), at, err);
}

static int read_user(struct yaml_reader *reader, const yaml_node_pair_t *pair,
                     struct web_settings *settings, struct err *err)
{
    struct web_user user;
    yaml_node_t *node;
    int rc = read_pair(reader, pair, &user.name, &user.hash, &node, err);
    if (rc != 0)
        return rc;
    if (user.name[0] == '\0' || strchr(user.name, ':'))
        return yaml_refuse(reader, node, err,
                           "the user name \"%.40s\" is empty or has a colon, so nobody "
                           "could give it",
                           user.name);
    for (size_t i = 0; i < settings->user_count; i++) {
        if (strcmp(settings->users[i].name, user.name) == 0)
            return yaml_refuse(reader, node, err,
                               "user \"%.40s\" is there twice; remove one", user.name);
    }
    /* The words never show what stands there: it may be a password by mistake. */
    if (!bcrypt_parse(str_from(user.hash), &user.cost))
        return yaml_refuse(reader, node, err,
                           "the password of \"%.40s\" is not a bcrypt hash ($2a$, $2b$, "
                           "$2y$); make one with: htpasswd -nBC 10 %.40s",
                           user.name, user.name);
    if (user.cost < BCRYPT_COST_MIN || user.cost > BCRYPT_COST_MAX)
        return yaml_refuse(reader, node, err,
                           "the hash of \"%.40s\" has cost %u; allowed are %d to %d",
                           user.name, user.cost, BCRYPT_COST_MIN, BCRYPT_COST_MAX);
    settings->users[settings->user_count++] = user;
    return 0;
}

static int read_users(struct yaml_reader *reader, yaml_node_t *value, void *at,
                      struct err *err)
{
    struct web_settings *settings = at;
    if (value->type != YAML_MAPPING_NODE)
        return yaml_refuse(reader, value, err, "must be a mapping of users to hashes");
    yaml_node_pair_t *pair = value->data.mapping.pairs.start;
    size_t count = (size_t)(value->data.mapping.pairs.top - pair);
    if (count > WEB_USERS_MAX)
        return yaml_refuse(reader, value, err, "has %zu users; at most %d are read",
                           count, WEB_USERS_MAX);
    settings->users = ARENA_NEW(reader->arena, struct web_user, count);
    if (!settings->users)
        return err_set(err, ENOMEM, ERR_ERRNO, ENOMEM, "%s: out of memory", reader->name);
    int rc = 0;
    for (; rc == 0 && pair < value->data.mapping.pairs.top; pair++)
        rc = read_user(reader, pair, settings, err);
    return rc;
}

static int read_interval(struct yaml_reader *reader, yaml_node_t *value, void *at,
                         struct err *err)
{
    const char *text;
    int rc = yaml_read_text(reader, value, &text, err);
    if (rc == 0 && strcmp(text, "0") != 0 && !duration_parse(str_from(text), at))
        rc = yaml_refuse(reader, value, err,
                         "\"%.20s\" is not a whole number of ms, s, m or h", text);
    return rc;
}

static int read_rate_limit(struct yaml_reader *reader, yaml_node_t *value, void *at,
                           struct err *err)
{
    static const struct yaml_key keys[] = {
        {"interval", read_interval, offsetof(struct web_settings, rate_interval_ns)},
        {"burst", yaml_read_count, offsetof(struct web_settings, rate_burst)},
    };
    struct web_settings *settings = at;
    int rc =
        yaml_read_section(reader, value, "rate_limit", keys, ARRAY_LENGTH(keys), at, err);
    reader->key = "rate_limit";
    if (rc == 0 && settings->rate_interval_ns && settings->rate_burst == 0)
        rc = yaml_refuse(reader, value, err,
                         "has no burst, so every request would be refused; add burst: 1");
    if (rc == 0 && settings->rate_burst > RATE_BURST_MAX)
        rc = yaml_refuse(reader, value, err, "has a burst above %d", RATE_BURST_MAX);
    return rc;
}

int web_settings_parse(struct arena *arena, const char *name, struct str text,
                       struct web_settings *out, struct err *err)
{
    static const struct yaml_key keys[] = {
        {"tls_server_config", read_tls, 0},
        {"http_server_config", read_http, 0},
        {"basic_auth_users", read_users, 0},
        {"rate_limit", read_rate_limit, 0},
    };
    struct yaml_reader reader;
    yaml_node_t *root;
    struct web_settings settings = {0};
    int rc = yaml_reader_parse(&reader, arena, name, text, &root, err);
    if (rc != 0)
        return rc;
    if (root)
        rc = yaml_read_mapping(&reader, root, keys, ARRAY_LENGTH(keys), &settings, err);
    yaml_reader_done(&reader);
    if (rc == 0)
        *out = settings;
    else
        web_settings_wipe(&settings);
    return rc;
}

/* The texts are const to everybody but their owner, who ends them here. */
static void wipe_text(const char *text)
{
    if (text)
        explicit_bzero(str_without_const(str_from(text)), strlen(text));
}

void web_settings_wipe(struct web_settings *settings)
{
    wipe_text(settings->tls.key.text);
    for (size_t i = 0; i < settings->user_count; i++)
        wipe_text(settings->users[i].hash);
    explicit_bzero(settings, sizeof *settings);
}
