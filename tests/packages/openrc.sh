#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The scripts for OpenRC with the real OpenRC, in a tree of Debian that has it: what "make install OPENRC=1 SYSTEMD=" installs
# is added to runlevels, ordered, started and stopped. As root. Usage: openrc.sh TARGETDIR
set -euo pipefail

TARGETDIR=$(realpath "$1")
export TARGETDIR
here=$(realpath "${0%/*}")
. "$here/../images/base.sh"
base openrc
work=$(mktemp -d "${TMPDIR:-/var/tmp}/vfio-openrc.XXXXXX")
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2154 # base.sh sets it
tar -C "$work" -xf "$tarball"
make -C "$here/../.." --no-print-directory install NOBUILD=1 OPENRC=1 SYSTEMD= DESTDIR="$work" UDEVDIR=/usr/lib/udev >/dev/null
[ ! -e "$work/usr/lib/systemd/system/vfio-early.service" ] || {
    echo "openrc: SYSTEMD= installs units all the same" >&2
    exit 1
}
# As the manual for packagers has it.
sed -n 's/^    useradd /useradd /p' "$here/../../docs/PACKAGING.md" >"$work/opt/useradd.sh"
cp "$here/../images/checks.sh" "$here/inside-openrc.sh" "$work/opt/"
within "$work" VFIO_SUITE openrc /opt/inside-openrc.sh
