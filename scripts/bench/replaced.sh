#!/bin/bash
# What gpu-sessions replaces, rebuilt for comparison: a CronJob's script around nvidia-smi.
#
#   replaced.sh NVIDIA_SMI PROCFS PODLOGS OUTPUT.prom
#
# It does the same main job the way such scripts do: ask nvidia-smi for the devices and the
# processes, look each process up in /proc, find its pod by its cgroup among the kubelet's
# log links, and write a textfile. It knows no MIG instance ids, utilisation per process, or
# start times: the text of nvidia-smi has none of them.
set -eu

smi=$1
procfs=$2
podlogs=$3
output=$4
temporary=$(mktemp "$output.XXXXXX")
trap 'rm -f "$temporary"' EXIT

declare -A index_of sessions
while IFS=, read -r index uuid; do
    index_of[${uuid# }]=$index
    sessions[$index]=0
done < <("$smi" --query-gpu=index,uuid --format=csv,noheader)

# Prints "pod namespace container" of a process in a pod.
pod_of() {
    local id link name
    id=$(grep -oE '[0-9a-f]{64}' "$procfs/$1/cgroup" 2>/dev/null | head -n 1) || return 1
    [ -n "$id" ] || return 1
    link=$(find "$podlogs" -name "*-$id.log" -print -quit)
    [ -n "$link" ] || return 1
    name=$(basename "$link" ".log" | sed "s/-$id\$//")
    echo "$name" | awk -F_ '{ print $1, $2, $3 }'
}

{
    echo '# HELP gpu_process_info 1 per process.'
    echo '# TYPE gpu_process_info gauge'
} >"$temporary"
total=0
while IFS=, read -r uuid pid name memory; do
    pid=${pid// /}
    index=${index_of[$uuid]:-unknown}
    command=$(basename "${name# }")
    memory=${memory//[^0-9]/}
    pod="" namespace="" container=""
    if found=$(pod_of "$pid"); then
        read -r pod namespace container <<<"$found"
    fi
    printf 'gpu_process_info{gpu="%s",pid="%s",command="%s",pod="%s",namespace="%s",container="%s",gpu_memory="%sMiB"} 1\n' \
        "$index" "$pid" "$command" "$pod" "$namespace" "$container" "$memory" >>"$temporary"
    sessions[$index]=$((${sessions[$index]:-0} + 1))
    total=$((total + 1))
done < <("$smi" --query-compute-apps=gpu_uuid,pid,process_name,used_memory --format=csv,noheader)

{
    echo '# HELP gpu_session_count Processes on the GPU.'
    echo '# TYPE gpu_session_count gauge'
    for index in "${!sessions[@]}"; do
        echo "gpu_session_count{gpu=\"$index\"} ${sessions[$index]}"
    done
    echo '# HELP gpu_total_sessions Processes on all GPUs.'
    echo '# TYPE gpu_total_sessions gauge'
    echo "gpu_total_sessions $total"
} >>"$temporary"
chmod 0644 "$temporary"
mv "$temporary" "$output"
