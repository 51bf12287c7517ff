# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# The boot entry without us, over three boots: made; chosen for one boot; the machine's own entry again, then the package is removed.

# ours: the command lines of the entry.
ours() {
	if [ -e /boot/grub/grub.cfg ]; then
		sed -n "/'vfio-off'/,/^}/s/^[[:space:]]*linux[[:space:]]*//p" /boot/grub/grub.cfg
	else
		sed -n 's/^options //p' /boot/efi/loader/entries/_-vfio-off.conf
	fi
}

# titles: those of all entries, in the order of the menu.
titles() {
	if [ -e /boot/grub/grub.cfg ]; then
		sed -n "s/^menuentry '\([^']*\)'.*/\1/p" /boot/grub/grub.cfg
	else
		bootctl list --json=short | sed 's/},{/}\n{/g' | sed -n '/type1/s/.*"showTitle":"\([^"]*\)".*/\1/p'
	fi
}

# settings: grub-reboot writes into GRUB's environment, and the loader takes it out again.
settings() {
	snapshot | grep -v /boot/grub/grubenv
}

export DEBIAN_FRONTEND=noninteractive
step=$(step)
fact "cmdline.$step" "$(cat /proc/cmdline)"
fact "driver.$step" "$(driver 0000:01:00.0)"
vfio cmdline status >"/lab/status.$step" 2>&1
fact "status.$step" $?
case $step in
first)
	until_true 120 mountpoint -q /boot/efi
	settings >/lab/before
	apt-get -y --no-install-recommends install /lab/vfio-suite.deb
	systemctl stop vfio-sync.path
	configured boot "rescue-entry = yes"
	# Not 'vfio sync': the initramfs need not know of the card, and an emulator takes long to build it.
	vfio cmdline apply >/lab/apply 2>&1
	fact apply $?
	ours >/lab/ours
	titles >/lab/titles
	judge judged
	if [ -e /boot/grub/grub.cfg ]; then grub-reboot vfio-off; else bootctl set-oneshot _-vfio-off.conf; fi
	fact chosen $?
	again second
	;;
second)
	vfio status >/lab/off 2>&1
	again third
	;;
third)
	apt-get -y purge vfio-suite
	settings >/lab/after
	grep -rls vfio-off /boot /etc >/lab/left || :
	;;
esac
