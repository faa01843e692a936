#!/bin/sh
# Builds one variant in its own folder:  scripts/build.sh release|check|asan|tsan|fuzz|bench
#
# release  build/        what a user runs
# check    build-check/  the same with unit tests, warnings are errors (GCC)
# asan     build-asan/   address and undefined-behaviour sanitizers (Clang)
# tsan     build-tsan/   thread sanitizer (Clang)
# fuzz     build-fuzz/   libFuzzer programs (Clang)
# bench    build-bench/  release with the programs that the benchmark compares with
set -eu
cd "$(dirname "$0")/.."

MESON=/usr/bin/meson
[ -x "$MESON" ] || MESON=meson

case ${1:-} in
release)
    directory=build
    options="-Dtests=false"
    ;;
check)
    directory=build-check
    options="-Dtests=true -Dwerror=true"
    ;;
asan)
    directory=build-asan
    export CC=clang
    # -O1 keeps stack traces readable and the build quick.
    options="-Dtests=true -Dwerror=true -Db_sanitize=address,undefined -Db_lundef=false
        -Doptimization=1 -Ddebug=true"
    ;;
tsan)
    directory=build-tsan
    export CC=clang
    options="-Dtests=true -Dwerror=true -Db_sanitize=thread -Db_lundef=false
        -Doptimization=1 -Ddebug=true"
    ;;
fuzz)
    directory=build-fuzz
    export CC=clang
    options="-Dtests=true -Dfuzzing=true -Db_sanitize=address,undefined -Db_lundef=false
        -Doptimization=1 -Ddebug=true"
    ;;
bench)
    directory=build-bench
    options="-Dtests=false -Dbenchmarks=true"
    ;;
*)
    echo "usage: $0 release|check|asan|tsan|fuzz|bench" >&2
    exit 2
    ;;
esac

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Runs a command; shows what it printed only when it failed or the compiler complained.
quietly() {
    if ! "$@" >"$log" 2>&1; then
        first=$(grep -n '^FAILED' "$log" | head -n 1 | cut -d: -f1)
        tail -n "+${first:-1}" "$log" >&2
        exit 1
    fi
    grep -A5 'warning:' "$log" >&2 || true
}

if [ ! -f "$directory/build.ninja" ]; then
    # shellcheck disable=SC2086 # a list of options
    quietly "$MESON" setup "$directory" $options
fi
if ! ninja -C "$directory" -n | grep -q 'no work to do'; then
    echo "build: compiling into $directory/" >&2
fi
quietly ninja -C "$directory"
