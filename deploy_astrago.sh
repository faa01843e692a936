#!/usr/bin/env bash
# Deploys GPU session monitoring, alone or with the Prometheus and the GPU operator that it
# works with, by Helmfile. deploy/README.md is its manual; --help lists the commands.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
environments=$root/deploy/environments
helmfile_path=$root/deploy/helmfile.yaml.gotmpl
# What `env` sets up when no name is given, and what the others then take.
own_environment=astrago

# Set by the command line.
command=""
app=""
environment=${HELMFILE_ENVIRONMENT:-}
template=prod
registry=""
textfile_directory=""
charts=""
assume_yes=no
helmfile_arguments=()

usage() {
    cat <<USAGE
Usage: ./deploy_astrago.sh COMMAND [APP] [FLAGS] [-- HELMFILE_ARGUMENTS]

  env             set up an environment, and show it
  sync [APP]      install or upgrade
  destroy [APP]   uninstall; asks first
  diff [APP]      what sync would change
  status [APP]    what is installed
  template [APP]  print the manifests
  lint [APP]      check charts and values

Without APP a command is for all apps. Apps:
$(list_apps | sed 's/^/  /')

  -e, --environment NAME  which environment: $(list_environments | on_one_line)
                          (default: \$HELMFILE_ENVIRONMENT, or $own_environment once \`env\` has set
                          it up, or default)
  --registry HOST[/PATH]  pull our image from there (env: remember it)
  --textfile-dir DIR      node-exporter's textfile directory on the nodes (env: remember it)
  --charts DIR            take the charts of others from DIR, not from the internet
                          (env: remember it)
  --from NAME             env: start the new environment from this one (default: prod)
  -y, --yes               destroy: do not ask
  -h, --help              this text

Exit status: 0 done, 1 failed, 2 wrong command line.
USAGE
}

fail() {
    echo "deploy_astrago.sh: $*" >&2
    exit 1
}

refuse() {
    echo "deploy_astrago.sh: $*" >&2
    exit 2
}

list_apps() {
    local folder
    for folder in "$root"/deploy/applications/*/; do
        basename "$folder"
    done
}

list_environments() {
    local file
    for file in "$environments"/*/values.yaml; do
        basename "$(dirname "$file")"
    done | grep -vx common
}

on_one_line() {
    paste -sd ' ' -
}

# --- the command line ---------------------------------------------------------------------

parse_command_line() {
    while [ $# -gt 0 ]; do
        case $1 in
        -h | --help) usage && exit 0 ;;
        -y | --yes) assume_yes=yes ;;
        --)
            helmfile_arguments=("${@:2}")
            break
            ;;
        --*=*)
            set -- "${1%%=*}" "${1#*=}" "${@:2}"
            continue
            ;;
        -e | --environment | --registry | --textfile-dir | --charts | --from)
            [ $# -gt 1 ] || refuse "$1 wants a value; see --help"
            set_flag "$1" "$2"
            shift
            ;;
        -*) refuse "unknown flag '$1'; see --help" ;;
        *) take_word "$1" ;;
        esac
        shift
    done
}

set_flag() {
    case $1 in
    -e | --environment) environment=$2 ;;
    --registry) registry=$2 ;;
    --textfile-dir) textfile_directory=$2 ;;
    --charts) charts=$2 ;;
    --from) template=$2 ;;
    esac
}

take_word() {
    if [ -z "$command" ]; then
        command=$1
    elif [ -z "$app" ]; then
        app=$1
    else
        refuse "one app at a time, or none for all: '$1' is too much"
    fi
}

check_command() {
    case $command in
    sync | destroy | diff | status | template | lint) check_app ;;
    env) [ -z "$app" ] || refuse "env is for the whole environment, not for '$app'" ;;
    "") usage >&2 && exit 2 ;;
    *) refuse "unknown command '$command'; there are: env sync destroy diff status template lint" ;;
    esac
}

check_app() {
    # Not grep -q: it would end the pipe under the hands of the one who writes.
    [ -z "$app" ] || list_apps | grep -xF -- "$app" >/dev/null ||
        refuse "unknown app '$app'; there are: $(list_apps | on_one_line)"
}

# What ends up in YAML and on Helmfile's command line must not be able to mean more there.
check_values() {
    [[ $registry =~ ^[A-Za-z0-9./:_-]*$ ]] ||
        refuse "--registry '$registry': wanted is HOST[:PORT][/PATH], without a scheme"
    [[ $registry != *://* ]] || refuse "--registry '$registry': leave the scheme away"
    [ -z "$charts" ] || [ -d "$charts" ] || refuse "--charts '$charts': there is no such folder"
    [ -z "$charts" ] || charts=$(cd "$charts" && pwd)
    check_path --charts "$charts"
    check_path --textfile-dir "$textfile_directory"
}

check_path() {
    [[ -z $2 || $2 =~ ^(/[A-Za-z0-9._-]+)+$ ]] ||
        refuse "$1 '$2': wanted is an absolute path of letters, digits and . _ -, no / at its end"
}

choose_environment() {
    if [ -z "$environment" ]; then
        environment=default
        if [ "$command" = env ] || [ -f "$environments/$own_environment/values.yaml" ]; then
            environment=$own_environment
        fi
    fi
    [[ $environment =~ ^[a-z0-9][a-z0-9-]*$ && $environment != common ]] ||
        refuse "'$environment' cannot be an environment:" \
            "wanted are small letters, digits and -; not common"
    [ "$command" = env ] || [ -f "$environments/$environment/values.yaml" ] ||
        refuse "environment '$environment' is not set up; there are:" \
            "$(list_environments | on_one_line)." \
            "Set it up with: ./deploy_astrago.sh env -e $environment"
}

# --- what has to be there -----------------------------------------------------------------

require_tools() {
    local missing=no
    require helm "https://helm.sh/docs/intro/install/" || missing=yes
    require helmfile "https://helmfile.readthedocs.io/ (1.0 or later)" || missing=yes
    case $command in
    template | lint) ;;
    *) require kubectl "https://kubernetes.io/docs/tasks/tools/" || missing=yes ;;
    esac
    [ "$missing" = no ] || exit 1
    [ "$command" != diff ] || require_diff_plugin
}

require() {
    command -v "$1" >/dev/null && return
    echo "deploy_astrago.sh: $1 is not in PATH. Install it: $2" >&2
    return 1
}

require_diff_plugin() {
    helm plugin list | grep '^diff[[:space:]]' >/dev/null ||
        fail "diff needs Helm's plugin diff. Install it:" \
            "helm plugin install https://github.com/databus23/helm-diff"
}

# --- environments -------------------------------------------------------------------------

# Value of a top-level KEY in force in the chosen environment.
value_of() {
    local folder line="" found
    for folder in common "$environment"; do
        found=$(grep -s "^$1:" "$environments/$folder/values.yaml" | tail -n 1) || continue
        line=$found
    done
    echo "$line" | sed 's|^[^:]*: *||; s| *#.*||' | tr -d '"'
}

set_value() {
    local file=$environments/$environment/values.yaml line="$1: \"$2\""
    if grep -q "^$1:" "$file"; then
        sed "s|^$1:.*|$line|" "$file" >"$file.new"
        mv "$file.new" "$file"
    else
        echo "$line" >>"$file"
    fi
}

create_environment() {
    [ -f "$environments/$template/values.yaml" ] ||
        refuse "there is no environment '$template' to start from;" \
            "there are: $(list_environments | on_one_line)"
    [ ! -t 0 ] || ask_for_values
    mkdir -p "$environments/$environment"
    {
        echo "# Environment $environment, started from $template by deploy_astrago.sh env."
        grep -v '^#' "$environments/$template/values.yaml"
    } >"$environments/$environment/values.yaml"
}

ask_for_values() {
    [ -n "$registry" ] ||
        read -r -p "Registry of our image, HOST[:PORT][/PATH] (empty: none): " registry
    [ -n "$textfile_directory" ] ||
        read -r -p "Textfile directory of node-exporter [$(value_of textfileDirectory)]: " \
            textfile_directory
    check_values
}

set_up_environment() {
    [ -f "$environments/$environment/values.yaml" ] || create_environment
    [ -z "$registry" ] || set_value imageRegistry "$registry"
    [ -z "$textfile_directory" ] || set_value textfileDirectory "$textfile_directory"
    [ -z "$charts" ] || set_value chartsDirectory "$charts"
    show_environment
}

show_environment() {
    cat <<SHOWN
environment         $environment
values              deploy/environments/$environment/values.yaml, over those of common
kube context        $(kube_context)
image registry      $(or_else "$(value_of imageRegistry)" "none: gpu-sessions by its bare name")
textfile directory  $(value_of textfileDirectory)
charts of others    $(or_else "$(value_of chartsDirectory)" "from their public repositories")

SHOWN
    run_helmfile list
}

or_else() {
    echo "${1:-$2}"
}

kube_context() {
    local context
    context=$(value_of kubeContext)
    if [ -n "$context" ]; then
        echo "$context"
    elif context=$(kubectl config current-context 2>/dev/null); then
        echo "$context (the current one)"
    else
        echo "none: set KUBECONFIG, or choose one with kubectl config use-context"
    fi
}

# --- Helmfile -----------------------------------------------------------------------------

run_helmfile() {
    local words=(helmfile -f "$helmfile_path" -e "$environment")
    # A chart of ours needs nobody's repository.
    if [ -n "$app" ]; then
        words+=(-l "app=$app")
        [ ! -d "$root/deploy/charts/$app" ] || words+=(--skip-deps)
    fi
    [ -z "$registry" ] || words+=(--state-values-set-string "imageRegistry=$registry")
    [ -z "$textfile_directory" ] ||
        words+=(--state-values-set-string "textfileDirectory=$textfile_directory")
    [ -z "$charts" ] || words+=(--state-values-set-string "chartsDirectory=$charts")
    words+=("$1" ${helmfile_arguments[@]+"${helmfile_arguments[@]}"})
    printf '+%s\n' "$(printf ' %q' "${words[@]}")" >&2
    # It would ask the internet for its newest release.
    HELMFILE_UPGRADE_NOTICE_DISABLED=true "${words[@]}"
}

confirm_destroy() {
    local answer=""
    [ "$assume_yes" = no ] || return 0
    echo "This uninstalls ${app:-$(list_apps | on_one_line)}" >&2
    echo "of environment $environment from $(kube_context)." >&2
    read -r -p "Type yes to go on: " answer || true
    [ "$answer" = yes ] || fail "nothing was uninstalled"
}

main() {
    parse_command_line "$@"
    check_command
    check_values
    choose_environment
    require_tools
    case $command in
    env) set_up_environment ;;
    destroy)
        confirm_destroy
        run_helmfile destroy
        ;;
    *) run_helmfile "$command" ;;
    esac
}

main "$@"
