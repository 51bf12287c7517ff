#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds the package of PKGBUILD from the source tarball, the same bytes each time. Options of makepkg may follow.
# Usage: arch.sh TARBALL FOLDER [OPTION...]
set -euo pipefail

tarball=$(realpath "$1") folder=$(realpath "$2")
shift 2
build=$folder/arch
rm -rf "$build"
mkdir -p "$build"
cp "$tarball" "$build/"
tar -C "$build" -xf "$tarball" --strip-components=1 --wildcards '*/PKGBUILD' '*/packaging/vfio-suite.install'

# Every file of the tarball has the time of its commit.
SOURCE_DATE_EPOCH=$(tar -tvf "$tarball" --utc --full-time | awk 'NR == 1 { print $4, $5 }' | date --utc -f - +%s)
export SOURCE_DATE_EPOCH PKGEXT=.pkg.tar.zst PACKAGER='The vfio-suite developers <vfio-suite@mail.invalid>'

# Where pacman is not what installs packages, its database knows nothing of what is there.
elsewhere=()
pacman -Q pacman >/dev/null 2>&1 || elsewhere=(--nodeps)
# makepkg wants no root: root is another user to itself.
as_user=()
[ "$(id -u)" -ne 0 ] || as_user=(unshare --user --map-user=1000 --map-group=1000)
(cd "$build" && "${as_user[@]}" makepkg --force --cleanbuild "${elsewhere[@]}" "$@")

rm -f "$folder"/vfio-suite-*.pkg.tar.zst
mv "$build"/*.pkg.tar.zst "$folder/"
rm -rf "$build"
