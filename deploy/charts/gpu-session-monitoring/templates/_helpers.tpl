{{/*
The values in force, as YAML: what stands under `gpu-session-monitoring` wins over the top level.
Every template starts with:  {{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
*/}}
{{- define "gpu-session-monitoring.values" -}}
{{- $own := index .Values "gpu-session-monitoring" | default dict | deepCopy -}}
{{- $isOff := or (eq (toString .Values.enabled) "false") (eq (toString $own.enabled) "false") -}}
{{- $values := mergeOverwrite (deepCopy (omit .Values.AsMap "gpu-session-monitoring")) (omit $own "enabled") -}}
{{- include "gpu-session-monitoring.complete" (list $values (include "gpu-session-monitoring.defaults" . | fromYaml)) -}}
{{- toJson (set $values "enabled" (not $isOff)) -}}
{{- end -}}

{{/* Sets what the first map lacks of the second, at all depths; false and "" are there. */}}
{{- define "gpu-session-monitoring.complete" -}}
{{- $values := index . 0 -}}
{{- range $key, $default := index . 1 -}}
{{- if kindIs "invalid" (index $values $key) -}}
{{- $_ := set $values $key $default -}}
{{- else if kindIs "map" $default -}}
{{- include "gpu-session-monitoring.complete" (list (index $values $key) $default) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
What the templates cannot do without, as in values.yaml: `helm upgrade --reuse-values` brings only
the values that an earlier chart knew, and a value may be null. A map or list that can be taken
away, such as nodeSelector, must not be here.
*/}}
{{- define "gpu-session-monitoring.defaults" -}}
global: {}
collection: {mode: cronjob, schedule: "*/1 * * * *", interval: 15s}
daemonset:
  port: 10105
  textfile: false
  idleWindow: 5m
  livenessProbe: {periodSeconds: 30, timeoutSeconds: 5, failureThreshold: 3}
  readinessProbe: {periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3}
  webConfig: {key: web-config.yml}
driver: {hold: auto}
gpu: {count: 0}
prometheus: {textfileCollectorPath: /var/lib/node_exporter/textfile_collector, prepareDirectory: true}
sources: {podResources: false, metadata: "off", kubelet: {address: $(HOST_IP):10250}, dcgm: {url: ""}}
user: {from: [namespace, unix]}
hostPaths: {podLogs: /var/log/containers, passwd: /etc/passwd, podResources: /var/lib/kubelet/pod-resources}
log: {level: info, format: logfmt}
image: {repository: gpu-sessions, pullPolicy: IfNotPresent}
serviceAccount: {create: true}
rbac: {create: true}
podSecurityContext: {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
hostPID: true
hostNetwork: false
service: {enabled: true, clusterIP: None, type: ClusterIP, port: 10105}
podMonitor: {enabled: false, honorLabels: true}
serviceMonitor: {enabled: false, honorLabels: true}
networkPolicy: {enabled: false}
prometheusRule: {enabled: false, maxAgeSeconds: 300, alerts: {}}
grafanaDashboard: {enabled: false}
{{- end -}}

{{- define "gpu-session-monitoring.name" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of all objects but the CronJob. */}}
{{- define "gpu-session-monitoring.fullname" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $name := include "gpu-session-monitoring.name" . -}}
{{- $default := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- $values.fullnameOverride | default $default | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "gpu-session-monitoring.namespace" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{- define "gpu-session-monitoring.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gpu-session-monitoring.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of an object. Those of the chart win over commonLabels: pods are selected by them. */}}
{{- define "gpu-session-monitoring.labels" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $own := include "gpu-session-monitoring.selectorLabels" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- toYaml (merge $own ($values.commonLabels | default dict)) -}}
{{- end -}}

{{/* Name, namespace and labels, for `metadata:`. */}}
{{- define "gpu-session-monitoring.metadata" -}}
name: {{ include "gpu-session-monitoring.fullname" . }}
namespace: {{ include "gpu-session-monitoring.namespace" . }}
labels:
  {{- include "gpu-session-monitoring.labels" . | nindent 2 }}
{{- end -}}

{{/* Which image a container runs, and when it is pulled. */}}
{{- define "gpu-session-monitoring.image" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $image := $values.image -}}
{{- $name := list ($values.global.imageRegistry | default $image.registry) $image.repository | compact | join "/" -}}
{{- $version := printf ":%s" ($image.tag | default .Chart.AppVersion | toString) -}}
image: {{ $image.digest | empty | ternary $version (printf "@%s" $image.digest) | printf "%s%s" $name | quote }}
imagePullPolicy: {{ $image.pullPolicy }}
{{- end -}}

{{- define "gpu-session-monitoring.serviceAccountName" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $default := $values.serviceAccount.create | ternary (include "gpu-session-monitoring.fullname" .) "default" -}}
{{- $values.serviceAccount.name | default $default -}}
{{- end -}}

{{/* "off", "kubelet" or "apiserver"; YAML reads a bare off as false. */}}
{{- define "gpu-session-monitoring.metadataSource" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $values.sources.metadata | toString | replace "false" "off" -}}
{{- end -}}
