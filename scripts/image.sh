#!/bin/sh
# Builds the container image with buildah:  scripts/image.sh   (make image)
#
#   IMAGE=NAME[:TAG]  what to call it; default localhost/gpu-sessions:VERSION
#   ARCH=             amd64, arm64, or both (one name for the two); default this machine's
#   BASE=             the image to build on, instead of the pinned Debian; "packages": make
#                     it from this machine's Debian archive, as is done anyway where the
#                     registry cannot be reached
#   APT=DIRECTORY     use it as /etc/apt of the build: the archive's address, proxy and keys
#   OUTPUT=FILE       also write the image to FILE, as an OCI archive
#   SOURCE_DATE_EPOCH the time that everything in the image bears; default the last commit's
#
# Only the base's own bytes, the packages' versions and these decide what comes out.
set -eu
cd "$(dirname "$0")/.."

say() {
    echo "image: $*" >&2
}

version=$(sed -n "s/^ *version: '\(.*\)',$/\1/p" meson.build | head -n 1)
own_architecture=$(dpkg --print-architecture)
IMAGE=${IMAGE:-localhost/gpu-sessions:$version}
ARCH=${ARCH:-$own_architecture}
pinned_base=$(sed -n 's/^ARG BASE=//p' Dockerfile)
packages_base=localhost/gpu-sessions-base:bookworm

case $ARCH in
amd64 | arm64) platforms=linux/$ARCH ;;
both) platforms=linux/amd64,linux/arm64 ;;
*)
    say "no such architecture: ARCH=$ARCH; there are: amd64 arm64 both"
    exit 2
    ;;
esac

# A Debian 12 from this machine's archive, for where the pinned one cannot be had.
make_base() {
    ! buildah inspect --type image "$packages_base" >/dev/null 2>&1 || return 0
    say "making a base from Debian packages (once)"
    folder=$(mktemp -d)
    mmdebstrap --quiet --variant=minbase bookworm "$folder/base.tar"
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
    if [ "${BASE:-}" != packages ]; then
        if reason=$(buildah pull --quiet "$pinned_base" 2>&1 >/dev/null); then
            echo "$pinned_base"
            return
        fi
        say "the pinned base cannot be fetched (${reason##*: }): building on this machine's" \
            "Debian packages instead; to name another base, set BASE=IMAGE"
    fi
    make_base
    echo "$packages_base"
}

revision=$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null || echo unknown)
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
base=$(choose_base)

set -- --isolation chroot --layers --pull-never --timestamp "$epoch" --platform "$platforms" \
    --build-arg "BUILDPLATFORM=linux/$own_architecture" --build-arg "BASE=$base" --build-arg "VERSION=$version" --build-arg "REVISION=$revision" \
    --build-arg "CREATED=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)"
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
