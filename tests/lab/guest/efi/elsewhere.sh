# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# A machine whose firmware starts a GRUB with a menu of its own, made before we came: the menu that we have made again is
# nobody's. Three boots: changed; started from elsewhere; started from where it was changed.

# grub_reads DIRECTORY: has the GRUB that the firmware starts read the menu below this directory.
grub_reads() {
	grub-install --target=x86_64-efi --efi-directory=/boot/efi --boot-directory="$1" --removable --no-nvram
}

export DEBIAN_FRONTEND=noninteractive
step=$(step)
fact "cmdline.$step" "$(cat /proc/cmdline)"
case $step in
first)
	mkdir -p /srv/boot
	grub_reads /srv/boot || exit 1
	cp /boot/grub/grub.cfg /srv/boot/grub/
	apt-get -y --no-install-recommends install /lab/vfio-suite.deb
	# The lab's script asks, and nobody else: what is changed is changed once.
	systemctl stop vfio-sync.path
	printf '[gpu big]\ndevice = 0000:01:00.0\nidentity = 1234:1111\nbind = guest\n' >/etc/vfio.conf
	vfio cmdline apply >/lab/apply 2>&1
	fact apply $?
	;;
esac
vfio cmdline status >"/lab/cmdline-status.$step" 2>&1
fact "cmdline-status.$step" $?
vfio doctor --only boot >"/lab/doctor.$step" 2>&1
vfio status >"/lab/status.$step" 2>&1
case $step in
first) again second ;;
second)
	grub_reads /boot || exit 1
	again third
	;;
esac
