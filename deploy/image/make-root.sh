#!/bin/sh
# Makes the root file system of the image, in the Dockerfile's build stage:
#   make-root.sh amd64|arm64 FOLDER
#
# The program, every library that it or libcurl (which it loads when an optional source is
# on) needs, their licences, and the few files that these and NVIDIA's runtime look for.
set -eu
cd "$(dirname "$0")/../.."
architecture=$1
root=$2
case $architecture in
amd64) triplet=x86_64-linux-gnu ;;
arm64) triplet=aarch64-linux-gnu ;;
*)
    echo "make-root: no such architecture: '$architecture'; there are: amd64 arm64" >&2
    exit 2
    ;;
esac
libraries=usr/lib/$triplet
own_architecture=$(dpkg --print-architecture)

install_program() {
    options=
    [ "$architecture" = "$own_architecture" ] ||
        options="--cross-file scripts/cross/$architecture.ini"
    # shellcheck disable=SC2086 # none or two words
    meson setup build $options --prefix=/usr -Dtests=false \
        -Dsystemd_unit_dir= -Dsysusers_dir= -Dc_args="-ffile-prefix-map=$PWD/="
    ninja -C build
    DESTDIR=$root meson install -C build --no-rebuild --tags runtime --strip
    rm -r build
}

# The four folders below the root are links, as on every Debian.
make_folders() {
    mkdir -p "$root/usr/bin" "$root/$libraries" "$root/usr/lib64" "$root/usr/sbin"
    ln -s usr/bin usr/lib usr/lib64 usr/sbin "$root"
    mkdir "$root/dev" "$root/proc" "$root/run" "$root/sys" "$root/tmp" "$root/var"
    chmod 1777 "$root/tmp"
}

# NAME of the library whose file is that of the package, and all that it needs.
add_library() {
    [ ! -e "$root/$libraries/$1" ] || return 0
    cp -L "/$libraries/$1" "$root/$libraries/$1"
    add_needed "$root/$libraries/$1"
}

add_needed() {
    for name in $(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
        add_library "$name"
    done
}

# The loader lies among the libraries; the program names it by another path.
add_loader() {
    path=$(readelf -l "$root/usr/bin/gpu-sessions" |
        sed -n 's/.*program interpreter: \(.*\)\]/\1/p')
    add_library "${path##*/}"
    ln -sr "$root/$libraries/${path##*/}" "$root$path"
}

# Prints the packages that the libraries are from. The old spelling of a path, /lib/…, is
# the one that some packages are registered with.
list_packages() {
    for file in "$root/$libraries"/*; do
        path=$(readlink -f "/$libraries/${file##*/}")
        dpkg -S "$path" 2>/dev/null || dpkg -S "${path#/usr}"
    done | sed 's/: .*//' | sort -u
}

# Licences with the texts that they refer to, and what scanners of images read: which
# packages are inside, in the place where Debian's images without dpkg have it.
describe_packages() {
    mkdir -p "$root/var/lib/dpkg/status.d" "$root/usr/share/common-licenses"
    for package in $(list_packages); do
        name=${package%:*}
        mkdir -p "$root/usr/share/doc/$name"
        cp -L "/usr/share/doc/$name/copyright" "$root/usr/share/doc/$name"
        dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$name"
    done
    grep -rhoE '/usr/share/common-licenses/[A-Za-z]+(-[0-9.]*[0-9])?' "$root/usr/share/doc" |
        sort -u | while read -r licence; do
        cp -L "$licence" "$root/usr/share/common-licenses"
    done
    install -Dm644 LICENSE "$root/usr/share/doc/gpu-sessions/LICENSE"
}

# NVIDIA's runtime takes the folder for its libraries from debian_version, and adds to the
# loader's configuration.
add_configuration() {
    mkdir -p "$root/etc/ld.so.conf.d"
    cp /etc/debian_version "$root/etc"
    cp -L /etc/os-release "$root/etc"
    echo 'include /etc/ld.so.conf.d/*.conf' >"$root/etc/ld.so.conf"
    printf '/usr/local/lib/%s\n/lib/%s\n/usr/lib/%s\n' "$triplet" "$triplet" "$triplet" \
        >"$root/etc/ld.so.conf.d/$triplet.conf"
    printf '%s\n' 'root:x:0:0:root:/:/nonexistent' \
        'gpu-sessions:x:65532:65532::/:/nonexistent' >"$root/etc/passwd"
    printf '%s\n' 'root:x:0:' 'gpu-sessions:x:65532:' >"$root/etc/group"
    printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' >"$root/etc/nsswitch.conf"
}

make_folders
install_program
add_needed "$root/usr/bin/gpu-sessions"
add_library libcurl-gnutls.so.4
add_loader
describe_packages
add_configuration
