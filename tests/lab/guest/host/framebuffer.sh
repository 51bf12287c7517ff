# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# A boot display of class 0380 with the firmware's framebuffer on it.
card=0000:01:00.0
# guest NAME: a guest in the guest gets the card; what it and the kernel say.
guest() {
	dmesg --clear
	timeout 200 qemu-system-x86_64 -machine q35 -accel tcg -m 32 -S -nodefaults -display none -monitor stdio \
		-device vfio-pci,host=$card >"/lab/$1" 2>&1 <<END
info pci
quit
END
	fact "$1" $?
	dmesg >"/lab/dmesg.$1"
}
fact kernel "$(uname -r)"
fact class "$(cat /sys/bus/pci/devices/$card/class)"
cp /proc/iomem /lab/iomem
journalctl -b -k -o cat >/lab/kernel
ls -l /sys/bus/platform/drivers/*framebuffer*/ >/lab/platform 2>&1
vfio doctor --only display >/lab/doctor 2>&1
vfio plan >/lab/plan 2>&1
vfio status >/lab/status 2>&1
fact status $?
fact bound "$(driver $card)"
if [ "$(driver $card)" != vfio-pci ]; then
	# Nobody of ours has the card: as a hand would bind it.
	modprobe vfio-pci
	echo vfio-pci >/sys/bus/pci/devices/$card/driver_override
	[ ! -e /sys/bus/pci/devices/$card/driver ] || echo $card >/sys/bus/pci/devices/$card/driver/unbind
	echo $card >/sys/bus/pci/drivers_probe
	guest by_hand
else
	guest nested
	vfio restore boot >/lab/restore 2>&1
	fact restore $?
	until_true 60 [ "$(driver $card)" != none ]
	fact restored "$(driver $card)"
	fact override "$(cat /sys/bus/pci/devices/$card/driver_override)"
	fact consoles "$(grep -l . /sys/class/drm/card*/dev 2>/dev/null | wc -l)"
fi
systemctl list-units --failed --plain --no-legend >/lab/failed
