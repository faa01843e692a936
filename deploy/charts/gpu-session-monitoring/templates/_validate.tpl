{{/* What no schema can say, in words: what is wrong, why, and what to write instead. */}}
{{- define "gpu-session-monitoring.validate" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $_ := include "gpu-session-monitoring.milliseconds" (list "collection.interval" $values.collection.interval) -}}
{{- $_ := include "gpu-session-monitoring.milliseconds" (list "daemonset.idleWindow" $values.daemonset.idleWindow) -}}
{{- include "gpu-session-monitoring.validatePaths" $values -}}
{{- include "gpu-session-monitoring.validateDevices" $values -}}
{{- include "gpu-session-monitoring.validateMetadata" . -}}
{{- if eq $values.collection.mode "cronjob" -}}
{{- include "gpu-session-monitoring.validateJob" . -}}
{{- else -}}
{{- include "gpu-session-monitoring.validateScraping" $values -}}
{{- end -}}
{{- end -}}

{{- define "gpu-session-monitoring.validatePaths" -}}
{{- $paths := dict "prometheus.textfileCollectorPath" .prometheus.textfileCollectorPath "sources.kubelet.caFile" .sources.kubelet.caFile -}}
{{- range $key, $path := .hostPaths -}}
{{- $_ := set $paths (printf "hostPaths.%s" $key) $path -}}
{{- end -}}
{{- range $key, $path := $paths -}}
{{- if and $path (not (regexMatch "^(/[^/:]+)+$" $path)) -}}
{{- fail (printf "%s: %q is not a path of the host; write an absolute one without : and without / at its end, such as /var/lib/node_exporter/textfile_collector" $key $path) -}}
{{- else if and $path (has ".." (splitList "/" $path)) -}}
{{- fail (printf "%s: %q has .. in it, which Kubernetes refuses; write where it leads to" $key $path) -}}
{{- end -}}
{{- end -}}
{{- if not .prometheus.textfileCollectorPath -}}
{{- fail "prometheus.textfileCollectorPath is empty; name the directory that node-exporter reads (--collector.textfile.directory)" -}}
{{- end -}}
{{- end -}}

{{- define "gpu-session-monitoring.validateDevices" -}}
{{- range splitList "," (.gpu.devices | join ",") -}}
{{- if and . (not (regexMatch "^\\s*([0-9]{1,9}|GPU-.+)\\s*$" .)) -}}
{{- fail (printf "gpu.devices: %q is neither the index nor the UUID (GPU-…) of a GPU; leave it empty for all GPUs" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "gpu-session-monitoring.validateJob" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $schedule := $values.collection.schedule -}}
{{- $fields := splitList " " (regexReplaceAll "\\s+" (trim $schedule) " ") -}}
{{- if hasPrefix "@every" $schedule -}}
{{- fail (printf "collection.schedule: %q is not cron; cron cannot express seconds, so start a job each minute (\"*/1 * * * *\") and set collection.interval, such as 15s" $schedule) -}}
{{- else if and (not (hasPrefix "@" $schedule)) (ne (len $fields) 5) -}}
{{- fail (printf "collection.schedule: %q has %d fields, but cron has five: minute, hour, day, month, weekday; for seconds set collection.interval, such as 15s" $schedule (len $fields)) -}}
{{- end -}}
{{- if lt (include "gpu-session-monitoring.staySeconds" . | int) 10 -}}
{{- fail (printf "collection.count: %s collections at a distance of %s are over in less than 10s; a pod must stay until those of all nodes were placed, else two land on one node and another node gets none; take a higher count or a longer interval" (include "gpu-session-monitoring.count" .) $values.collection.interval) -}}
{{- end -}}
{{- end -}}

{{- define "gpu-session-monitoring.validateScraping" -}}
{{- if and .podMonitor.enabled .serviceMonitor.enabled -}}
{{- fail "podMonitor.enabled and serviceMonitor.enabled: each daemon would be scraped twice and each session counted twice; enable one of the two" -}}
{{- end -}}
{{- if and .serviceMonitor.enabled (not .service.enabled) -}}
{{- fail "serviceMonitor.enabled needs service.enabled: it finds the daemons by that Service; enable it, or podMonitor instead" -}}
{{- end -}}
{{- if and .service.internalTrafficPolicy (eq (toString .service.clusterIP) "None") -}}
{{- fail "service.internalTrafficPolicy has no effect on a Service without an address; set service.clusterIP to \"\" as well" -}}
{{- end -}}
{{- end -}}

{{- define "gpu-session-monitoring.validateMetadata" -}}
{{- $values := include "gpu-session-monitoring.values" . | fromJson -}}
{{- $source := include "gpu-session-monitoring.metadataSource" . -}}
{{- $from := $values.user.from | join "," -}}
{{- if and (eq $source "off") $values.sources.podLabels -}}
{{- fail "sources.podLabels needs sources.metadata: labels of pods are not on the node; set it to apiserver, or to kubelet on Kubernetes 1.33 and later" -}}
{{- end -}}
{{- if and (eq $source "off") (regexMatch "(^|,)\\s*(annotation|label|label-escaped|preset):|(^|,)\\s*owner\\s*(,|$)" $from) -}}
{{- fail (printf "user.from: %q wants labels, annotations or owners of pods, which needs sources.metadata; set it to apiserver, or to kubelet on Kubernetes 1.33 and later" $from) -}}
{{- end -}}
{{- if and (eq $source "kubelet") (semverCompare "<1.33-0" .Capabilities.KubeVersion.Version) -}}
{{- fail (printf "sources.metadata: kubelet needs Kubernetes 1.33 or later, and this is %s: earlier kubelets know no right for their list of pods but nodes/proxy, which allows to run commands in any container; set it to apiserver" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- if and (ne $source "off") $values.rbac.create (eq (include "gpu-session-monitoring.serviceAccountName" .) "default") -}}
{{- fail "sources.metadata gives a right to the service account, and default is that of every pod in the namespace that names none; set serviceAccount.create, or serviceAccount.name to one of its own" -}}
{{- end -}}
{{- if and $values.sources.kubelet.insecure (not $values.hostNetwork) -}}
{{- fail "sources.kubelet.insecure needs hostNetwork: the token is sent to an unchecked server only at an address of this very node, and a pod has its own; better name the kubelet's certificate in sources.kubelet.caFile" -}}
{{- end -}}
{{- end -}}
