#!/bin/sh
# Runs the unit tests in the Dockerfile's stage "check":  check.sh amd64|arm64
#
# Compiled with warnings as errors; those of another architecture run under an emulator.
set -eu
cd "$(dirname "$0")/../.."
architecture=$1

# What a test in here cannot do, whatever the program is like: a build may not mount
# (test_textfile) or trace (test_identity_real); the emulator answers for /proc/self and for
# a connection's state itself.
NOT_IN_A_BUILD="test_textfile test_identity_real"
NOT_EMULATED="test_identity test_usage test_connections"

options=
left_out=$NOT_IN_A_BUILD
if [ "$architecture" != "$(dpkg --print-architecture)" ]; then
    options="--cross-file scripts/cross/$architecture.ini --cross-file scripts/cross/emulated.ini"
    left_out="$left_out $NOT_EMULATED"
fi
# shellcheck disable=SC2086 # none or four words
meson setup build-check $options -Dtests=true -Dwerror=true
ninja -C build-check
tests=$(meson test -C build-check --no-rebuild --list | sed 's/.* //' |
    grep -vxF "$(echo "$left_out" | tr ' ' '\n')")
# shellcheck disable=SC2086 # a list of names
meson test -C build-check --no-rebuild --print-errorlogs --quiet $tests
# The stage's layer is there to be found again, not to be looked into.
rm -r build-check
