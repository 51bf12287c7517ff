#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Has the libvirt of each Debian suite judge what 'vfio guest edit' made of the domains in tests/golden/definition: each passes
# 'define --validate' and starts, emulated, without what only its machine has; an undo gives the same bytes; and 'vfio guest
# define' makes guests from nothing, with the real virt-install. What libvirt dumps of it goes to a directory for each suite below DUMPS:
# tests/definition.rs looks whether it needs a further change (VFIO_LIBVIRT_DUMPS). As root; no virtual machine runs, and no
# libvirt of the machine itself is asked.
# Usage: libvirt.sh VFIO DUMPS [SUITE...]
set -eu

vfio=$(realpath "$1")
dumps=$(realpath -m "$2")
shift 2
[ $# -gt 0 ] || set -- trixie ${VFIO_LAB:+sid}
here=$(realpath "${0%/*}")
. "$here/images/base.sh"

work=$(mktemp -d "${TMPDIR:-/var/tmp}/vfio-libvirt.XXXXXX")
trap 'rm -rf "$work"' EXIT
rm -rf "$dumps"
mkdir -p "$dumps"
for suite; do
    base "$suite-libvirt"
    tree=$work/$suite
    mkdir "$tree"
    # shellcheck disable=SC2154 # base.sh sets it
    tar -C "$tree" -xf "$tarball"
    mkdir "$tree/opt/domains"
    cp "$here/golden/definition/"*.xml "$tree/opt/domains/"
    cp "$here/libvirt/"* "$vfio" "$tree/opt/"
    cp -r "$here/../sim/virt-install" "$tree/opt/recorded"
    within "$tree" VFIO_SUITE "$suite" /opt/inside.sh
    mv "$tree/opt/dumps" "$dumps/$suite"
    rm -rf "$tree"
done
