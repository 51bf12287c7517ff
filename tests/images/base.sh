# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced: trees of Debian, made once and kept. "base SUITE" sets $tarball; "within TREE NAME VALUE SCRIPT" runs a script of
# the tree in it, as root, with the variable given.

cache=${VFIO_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vfio-suite-lab}
mkdir -p "$cache"

# The smallest kernel with a configuration for udev; dracut itself cannot live beside initramfs-tools, so its package is
# only laid ready.
full=systemd,systemd-sysv,udev,dbus,kmod,linux-image-cloud-amd64,initramfs-tools,dracut-core,zstd,cpio,grub-common,grub2-common

# The mirror that this machine's own apt uses.
# shellcheck disable=SC2016 # apt-get knows these
mirror() {
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' |
        sed -n -e 's/^Debian|Debian|//p' -e 's/^|*\([^|]*\/debian\/*\)$/\1/p' | head -n 1
}

# The tree of a suite as a tarball; made anew every month, so that it does not age for ever.
base() {
    local suite=$1 of=$1 recipe include=$full hook=()
    if [ "$suite" = openrc ]; then
        # Debian 13 with the init system of others.
        of=trixie
        include=openrc,kmod
    elif [ "${suite%-libvirt}" != "$suite" ]; then
        # libvirt's driver for QEMU, and what domains ask of QEMU, without a system around them.
        of=${suite%-libvirt}
        include=libvirt-daemon-driver-qemu,libvirt-clients,libvirt-daemon,qemu-system-x86,qemu-system-modules-spice,ovmf,swtpm,swtpm-tools,qemu-utils,virtinst,osinfo-db,xsltproc
        hook=(--aptopt='Acquire::Check-Valid-Until "false"')
    elif [ "$suite" = sid ]; then
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
            "$of" "$tarball.part" "${VFIO_LAB_MIRROR:-$(mirror)}" >&2
        mv "$tarball.part" "$tarball"
    fi
}

# A mount and process namespace of its own: what is mounted inside goes with it.
within() {
    # shellcheck disable=SC2016 # the inner shell knows these
    unshare --mount --pid --fork --kill-child bash -eu -c '
        mount --make-rprivate /
        mount -t proc proc "$1/proc"
        mount -t sysfs -o ro sysfs "$1/sys"
        mount --bind /dev "$1/dev"
        cd "$1" && exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
            DEBIAN_FRONTEND=noninteractive "$2=$3" bash "$4"' - "$@"
}
