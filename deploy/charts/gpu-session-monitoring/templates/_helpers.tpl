{{/*
The values in force, as YAML: what stands under `gpu-session-monitoring` wins over the top level.
Every template starts with:  {{- $values := include "gpu-session-monitoring.values" . | fromYaml -}}
*/}}
{{- define "gpu-session-monitoring.values" -}}
{{- $own := index .Values "gpu-session-monitoring" | default dict -}}
{{- $enabled := and (ne .Values.enabled false) (ne $own.enabled false) -}}
{{- $merged := mergeOverwrite (deepCopy (omit .Values.AsMap "gpu-session-monitoring")) (omit $own "enabled") -}}
{{- toYaml (set $merged "enabled" $enabled) -}}
{{- end -}}
