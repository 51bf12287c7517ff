# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# Troubles, one after the other, each made for real and then put right, and what `vfio doctor` says of each. After desk.sh.
guest=demo
bound=0000:02:00.0
hooks=/etc/libvirt/hooks/qemu.d

# look NAME: what doctor says now.
look() {
	vfio doctor --json >"/lab/$1.json" 2>"/lab/$1.errors"
	fact "$1" $?
	note_time "$1"
}
network_is_up() { virsh net-list --name | grep -qx default; }
# Some other program gives the card that is bound at boot to the host's driver.
take_from_vfio() {
	echo >/sys/bus/pci/devices/$bound/driver_override
	echo $bound >/sys/bus/pci/drivers/vfio-pci/unbind
	echo $bound >/sys/bus/pci/drivers/bochs-drm/bind
}
# defined SED-SCRIPT: the domain as it was at first, with a change.
defined() {
	sed "$1" /run/$guest.xml >/run/changed.xml
	virsh define /run/changed.xml
}
# libvirt's daemon, with all that starts it by a question.
units='libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket'
# Who has the card, what libvirt's network is, and which of libvirt's units are enabled.
whole() {
	driver $bound
	[ -e /run/libvirt/network/default.xml ] && echo up
	ls /etc/libvirt/qemu/networks/autostart
	# shellcheck disable=SC2086 # words
	systemctl is-enabled $units
}

until_true 120 network_is_up || exit 1
virsh dumpxml --inactive --security-info $guest >/run/$guest.xml
drivers first.
vfio doctor >/lab/fresh.text 2>&1
look fresh

take_from_vfio
look host-driver
vfio bind second

# libvirt looks for hooks when it starts. In another file system and back again the directory is a new one.
mv $hooks /run/hooks
systemctl restart libvirtd.service
until_true 60 virsh list
sleep 2
mv /run/hooks $hooks
look hook
systemctl restart libvirtd.service
until_true 60 virsh list

# Huge pages for a domain, which no file system shows at first; then another program has them, and memory for more is not there.
defined 's|<memory unit=.*</memory>|<memory unit="MiB">1024</memory>|; s|<currentMemory.*||;
	s|<vcpu|<memoryBacking><hugepages/></memoryBacking><vcpu|'
echo 512 >/proc/sys/vm/nr_hugepages
fact pages.free "$(sed -n 's/^HugePages_Free: *//p' /proc/meminfo)"
look mount
mkdir -p /dev/hugepages
mount -t hugetlbfs hugetlbfs /dev/hugepages
look pages-free
fallocate -l 900M /dev/hugepages/taken
look pages
rm /dev/hugepages/taken
look pages-again
umount /dev/hugepages
echo 0 >/proc/sys/vm/nr_hugepages
defined ''

# The option ROM is where no rule of AppArmor for domains lets QEMU read.
install -m 644 /lab/card.rom /srv/card.rom
with_rom() { defined "0,/<hostdev/{/<hostdev/{n;n;n;s|</source>|</source><rom file='$1'/>|}}"; }
with_rom /srv/card.rom
look rom
install -D -m 644 /srv/card.rom /var/lib/vfio/card.rom
with_rom /var/lib/vfio/card.rom
look rom-readable
defined ''

virsh net-destroy default
look network
virsh net-start default

virsh undefine $guest
look domain
defined ''

mv /usr/bin/virsh /usr/bin/virsh.away
look program
mv /usr/bin/virsh.away /usr/bin/virsh

# What the guide and its like leave.
mkdir -p $hooks/$guest/prepare/begin
printf '#!/bin/sh\nvirsh nodedev-detach pci_0000_01_00_0\n' >$hooks/$guest/prepare/begin/start.sh
printf 'options vfio-pci ids=1234:1111\nblacklist snd_hda_intel\n' >/etc/modprobe.d/lab.conf
driverctl --noprobe set-override $bound vfio-pci
# It binds the card anew, and what vfio-pci binds may sleep.
vfio bind second
printf 'ACTION=="add", SUBSYSTEM=="pci", ATTR{reset_method}="bus"\n' >/etc/udev/rules.d/99-lab.rules
look leftovers
rm -r "${hooks:?}/$guest" /etc/modprobe.d/lab.conf /etc/udev/rules.d/99-lab.rules /etc/driverctl.d/*

echo auto >/sys/bus/pci/devices/$bound/power/control
look sleep
vfio bind second

systemctl disable vfio-sync.path
look watch
systemctl enable vfio-sync.path

chmod o+w /etc/vfio.conf
look writable
chmod o-w /etc/vfio.conf

# A start is refused, and what refused it is put right.
defined '0,/<controller/s|<controller|<disk type="file"><source file="/srv/gone.img"/><target dev="sda"/></disk><controller|'
systemctl start vfio-guest@$guest
look refused
vfio doctor --last >/lab/last.text 2>&1
fact last $?
defined ''
systemctl reset-failed vfio-guest@$guest
look refused-before

# Three troubles that have a fix.
take_from_vfio
virsh net-destroy default
virsh net-autostart default --disable
# shellcheck disable=SC2086 # words
systemctl disable --now $units
whole >/lab/broken
look broken
vfio doctor --fix >/lab/shown.text 2>&1
fact shown $?
whole >/lab/broken.shown
vfio doctor --fix --yes >/lab/fixed.text 2>&1
fact fixed $?
whole >/lab/whole
look fixed-since
vfio setup --undo >/lab/undo.text 2>&1
fact undo $?
whole >/lab/broken.undo

# Killed when the first of two is made.
second_begins() { grep -q '^\$ vfio setup --services' /lab/killed.text; }
vfio doctor --fix --yes >/lab/killed.text 2>&1 &
until_true 120 second_begins
kill -9 $!
wait $!
fact killed $?
whole >/lab/killed
vfio setup --undo >/lab/undo.killed.text 2>&1
fact undo.killed $?
whole >/lab/broken.killed
find /var/lib/vfio/setup >/lab/left 2>/dev/null
vfio doctor --fix --yes >/lab/again.text 2>&1
fact again $?
look end
fact failed "$(systemctl list-units --failed --plain --no-legend)"
