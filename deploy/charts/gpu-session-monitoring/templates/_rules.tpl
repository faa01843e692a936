{{/*
The rules, as the groups of a PrometheusRule. docs/rules.md says what each of them means.

A node's rows reach Prometheus from the daemon itself or in a textfile through node-exporter; there
a label of the target takes the place of the session's, which becomes exported_<label>. The recorded
series read the same in both cases, and hold each node's rows once.
*/}}

{{/* What tells one target from another, also where one ruler serves several clusters. */}}
{{- define "gpu-session-monitoring.rules.target" -}} cluster, job, instance {{- end -}}

{{- define "gpu-session-monitoring.rules.session" -}}
cluster, node, gpu, pid, command, namespace, pod, container
{{- end -}}

{{/*
When each target's page was made, with the node's name: the page's own, which may have become
exported_node; else the target's; else the host part of the instance. Beside it only labels of the
target stand here, so this series tells them from labels of sessions.
*/}}
{{- define "gpu-session-monitoring.rules.collected" -}}
max by (node, {{ include "gpu-session-monitoring.rules.target" . }}, namespace, pod, container) (
  label_replace(
    label_join(
      gpu_session_last_collect_timestamp_seconds,
      "node", ";", "exported_node", "node", "instance"
    ),
    "node", "$1$2", "node", ";;(.+?)(?::[0-9]+)?|;?([^;]+);.*"
  )
)
{{- end -}}

{{/*
One target for each node, whose rows count: of those with a page that is not too old, a daemon,
else the newest textfile. node-exporter goes on serving the file of a collector that is gone. And
one node for each target: where an address has just gone over to another node, both still have it,
and two rows to be joined with would fail the rules of all nodes.
*/}}
{{- define "gpu-session-monitoring.rules.chosen" -}}
{{- $collected := "target:gpu_session_last_collect_timestamp_seconds:max" -}}
group by (node, {{ include "gpu-session-monitoring.rules.target" . }}) (
  topk by ({{ include "gpu-session-monitoring.rules.target" . }}) (1,
    topk by (cluster, node) (1,
      (
        {{ $collected }} > time() - {{ .maxAgeSeconds }}
        unless on ({{ include "gpu-session-monitoring.rules.target" . }}) node_textfile_scrape_error
      )
      or on (cluster, node)
      {{ $collected }} > time() - {{ .maxAgeSeconds }}
    )
  )
)
{{- end -}}

{{/* The rows that count, with their node's name. */}}
{{- define "gpu-session-monitoring.rules.rows" -}}
* on ({{ include "gpu-session-monitoring.rules.target" . }}) group_left (node)
  node:gpu_session_target:topk
{{- end -}}

{{/* A family without labels of a workload. Takes family, by, operation. */}}
{{- define "gpu-session-monitoring.rules.plain" -}}
{{ .operation }} by ({{ .by }}) (
  {{ .family }}
  {{ include "gpu-session-monitoring.rules.rows" . | nindent 2 | trim }}
)
{{- end -}}

{{/*
A family with the labels of a workload. Where all three are the target's own, the session has none
or has them as exported_*; where only some are, the target has only some. Takes family and by.
*/}}
{{- define "gpu-session-monitoring.rules.workload" -}}
{{- $own := printf "on (%s, namespace, pod, container)\n          target:gpu_session_last_collect_timestamp_seconds:max" (include "gpu-session-monitoring.rules.target" .) -}}
max by ({{ .by }}) (
  label_replace(label_replace(label_replace(
    (
      ({{ .family }} unless {{ $own }})
      or
      max without (namespace, pod, container) (
        {{ .family }} and {{ $own }})
    ),
    "namespace", "$1", "exported_namespace", "(.+)"),
    "pod", "$1", "exported_pod", "(.+)"),
    "container", "$1", "exported_container", "(.+)")
  {{ include "gpu-session-monitoring.rules.rows" . | nindent 2 | trim }}
)
{{- end -}}

{{/* The recorded families: level, family, and the labels that it has beside those of its level. */}}
{{- define "gpu-session-monitoring.rules.families" -}}
session:
  template: workload
  by: {{ include "gpu-session-monitoring.rules.session" . }}
  families:
    gpu_process_info: [status, user]
    gpu_process_utilization: []
    gpu_process_memory_utilization: []
    gpu_process_memory_used_bytes: []
    gpu_process_start_time_seconds: []
allocation:
  level: device
  template: workload
  by: cluster, node, gpu
  families:
    gpu_device_allocated: [namespace, pod, container]
device:
  template: plain
  by: cluster, node, gpu
  families:
    gpu_session_count: []
    gpu_user_count: []
    gpu_sessions_started_total: []
    gpu_sessions_ended_total: []
    gpu_device_info: [uuid, name, pci_bus_id, mig_profile, parent_uuid]
    gpu_device_utilization: []
    gpu_device_memory_total_bytes: []
    gpu_device_memory_used_bytes: []
    gpu_device_power_watts: []
    gpu_device_temperature_celsius: []
    gpu_device_state: [state]
node:
  template: plain
  by: cluster, node
  families:
    gpu_total_sessions: []
    gpu_total_users: []
    gpu_sessions_omitted: []
    gpu_session_collectors_stuck: []
    gpu_session_driver_released: []
source:
  level: node
  operation: min
  template: plain
  by: cluster, node
  families:
    gpu_session_source_up: [source]
{{- end -}}

{{/* The normalised families. Takes maxAgeSeconds. */}}
{{- define "gpu-session-monitoring.rules.normalised" -}}
- record: target:gpu_session_last_collect_timestamp_seconds:max
  expr: |-
    {{- include "gpu-session-monitoring.rules.collected" . | nindent 4 }}
- record: node:gpu_session_target:topk
  expr: |-
    {{- include "gpu-session-monitoring.rules.chosen" . | nindent 4 }}
- record: node:gpu_session_last_collect_timestamp_seconds:max
  expr: max by (cluster, node) (target:gpu_session_last_collect_timestamp_seconds:max)
{{- range $name, $level := include "gpu-session-monitoring.rules.families" . | fromYaml }}
{{- $operation := $level.operation | default "max" }}
{{- range $family, $labels := $level.families }}
- record: {{ $level.level | default $name }}:{{ $family }}:{{ $operation }}
  expr: |-
    {{- $by := prepend $labels $level.by | join ", " }}
    {{- include (printf "gpu-session-monitoring.rules.%s" $level.template)
          (dict "family" $family "by" $by "operation" $operation) | nindent 4 }}
{{- end }}
{{- end }}
- record: node:gpu_session_collector_restarts:increase1h
  expr: |-
    sum by (cluster, node) (
      increase(gpu_session_collector_restarts_total[1h])
      {{- include "gpu-session-monitoring.rules.rows" . | nindent 6 }}
    )
{{- end -}}

{{/*
A family of sessions with the user of each, whom gpu_process_info names. Takes the series. While
a target is replaced, a session may be there with two statuses or two users: one of them is taken.
*/}}
{{- define "gpu-session-monitoring.rules.withUser" -}}
{{ . }}
* on (cluster, node, gpu, pid) group_left (user)
  topk by (cluster, node, gpu, pid) (1, session:gpu_process_info:max{pid!=""})
{{- end -}}

{{/*
Sessions by user, namespace, pod, node and cluster. The row of value 0 that a device without a
session has is what lets a node have 0 sessions; of a user or pod it says nothing.
*/}}
{{- define "gpu-session-monitoring.rules.ofSessions" -}}
{{- $levels := dict "user" "cluster, user" "namespace" "cluster, namespace" "pod" "cluster, namespace, pod" "node" "cluster, node" "cluster" "cluster" }}
{{- range $level, $by := $levels }}
{{- $owned := ternary "" "pid!=\"\"" (has $level (list "node" "cluster")) }}
- record: {{ $level }}:gpu_sessions:sum
  expr: sum by ({{ $by }}) (session:gpu_process_info:max{{ with $owned }}{ {{- . -}} }{{ end }})
{{- range $status, $other := dict "active" "idle" "idle" "active" }}
- record: {{ $level }}:gpu_sessions_{{ $status }}:sum
  expr: |-
    sum by ({{ $by }}) (
      session:gpu_process_info:max{ {{- prepend (list $owned | compact) (printf "status=%q" $status) | join "," -}} }
      or
      0 * session:gpu_process_info:max{ {{- prepend (list $owned | compact) (printf "status=%q" $other) | join "," -}} }
    )
{{- end }}
{{- range list "gpu_process_memory_used_bytes" "gpu_process_utilization" }}
{{- $rows := printf "session:%s:max" . }}
- record: {{ $level }}:{{ . }}:sum
  expr: |-
    sum by ({{ $by }}) (
      {{- ternary (include "gpu-session-monitoring.rules.withUser" $rows) $rows (eq $level "user") | nindent 6 }}
    )
{{- end }}
{{- end }}
- record: cluster:gpu_users:count
  expr: count by (cluster) (user:gpu_sessions:sum{user!=""})
{{- end -}}

{{/*
Devices by node and cluster. Sessions run on the devices that have a session count; memory is that
of the GPUs: their MIG devices have parts of it.
*/}}
{{- define "gpu-session-monitoring.rules.ofDevices" -}}
{{- range $level, $by := dict "node" "cluster, node" "cluster" "cluster" }}
- record: {{ $level }}:gpu_devices:count
  expr: count by ({{ $by }}) (device:gpu_session_count:max)
- record: {{ $level }}:gpu_devices_busy:ratio
  expr: avg by ({{ $by }}) (device:gpu_session_count:max > bool 0)
- record: {{ $level }}:gpu_device_state:sum
  expr: sum by ({{ $by }}, state) (device:gpu_device_state:max)
- record: {{ $level }}:gpu_device_utilization:avg
  expr: |-
    avg by ({{ $by }}) (
      device:gpu_device_utilization:max and on (cluster, node, gpu) device:gpu_session_count:max
    )
{{- range list "gpu_device_memory_total_bytes" "gpu_device_memory_used_bytes" }}
- record: {{ $level }}:{{ . }}:sum
  expr: sum by ({{ $by }}) (device:{{ . }}:max{gpu!~".+_.+_.+"})
{{- end }}
{{- end }}
{{- end -}}

{{/*
The alerts of rules/alerts.yaml that are enabled, with thresholds. Takes values (prometheusRule),
gpuCount and alerts, the text of that file.
*/}}
{{- define "gpu-session-monitoring.rules.alerts" -}}
{{- $values := .values }}
{{- $gpuCount := .gpuCount }}
{{- range $name, $text := .alerts | fromYaml }}
{{- $wanted := get ($values.alerts | default dict) $name | default dict }}
{{- $threshold := ternary $gpuCount $wanted.threshold (eq $name "GPUDeviceMissing") }}
{{- $alert := toYaml $text | replace "THRESHOLD" (toString $threshold) | replace "MAX_AGE" (toString $values.maxAgeSeconds) | fromYaml }}
{{- if and $wanted.enabled (or $gpuCount (ne $name "GPUDeviceMissing")) }}
- alert: {{ $name }}
  expr: |-
    {{- $alert.expr | trim | nindent 4 }}
  for: {{ $wanted.for }}
  labels:
    severity: {{ $wanted.severity | quote }}
  annotations:
    {{- omit $alert "expr" | toYaml | nindent 4 }}
    {{- with $values.runbookUrl }}
    runbook_url: {{ printf "%s/%s.md" (trimSuffix "/" .) $name | quote }}
    {{- end }}
{{- end }}
{{- end }}
{{- end -}}
