#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What users put into libvirt's hooks, with what it takes on this machine to get both functions free: the user's manager
# goes, too. Nothing is checked, nothing is waited for.
[ "$1" = hooked ] || exit 0
case $2 in
prepare)
	systemctl stop display-manager.service
	systemctl stop user@1000.service
	for console in /sys/class/vtconsole/vtcon*/bind; do echo 0 >"$console"; done
	virsh nodedev-detach pci_0000_01_00_0 >&2
	virsh nodedev-detach pci_0000_01_00_1 >&2
	modprobe vfio-pci
	;;
release)
	virsh nodedev-reattach pci_0000_01_00_0 >&2
	virsh nodedev-reattach pci_0000_01_00_1 >&2
	for console in /sys/class/vtconsole/vtcon*/bind; do echo 1 >"$console"; done
	systemctl start display-manager.service
	;;
esac
exit 0
