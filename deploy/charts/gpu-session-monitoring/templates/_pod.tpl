{{/*
What the pods have in common. Where the argument is a list, it is the root context and the
component: collector (of the job), daemon or test.
*/}}

{{/* Labels and annotations. */}}
{{- define "gpu-session-monitoring.podMetadata" -}}
{{- $values := include "gpu-session-monitoring.values" (index . 0) | fromJson -}}
{{- $own := include "gpu-session-monitoring.componentLabels" . | fromYaml -}}
labels:
  {{- toYaml (merge $own ($values.podLabels | default dict) (include "gpu-session-monitoring.labels" (index . 0) | fromYaml)) | nindent 2 }}
{{- with $values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* By which the pods of a component are selected. */}}
{{- define "gpu-session-monitoring.componentLabels" -}}
{{ include "gpu-session-monitoring.selectorLabels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* The whole pod but its containers, affinity and restartPolicy. */}}
{{- define "gpu-session-monitoring.podSpec" -}}
{{- $root := index . 0 -}}
{{- $values := include "gpu-session-monitoring.values" $root | fromJson -}}
serviceAccountName: {{ include "gpu-session-monitoring.serviceAccountName" $root | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
hostPID: {{ $values.hostPID }}
{{- if $values.hostNetwork }}
hostNetwork: true
{{- end }}
{{- with $values.dnsPolicy | default ($values.hostNetwork | ternary "ClusterFirstWithHostNet" "") }}
dnsPolicy: {{ . }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- with concat ($values.global.imagePullSecrets | default list) ($values.imagePullSecrets | default list) }}
imagePullSecrets:
  {{- range . }}
  - name: {{ kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") . | quote }}
  {{- end }}
{{- end }}
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- range $key, $value := . }}
  {{ $key | quote }}: {{ $value | toString | quote }}
  {{- end }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "gpu-session-monitoring.volumes" . | fromYaml }}
{{- with .volumes }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The collecting container but its name, image, args, ports and probes. */}}
{{- define "gpu-session-monitoring.container" -}}
{{- $root := index . 0 -}}
{{- $values := include "gpu-session-monitoring.values" $root | fromJson -}}
env:
  {{- include "gpu-session-monitoring.env" $root | nindent 2 }}
securityContext:
  {{- include "gpu-session-monitoring.securityContext" $root | nindent 2 }}
{{- with $values.collection.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "gpu-session-monitoring.volumes" . | fromYaml }}
{{- with .mounts }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "gpu-session-monitoring.env" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: HOST_IP
  valueFrom: {fieldRef: {fieldPath: status.hostIP}}
# For the NVIDIA container runtime: the driver's library, and all devices without a request.
- name: NVIDIA_VISIBLE_DEVICES
  value: all
- name: NVIDIA_DRIVER_CAPABILITIES
  value: utility
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* uid of the collecting container; the PodResources socket wants 0. */}}
{{- define "gpu-session-monitoring.uid" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $contexts := mergeOverwrite (deepCopy $values.podSecurityContext) $values.securityContext -}}
{{- $values.sources.podResources | ternary 0 ($contexts.runAsUser | default 65532) | int64 -}}
{{- end -}}

{{- define "gpu-session-monitoring.gid" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $contexts := mergeOverwrite (deepCopy $values.podSecurityContext) $values.securityContext -}}
{{- $contexts.runAsGroup | default 65532 | int64 -}}
{{- end -}}

{{- define "gpu-session-monitoring.securityContext" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $asRoot := dict "runAsUser" 0 "runAsNonRoot" false -}}
{{- toYaml (mergeOverwrite $values.securityContext ($values.sources.podResources | ternary $asRoot dict)) -}}
{{- end -}}

{{/*
The init container that makes the textfile's directory writable: its owner, root, without any
capability, and a member of the group that gets it. Nothing when the collector is root itself.
*/}}
{{- define "gpu-session-monitoring.initContainers" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $gid := include "gpu-session-monitoring.gid" . | int64 -}}
{{- if and $values.prometheus.prepareDirectory (ne (include "gpu-session-monitoring.uid" .) "0") -}}
{{- $asOwner := dict "runAsUser" 0 "runAsGroup" $gid "runAsNonRoot" false -}}
initContainers:
  - name: prepare-textfile
    {{- include "gpu-session-monitoring.image" . | nindent 4 }}
    args:
      - prepare-textfile
      - --group={{ $gid }}
      - {{ include "gpu-session-monitoring.textfile" . | quote }}
    env:
      # No driver for this one.
      - name: NVIDIA_VISIBLE_DEVICES
        value: void
    securityContext:
      {{- toYaml (mergeOverwrite $values.securityContext $asOwner) | nindent 6 }}
    {{- with $values.collection.resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    volumeMounts:
      - {name: textfile, mountPath: {{ $values.prometheus.textfileCollectorPath | quote }}}
{{- end -}}
{{- end -}}

{{/* The textfile, at the same path as on the host, so that messages name what is there. */}}
{{- define "gpu-session-monitoring.textfile" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $values.prometheus.textfileCollectorPath }}/gpu_sessions.prom
{{- end -}}

{{/* Flags of collect and serve that say where facts come from, then those of the operator. */}}
{{- define "gpu-session-monitoring.sourceArgs" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
- --path.rootfs=/host
- --driver.hold={{ $values.driver.hold }}
- {{ $values.user.from | join "," | printf "--user.from=%s" | quote }}
{{- with $values.gpu.devices | join "," }}
- {{ printf "--gpu.devices=%s" . | quote }}
{{- end }}
{{- if $values.sources.podResources }}
- --kube.podresources=/host/var/lib/kubelet/pod-resources/kubelet.sock
{{- end }}
{{- include "gpu-session-monitoring.metadataArgs" . }}
{{- with $values.sources.dcgm.url }}
- {{ printf "--dcgm.url=%s" . | quote }}
{{- end }}
- --log.level={{ $values.log.level }}
- --log.format={{ $values.log.format }}
{{- with $values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "gpu-session-monitoring.metadataArgs" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $source := include "gpu-session-monitoring.metadataSource" . -}}
{{- if ne $source "off" }}
- --kube.metadata={{ $source }}
{{- range $values.sources.podLabels }}
- {{ printf "--kube.label=%s" . | quote }}
{{- end }}
{{- end }}
{{- if eq $source "kubelet" }}
- {{ printf "--kube.kubelet-address=%s" $values.sources.kubelet.address | quote }}
{{- with $values.sources.kubelet.caFile }}
- {{ printf "--kube.kubelet-ca-file=/host%s" . | quote }}
{{- end }}
{{- with $values.sources.kubelet.serverName }}
- {{ printf "--kube.kubelet-server-name=%s" . | quote }}
{{- end }}
{{- if $values.sources.kubelet.insecure }}
- --kube.kubelet-send-token-to-unverified-server
{{- end }}
{{- end }}
{{- end -}}

{{/* The operator's affinity, and that no two pods of the job share a node. */}}
{{- define "gpu-session-monitoring.jobAffinity" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $affinity := $values.affinity | default dict -}}
{{- $anti := $affinity.podAntiAffinity | default dict -}}
{{- $own := dict
  "topologyKey" "kubernetes.io/hostname"
  "labelSelector" (dict "matchLabels" (include "gpu-session-monitoring.componentLabels" (list . "collector") | fromYaml)) -}}
{{- $required := append ($anti.requiredDuringSchedulingIgnoredDuringExecution | default list) $own -}}
{{- $_ := set $anti "requiredDuringSchedulingIgnoredDuringExecution" $required -}}
{{- toYaml (set $affinity "podAntiAffinity" $anti) -}}
{{- end -}}
