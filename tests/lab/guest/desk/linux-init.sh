#!/bin/busybox sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The first process of a Linux in the guest: writes what it sees to the console and goes down.
/bin/busybox mkdir -p /proc /sys
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
echo "linux: here"
for device in /sys/bus/pci/devices/*; do
	read -r vendor <"$device/vendor"
	read -r id <"$device/device"
	read -r class <"$device/class"
	echo "pci ${device##*/} ${vendor#0x}:${id#0x} class ${class#0x}"
done
echo "linux: off"
exec /bin/busybox poweroff -f
