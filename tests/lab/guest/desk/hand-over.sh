# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# One guest of libvirt gets the card of the desktop, and gives it back. After desk.sh.
serial() { cat "/var/log/libvirt/qemu/$1-serial.log"; }
said() { serial "$1" | grep -q "$2"; }
virsh list --all >/lab/domains
fact apparmor "$(cat "/proc/$(pidof libvirtd)/attr/current")"
until_true 60 colourful before
# Sound is a moment behind the picture.
until_true 60 sh -c 'vfio holders big | grep -q aplay'
vfio holders big >/lab/holders

# The unit starts it, the unit stops it.
note_time demo.asked
systemctl start vfio-guest@demo
fact start.demo $?
note_time demo.runs
drivers demo.
systemctl show --property=ActiveState,StatusText vfio-guest@demo >/lab/unit.demo
vfio guest status demo >/lab/status.demo 2>&1
vfio guest list >/lab/list.demo 2>&1
systemd-inhibit --list --no-pager >/lab/inhibitors
until_true 60 said demo waiting
fact during "$(host screenshot card1v during)"
fact confined "$(cat "/proc/$(cat /run/libvirt/qemu/demo.pid)/attr/current")"
fact descriptors.libvirtd "$(descriptors "$(pidof libvirtd)")"
note_time demo.end
systemctl stop vfio-guest@demo
fact stop.demo $?
serial demo >/lab/serial.demo
clean demo demo
note_time demo.back
until_true 60 colourful after
