#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes what packages.sh and roots.sh look at: the .rpm and the .pkg.tar.zst, by the real rpmbuild and makepkg from the real
# tarball, but with the programs that "make check" has built ($1), so that nothing is compiled again: "make rpm" and "make
# arch" do that. In test/: packages of a later version, whose vfio.conf is another, and the previous commit's .deb.
# Usage: build.sh TARGETDIR TARBALL (packed with WORKTREE=1) FOLDER (with the .deb)
set -euo pipefail

TARGETDIR=$(realpath "$1") tarball=$(realpath "$2") dist=$(realpath "$3")
# What the build files call in cargo's place.
export CARGO=true TARGETDIR
cd "${0%/*}/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

packaging/rpm.sh "$tarball" "$dist" --without check
packaging/arch.sh "$tarball" "$dist" --nocheck

rm -rf "$dist/test"
mkdir -p "$dist/test/later" "$dist/test/previous"
tar -C "$work" -xf "$tarball"
name=$(basename "$tarball" .tar.xz)
echo '# The example of a later version.' >>"$work/$name/vfio.conf"
sed -i 's/^Release: .*/Release: 2/' "$work/$name/rpm/vfio-suite.spec"
sed -i 's/^pkgrel=.*/pkgrel=2/' "$work/$name/PKGBUILD"
XZ_OPT=-0 tar -C "$work" --mtime="@$(git log -1 --format=%ct)" --owner=0 --group=0 -cJf "$dist/test/later/$name.tar.xz" "$name"
packaging/rpm.sh "$dist/test/later/$name.tar.xz" "$dist/test/later" --without check
packaging/arch.sh "$dist/test/later/$name.tar.xz" "$dist/test/later" --nocheck
dpkg-deb -R "$dist"/vfio-suite_*.deb "$work/deb"
echo '# The example of a later version.' >>"$work/deb/etc/vfio.conf"
sed -i 's/^Version: .*/&+later/' "$work/deb/DEBIAN/control"
(cd "$work/deb" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --root-owner-group -b "$work/deb" "$dist/test/later/"

# The previous commit's files and scripts; PREVIOUS=built: its programs too.
mkdir "$work/previous"
git archive HEAD~1 | tar -C "$work/previous" -x
if [ "${PREVIOUS:-}" = built ]; then
    unset CARGO
    TARGETDIR=$work/previous/target
fi
make -C "$work/previous" deb
mv "$work"/previous/dist/vfio-suite_*.deb "$dist/test/previous/"
