#!/bin/sh
# Builds the relocatable archive of the working tree:  scripts/package/build_tarball.sh [FOLDER]
#
# FOLDER (build-tarball) gets gpu-sessions-VERSION-linux-ARCHITECTURE.tar.gz: the program
# and every library it needs, as Debian built them, with their licences. Not glibc and its
# libcrypt: those of the machine it runs on are taken, and must be as new as docs/install.md
# says. The bytes depend on the sources, the compiler and the libraries, not on the time or
# the folder.
set -eu
cd "$(dirname "$0")/../.."

output=${1:-build-tarball}
MESON=/usr/bin/meson
version=$(dpkg-parsechangelog -S Version | sed 's/-.*//')
name=gpu-sessions-$version-linux-$(dpkg --print-architecture)
time=@$(dpkg-parsechangelog -S Timestamp)
# Where the units in it expect the program; it runs from any folder.
prefix=/opt/gpu-sessions

rm -rf "$output"
mkdir -p "$output"
output=$(cd "$output" && pwd)
top=$output/$name

build_program() {
    scripts/package/copy_sources.sh "$output/source"
    "$MESON" setup "$output/source/build" "$output/source" --prefix="$prefix" \
        --sysconfdir=/etc -Dtests=false -Dlibrary_dir=../lib
    ninja -C "$output/source/build"
    DESTDIR=$output/installed "$MESON" install -C "$output/source/build" --no-rebuild --strip
    mv "$output/installed$prefix" "$top"
    mv "$output/installed/etc" "$top/etc"
}

# Prints the package that the file of a library is from. Some were registered as /lib/…
find_package() {
    file=$(readlink -f "$1")
    { dpkg -S "$file" 2>/dev/null || dpkg -S "${file#/usr}"; } | sed 's/: .*//'
}

# glibc fits the kernel's loader and the machine's name services; its libcrypt comes with it.
add_libraries() {
    scripts/package/list_libraries.sh "$top/bin/gpu-sessions" | while read -r file; do
        package=$(find_package "$file")
        case $package in
        libc6:* | libcrypt1:*) continue ;;
        esac
        install -m 0644 "$(readlink -f "$file")" "$top/lib/${file##*/}"
        echo "$package"
    done | sort -u >"$output/packages"
}

# Their copyright files, the texts these refer to, and which versions they are.
add_licences() {
    install -m 0644 README.md README.ko.md CHANGELOG.md docs/*.md "$doc"
    install -m 0644 LICENSE "$top"
    while read -r package; do
        dpkg-query -W -f '${Package} ${Version}\n' "$package" >>"$doc/libraries/versions"
        install -m 0644 "/usr/share/doc/${package%:*}/copyright" \
            "$doc/libraries/${package%:*}.copyright"
    done <"$output/packages"
    grep -rhoE '/usr/share/common-licenses/[A-Za-z]+(-[0-9.]*[0-9])?' "$doc/libraries" |
        sort -u | while read -r licence; do
        install -m 0644 "$licence" "$doc/libraries"
    done
}

log=$output/build.log
build_program >"$log" 2>&1 || {
    cat "$log" >&2
    exit 1
}
doc=$top/share/doc/gpu-sessions
mkdir -p "$doc/libraries"
add_libraries
add_licences
tar -c -C "$output" --sort=name --mtime="$time" --owner=0 --group=0 --numeric-owner \
    --mode=u+w,go-w --format=gnu "$name" | gzip -9n >"$top.tar.gz"
rm -r "$top" "$output/source" "$output/installed" "$output/packages"
echo "$top.tar.gz"
