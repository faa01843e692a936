/*
 * Addresses and URLs of the kubelet and the API server. Pure but for
 * kube_address_is_local(), which asks the kernel for this node's addresses.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/* Takes "host:port" or "[v6]:port" apart; the host is without brackets. */
bool kube_address_parse(struct str address, struct str *host, struct str *port);

/* Whether HOST is a literal address of this node: loopback, or one of its interfaces. A
 * name never is: who answers for it is up to others. */
bool kube_address_is_local(struct str host);

/* "https://NAME:PORT/pods/", NAME standing for HOST in the certificate (NULL: HOST). */
void kube_kubelet_url(struct buf *url, const char *name, struct str host,
                      struct str port);

/* The pods of NODE: a list when WATCH_FROM is NULL, else a watch from that version that
 * the server ends after TIMEOUT_SECONDS. */
void kube_pods_url(struct buf *url, const char *base, const char *node,
                   const char *watch_from, unsigned timeout_seconds);
