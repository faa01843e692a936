{{/* A duration of the program (500ms, 15s, 2m, 1h) in milliseconds. The argument: its key, and it. */}}
{{- define "gpu-session-monitoring.milliseconds" -}}
{{- $key := index . 0 -}}
{{- $duration := index . 1 | toString -}}
{{- if not (regexMatch "^[0-9]{1,8}(ms|s|m|h)$" $duration) -}}
{{- fail (printf "%s: %q is not a duration; write a number with its unit (ms, s, m or h), such as 15s" $key $duration) -}}
{{- end -}}
{{- $number := regexFind "^[0-9]+" $duration | int64 -}}
{{- $unit := regexFind "[a-z]+$" $duration -}}
{{- mul $number (index (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000) $unit) -}}
{{- end -}}

{{/*
Collections of one job: those that begin in the first 50 seconds of a minute. The rest is for the
last one to end, and for the next job's pods to start.
*/}}
{{- define "gpu-session-monitoring.count" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $interval := include "gpu-session-monitoring.milliseconds" (list "collection.interval" $values.collection.interval) | int64 -}}
{{- if $values.collection.count -}}
{{- $values.collection.count | int -}}
{{- else if or (lt $interval 1000) (gt $interval 50000) -}}
{{- fail (printf "collection.interval: %s is not between 1s and 50s, so that no number of collections fills a minute; for less than one collection a minute write it into collection.schedule (\"*/2 * * * *\" is every two minutes) and leave the interval, or set collection.count as well" $values.collection.interval) -}}
{{- else -}}
{{- add 1 (div 50000 $interval) -}}
{{- end -}}
{{- end -}}

{{/* From the first to the last collection of a job, in seconds. */}}
{{- define "gpu-session-monitoring.staySeconds" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $interval := include "gpu-session-monitoring.milliseconds" (list "collection.interval" $values.collection.interval) | int64 -}}
{{- div (mul (sub (include "gpu-session-monitoring.count" . | int64) 1) $interval) 1000 -}}
{{- end -}}

{{/* "true" when a taint keeps no pod with these tolerations away. The argument: it, and they. */}}
{{- define "gpu-session-monitoring.isTolerated" -}}
{{- $taint := index . 0 -}}
{{- $result := has $taint.effect (list "NoSchedule" "NoExecute") | not -}}
{{- range index . 1 -}}
{{- $sameKey := or (not .key) (eq (toString .key) $taint.key) -}}
{{- $sameValue := or (eq (toString .operator) "Exists") (eq (.value | default "" | toString) ($taint.value | default "")) -}}
{{- $sameEffect := or (not .effect) (eq (toString .effect) $taint.effect) -}}
{{- $result = or $result (and $sameKey $sameValue $sameEffect) -}}
{{- end -}}
{{- $result -}}
{{- end -}}

{{/*
"true" when the job's pods can go to a node. The argument: the node, and the values. Taints of
Kubernetes' own say that a node is cordoned or not well just now; it counts.
*/}}
{{- define "gpu-session-monitoring.isWanted" -}}
{{- $node := index . 0 -}}
{{- $values := index . 1 -}}
{{- $result := true -}}
{{- range $key, $value := $values.nodeSelector -}}
{{- $result = and $result (eq (get ($node.metadata.labels | default dict) $key) (toString $value)) -}}
{{- end -}}
{{- range $node.spec.taints -}}
{{- $isOwn := hasPrefix "node.kubernetes.io/" .key -}}
{{- $isTolerated := include "gpu-session-monitoring.isTolerated" (list . ($values.tolerations | default list)) -}}
{{- $result = and $result (or $isOwn (eq $isTolerated "true")) -}}
{{- end -}}
{{- $result -}}
{{- end -}}

{{/* Nodes in the cluster that the job's pods can go to; 0 where no cluster is asked. */}}
{{- define "gpu-session-monitoring.foundNodes" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $found := 0 -}}
{{- range (lookup "v1" "Node" "" "").items -}}
{{- if eq (include "gpu-session-monitoring.isWanted" (list . $values)) "true" -}}
{{- $found = add1 $found -}}
{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{/* Pods of one job. */}}
{{- define "gpu-session-monitoring.nodes" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- if $values.collection.nodes -}}
{{- $values.collection.nodes | int -}}
{{- else -}}
{{- max 1 (include "gpu-session-monitoring.foundNodes" . | int) -}}
{{- end -}}
{{- end -}}
