#!/bin/sh
# Creates a namespace, or labels the one that is there, so that its pods may see the host:
#   prepare-namespace.sh NAMESPACE [KUBE_CONTEXT]
#
# An administrator who has set another level by hand is not overruled: kubectl reports the
# conflict, and `labelNamespaces: false` leaves the namespaces to him.
set -eu

namespace=$1
context=${2:-}

kubectl ${context:+--context "$context"} apply --server-side --field-manager=gpu-session-monitoring -f - <<MANIFEST
apiVersion: v1
kind: Namespace
metadata:
  name: $namespace
  labels:
    pod-security.kubernetes.io/enforce: privileged
    pod-security.kubernetes.io/audit: privileged
    pod-security.kubernetes.io/warn: privileged
MANIFEST
