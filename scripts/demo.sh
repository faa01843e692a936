#!/bin/sh
# Shows the main job: who uses the GPUs of this machine, and the daemon that tells
# Prometheus. Without a GPU a simulated node stands in. PORT: where to listen.
set -eu
cd "$(dirname "$0")/.."

program=build/gpu-sessions
directory=$(mktemp -d "${TMPDIR:-/tmp}/gpu-sessions-demo.XXXXXX")
holder=""

# shellcheck disable=SC2317 # called by the trap
clean_up() {
    if [ -n "$holder" ]; then
        kill "$holder" 2>/dev/null || true
        wait "$holder" || true
    fi
    rm -rf "$directory"
}
trap clean_up EXIT
trap ':' INT TERM # Ctrl-C ends the daemon, and the script after it

# Its clock runs in a process of its own, which says where the node is once it stands.
simulate_node() {
    "$program" simulate "$directory/node" --hold >"$directory/flags" &
    holder=$!
    until [ -s "$directory/flags" ]; do
        kill -0 "$holder" # it has said why on standard error
        sleep 0.05
    done
    flags=$(cat "$directory/flags")
}

# A driver that is there but fails is not hidden behind the simulation.
if [ -e /dev/nvidiactl ] || "$program" list >/dev/null 2>&1; then
    flags=""
    echo "Reading this machine's NVIDIA driver."
else
    simulate_node
    echo "No NVIDIA driver answers here: showing a simulated node."
fi

echo
echo "\$ gpu-sessions list"
# shellcheck disable=SC2086 # several flags
"$program" list $flags || true

address=127.0.0.1:${PORT:-10105}
echo
echo "\$ gpu-sessions serve --web.listen-address=$address"
echo "  metrics     http://$address/metrics"
echo "  everything  http://$address/"
echo "  Ctrl-C ends it; PORT=10106 make run takes another port"
# shellcheck disable=SC2086 # several flags
"$program" serve $flags --web.listen-address="$address"
