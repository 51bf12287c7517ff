#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs what "make check", "make demo" and "make deb" need on Debian 12 or 13, as root or with sudo. Does nothing, and
# needs no network, where all of it is there. A Rust toolchain (rustc and cargo 1.85 or newer) must be there already.
# "setup-debian.sh bench": also what "make bench" compares us with.
set -eu

. /etc/os-release
# $ukify: what tests/boot_hosts.rs has unified kernel images built with; Debian 12's systemd knows no addons yet.
case ${ID:-}:${VERSION_ID:-} in
debian:12) suite=bookworm pkgconfig="systemd udev" ukify= ;;
debian:13) suite=trixie pkgconfig="systemd systemd-dev udev" ukify="systemd-boot-efi systemd-ukify" ;;
*)
    echo "setup-debian.sh: this is ${PRETTY_NAME:-an unknown system}; install by hand what tests/setup-debian.sh lists" >&2
    exit 1
    ;;
esac

build="gcc git libc6-dev make pkg-config $pkgconfig"
# The packages: of Debian, of Fedora and of Arch Linux.
package="createrepo-c debhelper dnf dpkg-dev fakeroot lintian file rpm rpmlint libarchive-tools makepkg pacman-package-manager"
lint="mandoc shellcheck"
# What reads the boot files that are changed.
boot="bash grub-common"
# The lab: real kernels under QEMU, trees of Debian made by mmdebstrap. tests/sync.rs packs images in every way.
lab="busybox-static bzip2 cpio debian-archive-keyring dosfstools e2fsprogs fdisk kmod lz4 mmdebstrap ovmf qemu-system-x86 qemu-utils strace util-linux xz-utils zstd"

# The toolchain's formatter and linter are packages of their own in Debian.
rust=
[ "$(command -v cargo)" != /usr/bin/cargo ] || rust="rust-clippy rustfmt"

# The peers beside which the boot-time programs are measured, and what counts instructions.
bench=
[ "${1:-}" != bench ] || bench="driverctl systemd-zram-generator valgrind"

missing=
for name in $build $package $lint $boot $lab $ukify $rust $bench; do
    dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing="$missing $name"
done

if [ -n "$missing" ]; then
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    echo "setup-debian.sh: installing on $suite:$missing"
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get -q update
    # shellcheck disable=SC2086 # a list
    $sudo apt-get -q install -y --no-install-recommends $missing
fi

if ! command -v cargo >/dev/null; then
    echo "setup-debian.sh: there is no cargo; install a Rust toolchain of 1.85 or newer (Debian 13: apt-get install cargo)" >&2
    exit 1
fi
for part in fmt clippy; do
    if ! cargo $part --version >/dev/null 2>&1; then
        echo "setup-debian.sh: 'cargo $part' does not run; add that component to the Rust toolchain" >&2
        exit 1
    fi
done
