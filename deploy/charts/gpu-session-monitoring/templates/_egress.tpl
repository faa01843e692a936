{{/* Where the switched-on sources connect to, by port: their addresses are not known here. */}}
{{- define "gpu-session-monitoring.egress" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $source := include "gpu-session-monitoring.metadataSource" . -}}
{{- $rules := $values.networkPolicy.egress | default list -}}
{{- $ports := list -}}
{{- if eq $source "kubelet" -}}
{{- $ports = append $ports (dict "port" (regexFind "[0-9]+$" $values.sources.kubelet.address | int) "protocol" "TCP") -}}
{{- else if eq $source "apiserver" -}}
{{- $ports = concat $ports (list (dict "port" 443 "protocol" "TCP") (dict "port" 6443 "protocol" "TCP")) -}}
{{- end -}}
{{- with $values.sources.dcgm.url -}}
{{- $port := regexFind ":[0-9]+(/|$)" . | trimAll ":/" | default (hasPrefix "https:" . | ternary "443" "80") -}}
{{- $ports = append $ports (dict "port" (int $port) "protocol" "TCP") -}}
{{- if not (regexMatch "^https?://(\\$\\(HOST_IP\\)|[0-9.]+|\\[)" .) -}}
{{- $ports = concat $ports (list (dict "port" 53 "protocol" "UDP") (dict "port" 53 "protocol" "TCP")) -}}
{{- end -}}
{{- end -}}
{{- if $ports -}}
{{- $rules = prepend $rules (dict "ports" $ports) -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}
