# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# `vfio setup` on a machine that starts from its own disk: a domain of libvirt, no line of configuration; then the card is the
# guest's, and an undo makes /etc, the boot files and libvirt what they were. After boot.sh; the scenario fills in the domain.

asked() { systemctl show --property="$2" --value "$1"; }
runs() { [ "$(asked vfio-guest@tiny ActiveState)" = active ]; }
over() { case $(asked vfio-guest@tiny ActiveState) in inactive | failed) ;; *) return 1 ;; esac; }

# A sum, the mode and the owner of every file below /etc and /boot, where every link leads, and every directory, but for:
# - group-, gshadow-, passwd-, shadow- and .pwd.lock: the programs of shadow keep the state before their last change;
# - random-seed: systemd-boot's, new at every boot;
# - grubenv: GRUB's own notes of the last boot;
# - apparmor.d/libvirt/libvirt-UUID: libvirt's profile of a guest, written when it starts, removed with the domain.
whole() {
	mountpoint -q /boot/efi || mount /boot/efi
	{
		find /etc /boot -type f -exec sha256sum {} +
		find /etc /boot -type f -printf '%m %u %g %p\n'
		find /etc /boot -type l -printf 'link to %l %p\n'
		find /etc /boot -type d -printf '%m %u %g %p/\n'
	} | grep -vE ' /etc/((group|gshadow|passwd|shadow)-|\.pwd\.lock|apparmor\.d/libvirt/libvirt-[0-9a-f-]*(\.files)?)$| /boot/(efi/loader/random-seed|grub/grubenv)$' | sort -k 2
}

# system NAME: what else a setup may change: libvirt's own view, groups, what is enabled and what runs.
system() {
	virsh dumpxml --inactive --security-info tiny >"/lab/domain.$1" || exit 1
	virsh net-list --all >"/lab/networks.$1"
	getent group >"/lab/groups.$1"
	systemctl list-unit-files --no-legend --plain >"/lab/enabled.$1"
	entries >"/lab/entries.$1"
}

# setup NAME WORDS...: its exit code is the fact, what it said the file, of that name.
setup() {
	name=$1
	shift
	SUDO_USER=ada vfio setup "$@" >"/lab/$name" 2>&1
	fact "$name" $?
}

export DEBIAN_FRONTEND=noninteractive
step=$(step)
fact "cmdline.$step" "$(cat /proc/cmdline)"
drivers "$step."
case $step in
first)
	mountpoint -q /boot/efi || mount /boot/efi
	apt-get -y --no-install-recommends install /lab/vfio-suite.deb || exit 1
	install -D -m 644 /lab/pocket /var/lib/libvirt/boot/pocket
	cat >/root/tiny.xml <<-'END'
		@DOMAIN@
	END
	virsh define /root/tiny.xml || exit 1
	system before
	whole >/lab/before
	setup check --check --vm=tiny --gpu=auto
	setup dry --dry-run --vm=tiny --gpu=auto
	whole >/lab/looked
	setup made --vm=tiny --gpu=auto --yes
	setup json --vm=tiny --gpu=auto --yes --json
	whole >/lab/set-up
	entries >/lab/entries
	again second
	;;
second)
	# libvirt starts it when it has started itself.
	until_true 120 sh -c "virsh net-info default | grep -q 'Active: *yes'"
	fact network $?
	setup again --vm=tiny --gpu=auto --yes
	vfio status >/lab/status 2>&1
	fact status $?
	vfio guest start tiny >/lab/start.text 2>&1
	fact start $?
	until_true 120 grep -qs waiting /var/log/libvirt/qemu/tiny-serial.log
	runs
	fact runs $?
	drivers guest.
	vfio guest status tiny >/lab/guest 2>&1
	setup early --undo
	vfio guest stop tiny >/lab/stop.text 2>&1
	fact stop $?
	until_true 120 over
	cp /var/log/libvirt/qemu/tiny-serial.log /lab/serial
	setup undo --undo
	setup nothing --undo
	find /var/lib/vfio -mindepth 1 >/lab/left
	again third
	;;
third)
	whole >/lab/after
	system after
	fact failed "$(systemctl list-units --failed --plain --no-legend)"
	;;
esac
