{{/*
Volumes of a pod and where its collecting container has them: only what the switched-on sources
read, and nothing writable but the textfile's directory. The argument: the root context, and the
component. YAML of `volumes` and `mounts`.
*/}}
{{- define "gpu-session-monitoring.volumes" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := include "gpu-session-monitoring.values" $root | fromJson -}}
{{- $source := include "gpu-session-monitoring.metadataSource" $root -}}
{{- $kubeletCa := eq $source "kubelet" | ternary $values.sources.kubelet.caFile "" -}}
{{- $podResources := $values.sources.podResources | ternary $values.hostPaths.podResources "" -}}
{{- $host := list
  (list "pod-logs" $values.hostPaths.podLogs "/host/var/log/containers" "Directory")
  (list "passwd" $values.hostPaths.passwd "/host/etc/passwd" "File")
  (list "pod-resources" $podResources "/host/var/lib/kubelet/pod-resources" "Directory")
  (list "kubelet-ca" $kubeletCa (printf "/host%s" $kubeletCa) "File") -}}
{{- $volumes := list -}}
{{- $mounts := list -}}
{{- range $host -}}
{{- if index . 1 -}}
{{- $volumes = append $volumes (dict "name" (index . 0) "hostPath" (dict "path" (index . 1) "type" (index . 3))) -}}
{{- $mounts = append $mounts (dict "name" (index . 0) "mountPath" (index . 2) "readOnly" true) -}}
{{- end -}}
{{- end -}}
{{- if or (eq $component "collector") (and (eq $component "daemon") $values.daemonset.textfile) -}}
{{- $path := $values.prometheus.textfileCollectorPath -}}
{{- $volumes = append $volumes (dict "name" "textfile" "hostPath" (dict "path" $path "type" "DirectoryOrCreate")) -}}
{{- $mounts = append $mounts (dict "name" "textfile" "mountPath" $path) -}}
{{- end -}}
{{- if ne $source "off" -}}
{{- $volumes = append $volumes (include "gpu-session-monitoring.tokenVolume" $root | fromYaml) -}}
{{- $mounts = append $mounts (dict "name" "service-account" "mountPath" "/var/run/secrets/kubernetes.io/serviceaccount" "readOnly" true) -}}
{{- end -}}
{{- if and (eq $component "daemon") $values.daemonset.webConfig.secret -}}
{{- $volumes = append $volumes (dict "name" "web-config" "secret" (dict "secretName" $values.daemonset.webConfig.secret "defaultMode" 0440)) -}}
{{- $mounts = append $mounts (dict "name" "web-config" "mountPath" "/etc/gpu-sessions/web" "readOnly" true) -}}
{{- end -}}
{{- toYaml (dict
  "volumes" (concat $volumes ($values.extraVolumes | default list))
  "mounts" (concat $mounts ($values.extraVolumeMounts | default list))) -}}
{{- end -}}

{{/* The token as pods have it, but for the collecting container alone. */}}
{{- define "gpu-session-monitoring.tokenVolume" -}}
name: service-account
projected:
  sources:
    - serviceAccountToken: {path: token, expirationSeconds: 3607}
    - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
{{- end -}}
