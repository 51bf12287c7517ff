#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs what "make check", "make demo" and "make deb" need on Debian 12 or 13, as root or with sudo. Does nothing, and
# needs no network, where all of it is there. A Rust toolchain (rustc and cargo 1.85 or newer) must be there already.
# "setup-debian.sh bench": also what "make bench" compares us with.
set -eu

# shellcheck source=/dev/null
. "${OS_RELEASE:-/etc/os-release}"
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
package="apt-utils createrepo-c debhelper dnf dpkg-dev fakeroot gnupg lintian file rpm rpmlint libarchive-tools makepkg pacman-package-manager"
lint="mandoc shellcheck"
# What reads the boot files that are changed, and the ACPI tables that are made.
boot="acpica-tools bash grub-common"
# The shells that complete the command line.
shells="fish zsh"
# The lab: real kernels under QEMU, trees of Debian made by mmdebstrap. tests/sync.rs packs images in every way.
lab="busybox-static bzip2 cpio debian-archive-keyring dosfstools e2fsprogs fdisk kmod lz4 mmdebstrap openssl ovmf qemu-system-x86 qemu-utils strace util-linux xz-utils zstd"

# The toolchain's formatter and linter are packages of their own in Debian.
rust=
[ "$(command -v cargo)" != /usr/bin/cargo ] || rust="rust-clippy rustfmt"

# The peers beside which the boot-time programs are measured, and what counts instructions.
bench=
[ "${1:-}" != bench ] || bench="driverctl systemd-zram-generator valgrind"

wanted="$build $package $lint $boot $shells $lab $ukify $rust $bench"

# Sorts them into $present and $missing.
look() {
    present='' missing=''
    for name in $wanted; do
        if dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed; then
            present="$present $name"
        else
            missing="$missing $name"
        fi
    done
}

sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo

apt_get() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q "$@"; }
install() { apt_get install -y --no-install-recommends "$@"; }

# siblings NAME: what is installed of the same source, as the suite has it, but for what is held.
siblings() {
    source=$(apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Source: \([^ ]*\).*/\1/p')
    # shellcheck disable=SC2016 # of dpkg-query
    dpkg-query -W -f '${source:Package} ${Package} ${db:Status-Status}\n' |
        awk -v source="${source:-$1}" -v held="$held" -v suite="$suite" \
            '$1 == source && $3 == "installed" && !index(held, " " $2 " ") { print $2 "/" suite }'
}

# All at once, so that apt takes nothing of it away to make room for the rest. What is held is not named: apt gives up if
# there is a newer version of it. Else what apt finds a way to, and then the others in other versions than it would choose:
# a package from backports breaks older ones of the same source (qemu-utils and qemu-system-common).
# shellcheck disable=SC2046,SC2086 # lists
get() {
    held=" $(apt-mark showhold | tr '\n' ' ') "
    kept=
    for name in $present; do
        case $held in *" $name "*) ;; *) kept="$kept $name" ;; esac
    done
    install $kept $missing && return
    free='' stuck=''
    for name in $missing; do
        if apt-get -s install --no-install-recommends --no-remove "$name" >/dev/null 2>&1; then
            free="$free $name"
        else
            stuck="$stuck $name"
        fi
    done
    [ -z "$free" ] || install $kept $free
    for name in $stuck; do
        if apt-cache policy | grep -q "n=$suite-backports,"; then
            echo "setup-debian.sh: $name and what goes with it, from $suite-backports"
            ! install --no-remove -t "$suite-backports" "$name" || continue
        fi
        older=$(siblings "$name")
        [ -n "$older" ] || continue
        echo "setup-debian.sh: $name, and what is installed of its source back to the versions of $suite"
        install --no-remove --allow-downgrades "$name" $older
    done
}

look
if [ -n "$missing" ]; then
    apt_get update || echo "setup-debian.sh: not every source of packages could be read" >&2
    # apt may take one package away for another. What it took is missing again: another round. One that changes nothing is
    # the last.
    before=
    for _ in 1 2 3; do
        [ "$missing" != "$before" ] || break
        before=$missing
        echo "setup-debian.sh: installing on $suite:$missing"
        get || true
        look
        [ -n "$missing" ] || break
    done
fi
if [ -n "$missing" ]; then
    echo "setup-debian.sh: apt cannot install:$missing; what it says of each is above (look for other versions that are" \
        "installed or held, and for what is in no source of packages)" >&2
    exit 1
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
