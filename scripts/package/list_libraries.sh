#!/bin/sh
# Prints the files of the shared libraries that the program needs at run time, one a line:
#   scripts/package/list_libraries.sh PROGRAM
#
# That is what it is linked with, and libcurl, which it loads when an optional source is on.
set -eu

libcurl=$(gcc -print-file-name=libcurl-gnutls.so.4)
[ -e "$libcurl" ] || {
    echo "list_libraries: there is no libcurl-gnutls.so.4; install libcurl3-gnutls" >&2
    exit 1
}
libcurl=$(dirname "$(readlink -f "$libcurl")")/libcurl-gnutls.so.4
{
    echo "$libcurl"
    ldd "$1" "$libcurl" | sed -n 's|.* => \(/[^ ]*\) .*|\1|p'
} | sed 's|^/lib/|/usr/lib/|' | sort -u
