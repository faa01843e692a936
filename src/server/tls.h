/*
 * TLS by GnuTLS: certificate, allowed protocol, and who may connect.
 *
 * Each connection takes its credentials and rules from here before its handshake, so
 * that a new certificate counts from the next connection on, and a client that may not
 * connect is refused in the handshake, before a byte of HTTP is read.
 */
#pragma once

#include "server/web_settings.h"

#include <gnutls/gnutls.h>

/* Counted: a connection keeps what it began with. One thread only. */
struct tls;

/* The PEM texts, wherever they came from; FILE names them in messages. */
struct tls_material {
    struct str cert, key, client_ca;
    const char *cert_file, *key_file, *client_ca_file;
};

/**
 * tls_new() - credentials, checked: the texts can be read, and the key is the
 * certificate's
 *
 * What is needed later is copied. Return: 0; -EINVAL with cause and remedy; -ENOMEM.
 */
int tls_new(const struct tls_settings *settings, const struct tls_material *material,
            struct tls **out, struct err *err) __attribute__((warn_unused_result));

struct tls *tls_ref(struct tls *tls);
/* Accepts NULL. */
void tls_unref(struct tls *tls);

/* Puts the rules of TLS into SESSION, before its handshake. TLS must outlive the session.
 * Return: 0 or negative: the session must not be used. */
int tls_begin_session(struct tls *tls, gnutls_session_t session)
    __attribute__((warn_unused_result));
