#!/bin/sh
# Fuzzes one parser for some seconds:  scripts/fuzz.sh NAME SECONDS
#
# New inputs go to build-fuzz/corpus/NAME; the seeds under tests/fuzz/corpus are only read.
# A finding is left in build-fuzz/findings: minimise it, fix the cause, then add it to the
# seeds, where every test run replays it.
set -eu
cd "$(dirname "$0")/.."

name=${1:?usage: fuzz.sh NAME SECONDS}
seconds=${2:?usage: fuzz.sh NAME SECONDS}
scripts/build.sh fuzz
program=build-fuzz/tests/fuzz/fuzz_${name}_live
if [ ! -x "$program" ]; then
    echo "there is no fuzz target '$name'; there are:" >&2
    find build-fuzz/tests/fuzz -maxdepth 1 -name 'fuzz_*_live' -printf '  %f\n' |
        sed 's/fuzz_\(.*\)_live/\1/' >&2
    exit 2
fi
mkdir -p "build-fuzz/corpus/$name" build-fuzz/findings
exec "$program" -max_total_time="$seconds" -print_final_stats=1 -timeout=10 \
    -rss_limit_mb=1024 -artifact_prefix="build-fuzz/findings/$name-" \
    "build-fuzz/corpus/$name" "tests/fuzz/corpus/$name"
