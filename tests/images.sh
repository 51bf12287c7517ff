#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs the package with apt in a Debian of each suite, builds initramfs images with initramfs-tools and dracut, and
# looks what is in them, before and after: unedited, configured, removed, purged; and has each suite's real kernel-install run
# our plugin. As root; no virtual machine. Of sid, which has the newest systemd, kernel-install alone.
# Usage: images.sh PACKAGE.deb [SUITE...]
set -eu

package=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- bookworm trixie ${VFIO_LAB:+sid}
here=$(realpath "${0%/*}")
cache=${VFIO_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vfio-suite-lab}
mkdir -p "$cache"

# The smallest kernel with a configuration for udev; dracut itself cannot live beside initramfs-tools, so its package is
# only laid ready.
full=systemd,systemd-sysv,udev,dbus,kmod,linux-image-cloud-amd64,initramfs-tools,dracut-core,zstd,cpio

# The mirror that this machine's own apt uses.
# shellcheck disable=SC2016 # apt-get knows these
mirror() {
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' |
        sed -n -e 's/^Debian|Debian|//p' -e 's/^|*\([^|]*\/debian\/*\)$/\1/p' | head -n 1
}

# The tree of a suite as a tarball; made anew every month, so that it does not age for ever.
base() {
    local suite=$1 recipe include=$full hook=()
    if [ "$suite" = sid ]; then
        # A mirror may be some days behind, which is all the same here.
        include=systemd,kmod
        hook=(--aptopt='Acquire::Check-Valid-Until "false"')
    else
        # shellcheck disable=SC2016 # the hook's own shell knows these
        hook=(--customize-hook='cd "$1/opt" && APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -q download dracut')
    fi
    recipe=$(printf '%s %s %s' "$include" "$(date +%Y-%m)" 1 | sha256sum | cut -c 1-16)
    tarball=$cache/images-$suite-$recipe.tar
    if [ ! -e "$tarball" ]; then
        echo "making a $suite tree in $tarball" >&2
        rm -f "$cache/images-$suite-"*.tar
        mmdebstrap --quiet --format=tar --variant=minbase --include="$include" "${hook[@]}" \
            "$suite" "$tarball.part" "${VFIO_LAB_MIRROR:-$(mirror)}" >&2
        mv "$tarball.part" "$tarball"
    fi
}

for suite; do
    base "$suite"
    work=$(mktemp -d "${TMPDIR:-/var/tmp}/vfio-images.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    tar -C "$work" -xf "$tarball"
    cp "$package" "$work/opt/vfio-suite.deb"
    cp "$here/images/inside.sh" "$here/units.sh" "$here/kernel-install.sh" "$work/opt/"
    inside=inside
    if [ "$suite" = sid ]; then
        dpkg-deb --fsys-tarfile "$package" | tar -C "$work/opt" -x --strip-components=5 ./usr/lib/kernel/install.d/95-vfio.install
        inside=newest
        echo 'bash /opt/kernel-install.sh /opt/95-vfio.install' >"$work/opt/newest.sh"
    fi
    # shellcheck disable=SC2016 # the inner shell knows these
    # A mount and process namespace of its own: what is mounted inside goes with it.
    unshare --mount --pid --fork --kill-child bash -eu -c '
        mount --make-rprivate /
        mount -t proc proc "$1/proc"
        mount -t sysfs -o ro sysfs "$1/sys"
        mount --bind /dev "$1/dev"
        cd "$1" && exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
            DEBIAN_FRONTEND=noninteractive VFIO_SUITE="$2" bash "/opt/$3.sh"' - "$work" "$suite" "$inside"
    rm -rf "$work"
    trap - EXIT
done
