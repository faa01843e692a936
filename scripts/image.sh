#!/bin/sh
# Builds the container image with buildah:  scripts/image.sh [STAGE]   (make image)
#
#   IMAGE=NAME[:TAG]  what to call it; default localhost/gpu-sessions:VERSION
#   ARCH=             amd64, arm64, or both (one name for the two); default this machine's
#   BASE=             the image to build on, instead of the pinned Debian; "packages": made
#                     from this machine's Debian archive, as is done anyway where the
#                     registry cannot be reached
#   APT=DIRECTORY     use it as /etc/apt of the build: address, proxy and keys of an archive
#   CACHE=no          build every layer anew, with the newest packages
#   OUTPUT=FILE       also write the image to FILE, as an OCI archive; with one ARCH only
#   SOURCE_DATE_EPOCH the time that the image says it is of; default the last commit's
#
# STAGE, one of the Dockerfile's, ends the build there: "check" runs the unit tests.
# The same sources, base and packages give the same image, bit by bit.
set -eu
cd "$(dirname "$0")/.."

say() {
    echo "image: $*" >&2
}

version=$(sed -n "s/^ *version: '\(.*\)',$/\1/p" meson.build | head -n 1)
own_architecture=$(dpkg --print-architecture)
IMAGE=${IMAGE:-localhost/gpu-sessions:$version}
ARCH=${ARCH:-$own_architecture}
packages_base=localhost/gpu-sessions-base:bookworm

case $ARCH in
amd64 | arm64) platforms=linux/$ARCH ;;
both) platforms=linux/amd64,linux/arm64 ;;
*)
    say "no such architecture: ARCH=$ARCH; there are: amd64 arm64 both"
    exit 2
    ;;
esac
if [ "$ARCH" = both ] && [ -n "${OUTPUT:-}" ]; then
    say "OUTPUT=$OUTPUT cannot hold two architectures: set ARCH=amd64 or ARCH=arm64"
    exit 2
fi

# A Debian 12 from Debian's archive, or from the one that $APT names.
make_base() {
    if [ "${CACHE:-}" != no ] && buildah inspect --type image "$packages_base" >/dev/null 2>&1; then
        return
    fi
    say "making a base from Debian packages (once)"
    set --
    for sources in ${APT:+"$APT/sources.list" "$APT/sources.list.d/debian.sources"}; do
        [ ! -s "$sources" ] || set -- "$@" "$sources"
    done
    folder=$(mktemp -d)
    mmdebstrap --quiet --variant=minbase bookworm "$folder/base.tar" "$@"
    printf 'FROM scratch\nADD base.tar /\n' |
        buildah build --quiet --isolation chroot --tag "$packages_base" --file - "$folder" >/dev/null
    rm -r "$folder"
}

# Prints the base to build on.
choose_base() {
    if [ "${BASE:-packages}" != packages ]; then
        echo "$BASE"
        return
    fi
    if [ -z "${BASE:-}" ]; then
        pinned=$(sed -n 's/^ARG BASE=//p' Dockerfile)
        if reason=$(buildah pull --quiet "$pinned" 2>&1 >/dev/null); then
            echo "$pinned"
            return
        fi
        say "the pinned base cannot be fetched (${reason##*: }): building on Debian packages" \
            "of this machine's archive instead; to name another base, set BASE=IMAGE"
    fi
    make_base
    echo "$packages_base"
}

revision=$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null || echo unknown)
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
labels=org.opencontainers.image
base=$(choose_base)

# The platform of the builder is told because buildah looks for a base of the target's. The
# files' time is always the same, so that a layer differs only when what is in it does.
set -- ${1:+--target "$1"} --isolation chroot --timestamp 0 --platform "$platforms" \
    --pull-never --build-arg "BUILDPLATFORM=linux/$own_architecture" --build-arg "BASE=$base" \
    --label "$labels.version=$version" --label "$labels.revision=$revision" \
    --label "$labels.created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)"
if [ "${CACHE:-}" = no ]; then
    set -- "$@" --no-cache
else
    set -- "$@" --layers
fi
[ -z "${APT:-}" ] || set -- "$@" --volume "$APT:/etc/apt:ro"
if [ "$ARCH" = both ]; then
    buildah manifest rm "$IMAGE" >/dev/null 2>&1 || true
    set -- "$@" --manifest "$IMAGE"
else
    set -- "$@" --tag "$IMAGE"
fi
buildah build "$@" .
[ -z "${OUTPUT:-}" ] || buildah push --quiet "$IMAGE" "oci-archive:$OUTPUT"
say "$IMAGE is ready ($platforms)"
