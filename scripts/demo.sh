#!/bin/sh
# Shows the main job: who uses the GPUs of this machine, and the textfile for Prometheus.
# Without a GPU a simulated node stands in.
set -eu
cd "$(dirname "$0")/.."

program=build/gpu-sessions
directory=$(mktemp -d "${TMPDIR:-/tmp}/gpu-sessions-demo.XXXXXX")
textfile=$directory/gpu_sessions.prom

# A driver that is there but fails is not hidden behind the simulation.
if [ -e /dev/nvidiactl ] || "$program" list >/dev/null 2>&1; then
    flags=""
    echo "Reading this machine's NVIDIA driver."
else
    flags=$("$program" simulate "$directory/node")
    echo "No NVIDIA driver answers here: showing a simulated node (in $directory/node)."
fi

echo
echo "\$ gpu-sessions list"
# shellcheck disable=SC2086 # several flags
"$program" list $flags || true

echo
echo "\$ gpu-sessions collect --textfile $textfile"
# shellcheck disable=SC2086 # several flags
"$program" collect $flags --textfile "$textfile"
cat "$textfile"

echo
echo "The textfile lies at $textfile"
if [ -n "$flags" ]; then
    echo "Try more on the same node, for example:"
    echo "  $PWD/$program list --sort memory \\"
    echo "      $flags"
fi
