# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh disable=SC2154 # $compositor is set in desk.sh
# `vfio guest edit` gives a guest that libvirt has already a card, a keyboard and a mouse, sound, huge pages, a processor for
# itself and the memory of Looking Glass; the guest runs with them; `--undo`. Then `vfio guest define` makes a guest from nothing.
# After desk.sh; the scenario fills in the configuration.
guest=edited
dumped() { virsh dumpxml --inactive --security-info $guest; }
serial() { cat /var/log/libvirt/qemu/$guest-serial.log 2>/dev/null; }
said() { serial | grep -q "$1"; }
pages() { sed -n 's/^HugePages_Total: *//p' /proc/meminfo; }
# What the host's programs and the guest's processor may run on.
allowed() {
	for unit in system.slice user.slice init.scope; do
		printf '%s:%s ' $unit "$(cat /sys/fs/cgroup/$unit/cpuset.cpus 2>/dev/null)"
	done
}
# press QCODE: a key of the emulated keyboard goes down and up.
press() {
	for down in true false; do
		host qmp '{"execute": "input-send-event", "arguments": {"events": [{"type": "key", "data": {"down": '$down',
			"key": {"type": "qcode", "data": "'"$1"'"}}}]}}' | tr -d '\n'
	done
}

modprobe -a xhci_pci usbhid hid_generic evdev
udevadm settle
ls -l /dev/input/by-id >/lab/input 2>&1
install -D -m 644 /lab/card.rom /var/lib/vfio/second.rom
# Without it there is no server that the guest's sound could be on.
loginctl enable-linger desk
until_true 120 test -S /run/user/1000/pipewire-0
fact pipewire $?
mkdir -p /etc/vfio.conf.d
cat >/etc/vfio.conf.d/$guest.conf <<'END'
@SECTIONS@
END
virsh dumpxml --inactive demo |
	sed -e '/<hostdev/,/<\/hostdev>/d' -e '/<uuid>/d' -e "s/demo/$guest/" >/run/$guest.xml
virsh define /run/$guest.xml >/lab/define 2>&1
fact define $?
dumped >/lab/before.xml

vfio guest edit $guest --dry-run >/lab/dry 2>&1
fact dry $?
vfio guest edit $guest --yes >/lab/edit 2>&1
fact edit $?
dumped >/lab/edited.xml
vfio guest edit $guest --yes >/lab/again 2>&1
fact again $?
vfio guest plan $guest >/lab/plan 2>&1
fact plan $?

fact pages.before "$(pages)"
fact allowed.before "$(allowed)"
systemctl start vfio-guest@$guest
fact start $?
drivers during.
until_true 120 said waiting
fact pages.during "$(pages)"
fact free.during "$(sed -n 's/^HugePages_Free: *//p' /proc/meminfo)"
fact allowed.during "$(allowed)"
qemu=$(cat /run/libvirt/qemu/$guest.pid)
tr '\0' ' ' <"/proc/$qemu/cmdline" >/lab/qemu
fact confined "$(cat "/proc/$qemu/attr/current")"
for task in /proc/"$qemu"/task/*; do
	echo "$(cat "$task/comm"): $(sed -n 's/^Cpus_allowed_list:\t//p' "$task/status")"
done >/lab/threads
virsh vcpupin $guest >/lab/vcpupin 2>&1
ls -l /dev/shm >/lab/shm
getfacl -p /run/user/1000 /run/user/1000/pipewire-0 >/lab/acl 2>&1
runuser -u desk -- env XDG_RUNTIME_DIR=/run/user/1000 pw-cli list-objects Client >/lab/clients 2>&1
press k
until_true 60 said 'key 25'
serial >/lab/serial
shows && fact during.compositor yes
systemctl stop vfio-guest@$guest
fact stop $?
until_true 240 over $guest
serial >/lab/serial.end
fact state "$(state $guest)"
drivers after.
fact pages.after "$(pages)"
fact allowed.after "$(allowed)"
getfacl -p /run/user/1000 /run/user/1000/pipewire-0 >/lab/acl.after 2>&1
fact left "$(find /run/vfio/guests /run/vfio/claims /run/vfio/journal -mindepth 1 2>/dev/null | tr '\n' ' ')"

vfio guest edit $guest --undo --yes >/lab/undo 2>&1
fact undo $?
dumped >/lab/after.xml

# A guest from nothing, as the real virt-install recommends it.
truncate -s 32769 /srv/installer.iso
printf CD001 >>/srv/installer.iso
vfio guest define made --os generic --disk 64M --iso /srv/installer.iso --yes >/lab/made 2>&1
fact made $?
virsh dumpxml --inactive made >/lab/made.xml 2>&1
vfio guest edit made --dry-run >/lab/made.edit 2>&1
fact made.edit $?
# The machine has no network of libvirt's that is active.
sed '/<interface/,/<\/interface>/d' /lab/made.xml >/run/made.xml
virsh define /run/made.xml >/lab/made.define 2>&1
vfio guest plan made >/lab/made.plan 2>&1
fact made.plan $?
systemctl start vfio-guest@made
fact made.start $?
drivers made.during.
fact made.pages "$(pages)"
systemctl stop vfio-guest@made
until_true 240 over made
drivers made.after.
fact made.pages.after "$(pages)"
vfio guest define made --undo --yes >/lab/made.undo 2>&1
fact made.undo $?
fact made.left "$(virsh list --all --name | grep -x made)$(ls /var/lib/libvirt/images/made.qcow2 2>/dev/null)"
fact failed "$(systemctl list-units --failed --plain --no-legend)"
