{{/*
A probe of the daemon: the operator's own, or his timing and what can be asked. With TLS or
passwords the kubelet, which has neither certificate nor password, can only see the open port.
The argument: the value `daemonset`, and the probe.
*/}}
{{- define "gpu-session-monitoring.probe" -}}
{{- $daemon := index . 0 -}}
{{- $probe := index . 1 -}}
{{- $isWhole := or $probe.httpGet $probe.tcpSocket $probe.exec $probe.grpc -}}
{{- $port := dict "port" "metrics" -}}
{{- $page := dict "port" "metrics" "path" "/healthz" -}}
{{- $handler := $daemon.webConfig.secret | empty | not | ternary (dict "tcpSocket" $port) (dict "httpGet" $page) -}}
{{- toYaml (merge $probe ($isWhole | empty | ternary $handler dict)) -}}
{{- end -}}

{{/*
How a monitor scrapes a daemon. The node's name is a label of the page, and of what Prometheus
itself records about the scrape, and the instance, which so outlives the pod. The target's own
pod and container are taken off: on rows without a pod they would stand for the session's.
The argument: the root context, and the monitor's values.
*/}}
{{- define "gpu-session-monitoring.endpoint" -}}
{{- $values := include "gpu-session-monitoring.values" (index . 0) | fromJson -}}
{{- $monitor := index . 1 -}}
port: metrics
path: /metrics
{{- if $values.daemonset.webConfig.tls }}
scheme: https
{{- end }}
{{- with $monitor.tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $monitor.basicAuth }}
basicAuth:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $monitor.interval }}
interval: {{ . | quote }}
{{- end }}
{{- with $monitor.scrapeTimeout }}
scrapeTimeout: {{ . | quote }}
{{- end }}
honorLabels: {{ $monitor.honorLabels }}
relabelings:
  - {action: replace, sourceLabels: [__meta_kubernetes_pod_node_name], targetLabel: instance}
  {{- if $monitor.honorLabels }}
  - {action: replace, sourceLabels: [__meta_kubernetes_pod_node_name], targetLabel: node}
  - {action: labeldrop, regex: pod|container}
  {{- end }}
  {{- with $monitor.relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What is the same in both monitors. The argument: the root context, and the monitor's values. */}}
{{- define "gpu-session-monitoring.monitorMetadata" -}}
{{- $labels := include "gpu-session-monitoring.labels" (index . 0) | fromYaml -}}
name: {{ include "gpu-session-monitoring.fullname" (index . 0) }}
namespace: {{ include "gpu-session-monitoring.namespace" (index . 0) }}
labels:
  {{- toYaml (merge $labels ((index . 1).additionalLabels | default dict)) | nindent 2 }}
{{- end -}}

{{- define "gpu-session-monitoring.monitorSelector" -}}
jobLabel: app.kubernetes.io/name
namespaceSelector:
  matchNames: [{{ include "gpu-session-monitoring.namespace" . }}]
selector:
  matchLabels:
    {{- include "gpu-session-monitoring.componentLabels" (list . "daemon") | nindent 4 }}
{{- end -}}
