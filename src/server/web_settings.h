/*
 * What the web configuration file says, before any other file is opened.
 *
 * The format is that of Prometheus's exporters (docs/web-config.md). Texts belong to the
 * arena that the settings were parsed into.
 */
#pragma once

#include "server/extra_headers.h"
#include "server/tls_priority.h"
#include "server/yaml_reader.h"

enum client_auth {
    CLIENT_AUTH_NONE,
    CLIENT_AUTH_REQUEST,         /* asked for, not required, not verified */
    CLIENT_AUTH_REQUIRE_ANY,     /* required, not verified */
    CLIENT_AUTH_VERIFY_IF_GIVEN, /* verified when there is one */
    CLIENT_AUTH_REQUIRE_VERIFIED,
};

/* A PEM text: in the file itself, in a file of its own, or absent (both NULL). */
struct pem_setting {
    const char *text;
    const char *file; /* as written, relative to the configuration's folder */
};

struct tls_settings {
    struct pem_setting cert;
    struct pem_setting key;
    struct pem_setting client_ca;
    enum client_auth client_auth;
    struct yaml_texts client_allowed_sans;
    struct tls_protocol_settings protocol;
};

struct web_user {
    const char *name;
    const char *hash; /* bcrypt */
    unsigned cost;
};

#define WEB_USERS_MAX 256
#define WEB_HEADERS_MAX 5

struct web_settings {
    bool with_tls;
    struct tls_settings tls;
    struct extra_header headers[WEB_HEADERS_MAX];
    size_t header_count;
    struct web_user *users;
    size_t user_count;
    uint64_t rate_interval_ns; /* 0: no limit */
    uint64_t rate_burst;
};

/* Ceiling of the file, and of each file it names. */
#define WEB_FILE_BYTES_MAX ((size_t)256 << 10)

/**
 * web_settings_parse() - the whole file's TEXT; NAME is for messages
 *
 * Empty text is valid: no TLS, no users. Return: 0; -EBADMSG with file, line, key, cause
 * and remedy; -ENOMEM. *OUT is written only on success.
 */
int web_settings_parse(struct arena *arena, const char *name, struct str text,
                       struct web_settings *out, struct err *err)
    __attribute__((warn_unused_result));

/* Wipes what is secret: the key and the hashes. */
void web_settings_wipe(struct web_settings *settings);
