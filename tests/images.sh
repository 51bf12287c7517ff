#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs the package with apt in a Debian of each suite, builds initramfs images with initramfs-tools and dracut, and
# looks what is in them, before and after: unedited, configured, removed, purged; has each suite's real kernel-install run
# our plugin, and its real update-grub read what 'vfio cmdline' writes. As root; no virtual machine. Of sid, which has the
# newest systemd, kernel-install alone.
# Usage: images.sh PACKAGE.deb [SUITE...]
set -eu

package=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- bookworm trixie ${VFIO_LAB:+sid}
here=$(realpath "${0%/*}")
. "$here/images/base.sh"

for suite; do
    base "$suite"
    work=$(mktemp -d "${TMPDIR:-/var/tmp}/vfio-images.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    # shellcheck disable=SC2154 # base.sh sets it
    tar -C "$work" -xf "$tarball"
    cp "$package" "$work/opt/vfio-suite.deb"
    cp "$here/images/checks.sh" "$here/images/inside.sh" "$here/images/grub.sh" "$here/units.sh" "$here/kernel-install.sh" "$work/opt/"
    inside=inside
    if [ "$suite" = sid ]; then
        dpkg-deb --fsys-tarfile "$package" | tar -C "$work/opt" -x --strip-components=5 ./usr/lib/kernel/install.d/95-vfio.install
        inside=newest
        echo 'bash /opt/kernel-install.sh /opt/95-vfio.install' >"$work/opt/newest.sh"
    fi
    within "$work" VFIO_SUITE "$suite" "/opt/$inside.sh"
    rm -rf "$work"
    trap - EXIT
done
