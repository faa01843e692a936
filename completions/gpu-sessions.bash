# shellcheck shell=bash
# Completion of gpu-sessions for bash.

# The built-in scenarios, as the program itself names them.
_gpu_sessions_scenarios() {
    "$1" simulate --list 2>/dev/null | while read -r name _; do echo "$name"; done
}

# Values of flag $1 for the word $2; $3 is the program.
# Return: 1 when the flag takes none.
_gpu_sessions_value() {
    local words=
    case $1 in
    --source) words="auto nvml nvidia-smi" ;;
    --sort) words="device memory utilization age user pid" ;;
    --color | --driver.hold) words="auto always never" ;;
    --kube.podresources)
        words="auto off"
        mapfile -t COMPREPLY < <(compgen -f -- "$2")
        compopt -o filenames 2>/dev/null
        ;;
    --sandbox) words="auto off" ;;
    --kube.metadata) words="off kubelet apiserver" ;;
    --log.level) words="debug info warn error" ;;
    --log.format) words="logfmt json" ;;
    --scenario)
        words=$(_gpu_sessions_scenarios "$3")
        mapfile -t COMPREPLY < <(compgen -f -- "$2")
        compopt -o filenames 2>/dev/null
        ;;
    --textfile | --web.config.file | --nvml.library | --nvidia-smi.path | --kube.token-file | \
        --kube.ca-file | --kube.kubelet-ca-file)
        mapfile -t COMPREPLY < <(compgen -f -- "$2")
        compopt -o filenames 2>/dev/null
        return 0
        ;;
    --path.procfs | --path.rootfs | --path.podlogs)
        mapfile -t COMPREPLY < <(compgen -d -- "$2")
        compopt -o filenames 2>/dev/null
        return 0
        ;;
    --timeout | --interval | --count | --node | --max-sessions | --gpu | --gpu.devices | --group | --namespace | --user | \
        --web.listen-address | --web.telemetry-path | --web.max-connections | \
        --collect.interval | --driver.release-time | --idle-window | --user.from | --kube.label | \
        --kube.kubelet-address | --kube.kubelet-server-name | --kube.api-url | --dcgm.url)
        return 0
        ;;
    *) return 1 ;;
    esac
    local matches
    mapfile -t matches < <(compgen -W "$words" -- "$2")
    COMPREPLY+=("${matches[@]}")
}

# The flags of command $1.
_gpu_sessions_flags() {
    local reading="--source --timeout --node --gpu.devices --max-sessions --graphics --nvml.library
        --nvidia-smi.path --path.procfs --path.rootfs --path.podlogs --dcgm.url --user.from
        --kube.podresources --kube.metadata --kube.label --kube.token-file --kube.ca-file
        --kube.api-url --kube.kubelet-address --kube.kubelet-ca-file --kube.kubelet-server-name
        --kube.kubelet-send-token-to-unverified-server"
    local all="--log.level --log.format --help --version"
    local metrics="--textfile --no-volatile-labels --driver.hold"
    case $1 in
    collect) echo "--interval --count $metrics $reading $all" ;;
    serve)
        echo "--web.listen-address --web.telemetry-path --web.config.file --web.systemd-socket
            --web.max-connections --collect.interval --driver.release-time --idle-window
            --textfile.remove-on-exit --sandbox $metrics $reading $all"
        ;;
    list) echo "--json --gpu --namespace --user --sort --color $reading $all" ;;
    prepare-textfile) echo "--group $all" ;;
    simulate) echo "--scenario --hold --freeze --list $all" ;;
    *) echo "--help --version" ;;
    esac
}

_gpu_sessions() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]}
    COMPREPLY=()
    # Bash takes "--flag=value" for three words.
    if [[ $current == "=" ]]; then
        current=
    elif [[ $previous == "=" && $COMP_CWORD -ge 2 ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [[ $previous == --* ]] &&
        _gpu_sessions_value "$previous" "$current" "${COMP_WORDS[0]}"; then
        return
    fi
    if [[ $COMP_CWORD -eq 1 && $current != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "collect serve list prepare-textfile simulate" -- "$current")
    elif [[ $current != -* && $command == prepare-textfile ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        compopt -o filenames 2>/dev/null
    elif [[ $current != -* && $command == simulate ]]; then
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        compopt -o filenames 2>/dev/null
    else
        mapfile -t COMPREPLY < <(compgen -W "$(_gpu_sessions_flags "$command")" -- "$current")
    fi
}

complete -F _gpu_sessions gpu-sessions
