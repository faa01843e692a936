#!/bin/sh
# Copies what git knows or would add of the working tree:  scripts/package/copy_sources.sh FOLDER
#
# What is built there has nothing else in it, and no path from here.
set -eu
folder=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../.."
git ls-files -co --exclude-standard -z | tar --null -T - -c | tar -x -C "$folder"
