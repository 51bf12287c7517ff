#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs mkinitcpio's build hook with functions that write down what it asks mkinitcpio to add (their names and arguments
# are those of mkinitcpio's /usr/lib/initcpio/functions), and its runtime hook. Usage: mkinitcpio.sh DESTDIR (of "make install").
set -eu

dest=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/etc/vfio.conf.d"
chmod 755 "$work" "$work/etc" "$work/etc/vfio.conf.d"
# The hook asks the program for the files that count: here, in a folder.
printf '#!/bin/sh\nVFIO_ROOT=%s %s/usr/lib/vfio/vfio-bind "$@" | sed "s,^,%s,"\n' "$work" "$dest" "$work" >"$work/files"
chmod +x "$work/files"
sed -e "s,\"/usr/lib/vfio/vfio-bind\" files,\"$work/files\" files," -e "s,/var/lib/vfio,$work/state,g" \
    "$dest/usr/lib/initcpio/install/vfio" >"$work/hook"

add_binary() { echo "binary $1"; }
add_file() { echo "file $1"; }
add_symlink() { echo "link $1 -> $2"; }
add_runscript() { echo runscript; }

# what the build hook adds, with HOOKS as given
built() {
    # shellcheck disable=SC2034 # read by the hook
    local HOOKS=("$@")
    (. "$work/hook" && build) | sed "s,$work,," | LC_ALL=C sort
}
expect() {
    built "${@:2}" >"$work/built"
    diff -u - "$work/built" || {
        echo "mkinitcpio: $1: the hook adds something else" >&2
        exit 1
    }
}

expect "no configuration" base udev vfio </dev/null
printf '#[gpu big]\n' >"$work/etc/vfio.conf"
expect "an unedited configuration" base udev vfio </dev/null
[ ! -e "$work/state/initramfs" ] || {
    echo "mkinitcpio: an image without us left a mark" >&2
    exit 1
}

printf '[gpu big]\ndevice = 1002:73bf\n' >"$work/etc/vfio.conf.d/10-card.conf"
ln -s /dev/null "$work/etc/vfio.conf.d/20-masked.conf"
# What others may write is refused, and in the image it would belong to root.
printf '[gpu other]\ndevice = 1002:73bf\n' >"$work/etc/vfio.conf.d/30-refused.conf"
chmod 666 "$work/etc/vfio.conf.d/30-refused.conf"
common='binary /usr/lib/udev/vfio-udev
binary /usr/lib/vfio/vfio-bind
file /etc/vfio.conf
file /etc/vfio.conf.d/10-card.conf
file /usr/lib/udev/rules.d/70-vfio.rules'
mask='link /etc/vfio.conf.d/20-masked.conf -> /dev/null'
unit=/usr/lib/systemd/system
expect "busybox" base udev vfio block <<LIST
$common
$mask
runscript
LIST
expect "systemd" base systemd vfio block <<LIST
$(printf '%s\n' "$common" "file $unit/vfio-early.service" | LC_ALL=C sort)
$mask
link $unit/sysinit.target.wants/vfio-early.service -> $unit/vfio-early.service
LIST

[ -e "$work/state/initramfs" ] || {
    echo "mkinitcpio: an image that reserves cards left no mark" >&2
    exit 1
}

# The runtime hook calls the program, and boot goes on whatever that says.
sed "s,/usr/lib/vfio/vfio-bind,$work/vfio-bind," "$dest/usr/lib/initcpio/hooks/vfio" >"$work/early"
printf '#!/bin/sh\necho "$@" >%s/called\nexit 1\n' "$work" >"$work/vfio-bind"
chmod +x "$work/vfio-bind"
sh -eu -c '. "$1"; run_earlyhook' - "$work/early"
[ "$(cat "$work/called")" = early ]
echo "mkinitcpio: 7 checks passed"
