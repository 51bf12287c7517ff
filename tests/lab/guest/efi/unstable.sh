# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# Our package on a machine whose images dracut makes by its own update-initramfs, over three boots: installed, configured and brought
# up to date; booted from that and removed; booted without it.

# images: in how many images our program is.
images() {
	count=0
	for image in /boot/initrd.img-*; do
		! lsinitrd "$image" 2>/dev/null | grep -q vfio-bind || count=$((count + 1))
	done
	echo $count
}

# settings: all boot files but images, which are made anew and have times in them.
settings() {
	snapshot | grep -v ' /boot/initrd'
}

export DEBIAN_FRONTEND=noninteractive
step=$(step)
fact "cmdline.$step" "$(cat /proc/cmdline)"
fact "driver.$step" "$(driver 0000:01:00.0)"
fact "images.$step" "$(images)"
systemctl list-units --failed --plain --no-legend >"/lab/failed.$step"
case $step in
first)
	dpkg -S /usr/sbin/update-initramfs >/lab/owner 2>&1
	dpkg -l dracut linux-image-amd64 systemd >/lab/versions
	until_true 120 mountpoint -q /boot/efi
	settings >/lab/before
	apt-get -y --no-install-recommends install /lab/vfio-suite.deb
	systemctl stop vfio-sync.path
	settings | grep -v /etc/kernel/postinst.d/xx-vfio >/lab/installed
	configured boot
	vfio sync >/lab/sync 2>&1
	fact sync $?
	vfio sync >/lab/sync-again 2>&1
	again second
	;;
second)
	dmesg >/lab/dmesg.second
	vfio status >/lab/status 2>&1
	fact status $?
	vfio cmdline status >/lab/cmdline-status 2>&1
	fact cmdline-status $?
	vfio doctor --only boot >/lab/doctor 2>&1
	fact doctor $?
	apt-get -y purge vfio-suite
	settings >/lab/after
	again third
	;;
third)
	find / -xdev -iname '*vfio*' ! -path '/usr/lib/modules/*' ! -path '/lab/*' ! -path '/usr/lib/*/qemu/*' \
		! -path '/usr/share/qemu/*' ! -path '/usr/share/doc/*' >/lab/files
	;;
esac
