#!/bin/sh
# Installs what is missing, and only that:  scripts/setup.sh GROUP...
#
# build   Debian packages for compiling and running; build-amd64 and build-arm64 for compiling
#         for that architecture, which is added to dpkg's when it is not this machine's;
#         check-amd64 and check-arm64 for running its unit tests too
# test    Debian packages and a Python environment (.venv) for the tests; Prometheus and
#         node-exporter are unpacked into .tools/ rather than installed, because their
#         packages would start services on this machine
# image   what builds the container image
# package what makes the Debian package and the archive
# deploy  what the tests of the deployment need beyond that: what runs images and machines, and the
#         tools that setup_tools.sh brings
# bench   what the benchmark asks its questions with, and node-exporter to compare with
set -eu
cd "$(dirname "$0")/.."

BUILD_TOOLS="gcc make meson ninja-build pkg-config protobuf-c-compiler"
BUILD_LIBRARIES="libc6-dev libjansson-dev libcyaml-dev libyaml-dev libseccomp-dev
libmicrohttpd-dev libgnutls28-dev libcrypt-dev zlib1g-dev libcurl4-gnutls-dev
libprotobuf-c-dev"
BUILD_PACKAGES="$BUILD_TOOLS $BUILD_LIBRARIES"
CHECK_LIBRARY="libcmocka-dev"
CROSS_COMPILERS="amd64:gcc-x86-64-linux-gnu arm64:gcc-aarch64-linux-gnu"
TEST_PACKAGES="libcmocka-dev clang llvm libclang-rt-14-dev clang-format clang-tidy cppcheck
shellcheck mandoc git python3-venv systemd openssl"
TEST_PROGRAMS="prometheus prometheus-node-exporter"
IMAGE_PACKAGES="buildah mmdebstrap"
PACKAGE_PACKAGES="debhelper dpkg-dev git systemd"
DEPLOY_PACKAGES="ca-certificates unzip lintian runc qemu-user-static systemd-container
$IMAGE_PACKAGES $PACKAGE_PACKAGES"
BENCH_PACKAGES="wrk runc"
BENCH_PROGRAMS="prometheus-node-exporter"

say() {
    echo "setup: $*" >&2
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        say "must run as root, or with sudo installed, to run: $*"
        exit 1
    fi
}

# Prints those of its arguments, NAME or NAME:ARCHITECTURE, that are not installed.
missing_packages() {
    for package in "$@"; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=none
        [ "$state" = installed ] || echo "$package"
    done
}

lists_updated=no
update_lists() {
    [ "$lists_updated" = no ] || return 0
    as_root apt-get -q=2 update
    lists_updated=yes
}

require_debian() {
    command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1 && return 0
    say "this is not a Debian system. Install the equivalents of these packages yourself:"
    say "$@"
    exit 1
}

install_packages() {
    missing=$(missing_packages "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    say "installing $missing"
    update_lists
    # shellcheck disable=SC2086 # a list of package names
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q=2 -o Dpkg::Use-Pty=0 install \
        -y --no-install-recommends $missing >/dev/null
}

# Installs what compiling for the architecture $1 takes on this machine.
install_for_architecture() {
    if [ "$1" = "$(dpkg --print-architecture)" ]; then
        # shellcheck disable=SC2086 # a list of package names
        install_packages $BUILD_PACKAGES
        return
    fi
    compiler=$(echo "$CROSS_COMPILERS" | tr ' ' '\n' | sed -n "s/^$1://p")
    if ! dpkg --print-foreign-architectures | grep -qx "$1"; then
        as_root dpkg --add-architecture "$1"
        lists_updated=no
    fi
    # shellcheck disable=SC2046,SC2086 # lists of package names
    install_packages $BUILD_TOOLS "$compiler" $(printf "%s:$1 " $BUILD_LIBRARIES)
}

# Installs what running the unit tests of the architecture $1 takes: an emulator, when they
# are not this machine's.
install_check() {
    if [ "$1" = "$(dpkg --print-architecture)" ]; then
        install_packages "$CHECK_LIBRARY"
    else
        install_packages qemu-user-static "$CHECK_LIBRARY:$1"
    fi
}

unpack_program() {
    if command -v "$1" >/dev/null 2>&1 || [ -x ".tools/usr/bin/$1" ]; then
        return 0
    fi
    say "unpacking $1 into .tools"
    update_lists
    mkdir -p .tools/packages
    # As root, apt would try to drop privileges in a folder it cannot write to.
    (cd .tools/packages && apt-get -q=2 -o APT::Sandbox::User=root download "$1")
    for file in .tools/packages/"$1"_*.deb; do
        dpkg-deb -x "$file" .tools
    done
    rm -r .tools/packages
}

make_venv() {
    wanted=$(sha256sum tests/requirements.txt | cut -c1-64)
    [ "$(cat .venv/requirements.sha256 2>/dev/null)" != "$wanted" ] || return 0
    say "creating .venv with what tests/requirements.txt lists"
    rm -rf .venv
    /usr/bin/python3 -m venv .venv
    .venv/bin/pip install -q --disable-pip-version-check --no-input -r tests/requirements.txt
    echo "$wanted" >.venv/requirements.sha256
}

for group in "$@"; do
    case $group in
    build)
        require_debian "$BUILD_PACKAGES"
        # shellcheck disable=SC2086 # a list of package names
        install_packages $BUILD_PACKAGES
        ;;
    build-amd64 | build-arm64)
        require_debian "$BUILD_PACKAGES"
        install_for_architecture "${group#build-}"
        ;;
    check-amd64 | check-arm64)
        install_for_architecture "${group#check-}"
        install_check "${group#check-}"
        ;;
    test)
        require_debian "$TEST_PACKAGES" "$TEST_PROGRAMS"
        # shellcheck disable=SC2086 # a list of package names
        install_packages $TEST_PACKAGES
        for program in $TEST_PROGRAMS; do
            unpack_program "$program"
        done
        make_venv
        ;;
    image)
        require_debian "$IMAGE_PACKAGES"
        # shellcheck disable=SC2086 # a list of package names
        install_packages $IMAGE_PACKAGES
        ;;
    package)
        require_debian "$PACKAGE_PACKAGES"
        # shellcheck disable=SC2086 # a list of package names
        install_packages $PACKAGE_PACKAGES
        ;;
    deploy)
        require_debian "$DEPLOY_PACKAGES" npm
        # shellcheck disable=SC2086 # a list of package names
        install_packages $DEPLOY_PACKAGES
        command -v npm >/dev/null 2>&1 || install_packages npm
        scripts/setup_tools.sh
        ;;
    bench)
        require_debian "$BENCH_PACKAGES" "$BENCH_PROGRAMS"
        # shellcheck disable=SC2086 # a list of package names
        install_packages $BENCH_PACKAGES
        for program in $BENCH_PROGRAMS; do
            unpack_program "$program"
        done
        ;;
    *)
        say "unknown group '$group'; there are: build build-amd64 build-arm64 check-amd64 check-arm64 test image package deploy bench"
        exit 2
        ;;
    esac
done
