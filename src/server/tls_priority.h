/*
 * The protocol part of the TLS settings, as Go names things, in GnuTLS's words.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "server/yaml_reader.h"

enum tls_version { TLS_VERSION_10, TLS_VERSION_11, TLS_VERSION_12, TLS_VERSION_13 };

struct tls_protocol_settings {
    enum tls_version min;
    enum tls_version max;
    struct yaml_texts cipher_suites; /* Go's names; none: Go's default */
    struct yaml_texts curves;        /* the same */
    bool prefer_server_cipher_suites;
};

/* Reads "TLS10" to "TLS13". Return: false for any other word. */
bool tls_version_parse(struct str word, enum tls_version *version);

/**
 * tls_priority_build() - a priority string that allows exactly what SETTINGS allow
 *
 * GnuTLS combines key exchanges and ciphers freely, so a list of cipher suites must be
 * the full product of both; when it is not, the message names what to add. The ciphers
 * bound TLS 1.3 as well, which Go leaves as it is: never weaker than asked for.
 *
 * Return: 0; -EINVAL with the key, cause and remedy.
 */
int tls_priority_build(const struct tls_protocol_settings *settings, struct buf *out,
                       struct err *err);
