/*
 * Pod metadata from the kubelet or the API server (--kube.metadata).
 *
 * The kubelet is asked for its list every half minute, and soon after a process of a pod
 * that is not known appears. Of the API server this node's pods are listed once and then
 * watched: an idle watch costs nothing, and what it says is taken in at each collection
 * without waiting. What fails is tried again at growing distances; what was known stays.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/facts.h"
#include "model/pod_keys.h"
#include "model/snapshot.h"
#include "source/errors.h"

enum kube_mode { KUBE_OFF, KUBE_KUBELET, KUBE_APISERVER };

struct kube_config {
    enum kube_mode mode;
    const char *kubelet_address; /* "host:port" */
    const char *kubelet_ca_file;
    const char *kubelet_server_name; /* in its certificate; NULL: the address's host */
    bool kubelet_is_unverified;      /* only where the address is one of this node's */
    const char *api_url;
    const char *ca_file;
    const char *token_file;
    const char *node;            /* API server: whose pods; never NULL there */
    const struct pod_keys *keys; /* wanted labels and annotations */
    bool without_watch;          /* a single run: only lists */
    uint64_t spread_ns; /* the first list comes at a random time within this, lest all
                           nodes of a cluster ask at once */
    struct error_counters *errors;
};

struct kube_source;

/* Nothing is asked yet. All of CONFIG's text is borrowed. Return: 0; -ENOENT without
 * libcurl; -EINVAL, -ENOMEM. */
int kube_open(const struct kube_config *config, struct kube_source **out, struct err *err)
    __attribute__((warn_unused_result));

void kube_close(struct kube_source *source);

/* "kubelet" or "apiserver". */
const char *kube_resolver(const struct kube_source *source);

/* Asks what is due, for at most BUDGET_NS, and a second. UIDS are those of the pods that
 * were met in this collection; the results of earlier kube_find() end here. */
void kube_update(struct kube_source *source, const char *const *uids, size_t count,
                 uint64_t budget_ns);

/* NULL when not known. Valid until the next kube_update(). */
const struct pod_metadata *kube_find(struct kube_source *source, const char *uid);

/* Return: false while nothing has been asked yet. The reason lives in ARENA. */
bool kube_status(const struct kube_source *source, struct arena *arena,
                 struct source_status *out);
