#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds every package as its distribution would, from the tarball and without a network, twice: the same bytes. The .deb in
# clean trees of Debian 12 and 13, whose own toolchain builds it (of Debian 12 the one for browsers: cargo-web); the .rpm by
# rpmbuild, the package of Arch Linux by makepkg, which also runs the tests. As root; an hour.
# Usage: from-source.sh TARBALL [bookworm|trixie|rpm|arch...]
set -euo pipefail

tarball=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- bookworm trixie rpm arch
here=$(realpath "${0%/*}")
. "$here/../images/base.sh"
name=$(basename "$tarball" .tar.xz)
work=$(mktemp -d "${TMPDIR:-/var/tmp}/vfio-from-source.XXXXXX")
trap 'rm -rf "$work"' EXIT
passed=0
same() {
    cmp "$1" "$2" || {
        echo "two builds of one source differ: $1 $2" >&2
        exit 1
    }
    echo "  built twice from the tarball, the same: $(basename "$1")"
    passed=$((passed + 1))
}

# In two folders of different names, at different times, as different users see it: first from the tarball, then from the
# source package that came of it, as an archive builds it.
debian() {
    local suite=$1 tree=$work/$1
    mkdir "$tree"
    mmdebstrap --quiet --variant=buildd --include=debhelper "$suite" "$tree" "${VFIO_LAB_MIRROR:-$(mirror)}"
    tar -C "$tree/opt" -xf "$tarball"
    cat >"$tree/opt/prepare.sh" <<SCRIPT
cd /opt/$name && apt-get -q update && apt-get -q -y --no-install-recommends build-dep ./
SCRIPT
    # The network is for the build's own tools; the build has none.
    cp /etc/resolv.conf "$tree/etc/resolv.conf"
    within "$tree" LC_ALL C.UTF-8 /opt/prepare.sh
    cat >"$tree/opt/build.sh" <<'SCRIPT'
set -eu
umask "${FOLDER##*/}"
mkdir -p "${FOLDER%/*}"
if [ -e /build/vfio-suite_*.dsc ]; then
    dpkg-source --no-check -x /build/vfio-suite_*.dsc "$FOLDER"
else
    cp -a /opt/vfio-suite-*/. "$FOLDER"
fi
cd "$FOLDER" && dpkg-buildpackage -us -uc
SCRIPT
    # shellcheck disable=SC2016 # the inner shell knows these
    for folder in /build/022 /somewhere/else/002; do
        unshare --net bash -eu -c '. "$1"; within "$2" FOLDER "$3" /opt/build.sh' - "$here/../images/base.sh" "$tree" "$folder"
    done
    same "$tree"/build/vfio-suite_*.deb "$tree"/somewhere/else/vfio-suite_*.deb
    rm -rf "$tree"
}

for kind; do
    case $kind in
    rpm | arch)
        # Both note in the package where it was built: in one place, then. makepkg runs the tests the first time.
        case $kind in
        rpm) first=(--without check) second=(--without check) ;;
        arch) first=() second=(--nocheck) ;;
        esac
        mkdir -p "$work/built" "$work/once"
        unshare --net "$here/../../packaging/$kind.sh" "$tarball" "$work/built" "${first[@]}"
        mv "$work"/built/* "$work/once/"
        unshare --net "$here/../../packaging/$kind.sh" "$tarball" "$work/built" "${second[@]}"
        for package in "$work"/once/*; do same "$package" "$work/built/${package##*/}"; done
        rm -rf "$work/built" "$work/once"
        ;;
    *) debian "$kind" ;;
    esac
done
echo "packages: $passed checks passed"
