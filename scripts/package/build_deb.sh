#!/bin/sh
# Builds the Debian package of the working tree:  scripts/package/build_deb.sh [FOLDER]
#
# The package and its .changes lie in FOLDER (build-deb). The bytes depend on the
# sources and the compiler, not on the time or the folder.
set -eu
cd "$(dirname "$0")/../.."

output=${1:-build-deb}
rm -rf "$output"
scripts/package/copy_sources.sh "$output/source"
cd "$output/source"
log=../build.log
if ! dpkg-buildpackage -b -us -uc >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
cd ..
rm -r source
ls ./*.deb
