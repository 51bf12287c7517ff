# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# Our package in a machine that starts from its own disk, over three boots: installed and configured; a new kernel; removed.

# says WORD...: whether anything that a boot loader reads has one of the words.
says() {
	for word in "$@"; do
		grep -rqs "$word" /boot/grub/grub.cfg /boot/efi/loader /boot/efi/EFI/Linux && return
	done
	return 1
}

# The same for small files alone: images of kernels are too much to search again and again.
says_it() {
	grep -rqs --include='*.conf' --include='*.addon.efi' --include=grub.cfg "$1" /boot/grub /boot/efi/loader /boot/efi/EFI/Linux
}

# The service that brings boot entries up to date is at rest.
rests() {
	case $(systemctl show --property=ActiveState --value vfio-sync.service) in inactive | failed) return 0 ;; esac
	return 1
}

export DEBIAN_FRONTEND=noninteractive
step=$(step)
fact "cmdline.$step" "$(cat /proc/cmdline)"
fact "entry.$step" "$(entry)"
case $step in
first)
	snapshot >/lab/before
	apt-get -y --no-install-recommends install /lab/vfio-suite.deb
	# A package that nobody has configured changes nothing.
	snapshot >/lab/installed
	configured guest
	until_true 600 says_it vfio_lab.word=1
	fact written $?
	until_true 300 rests
	fact rests $?
	entries >/lab/entries.first
	judge judged.first
	snapshot >/lab/configured
	vfio cmdline status >/lab/status.first 2>&1
	fact status.first $?
	journalctl -u vfio-sync.service -o cat >/lab/sync
	again second
	;;
second)
	vfio cmdline status >/lab/status.second 2>&1
	fact status.second $?
	vfio cmdline plan >/lab/plan.second 2>&1
	fact plan.second $?
	dpkg --install /srv/linux-image-lab.deb
	entries >/lab/entries.second
	judge judged.second
	again third
	;;
third)
	vfio cmdline status >/lab/status.third 2>&1
	fact status.third $?
	apt-get -y purge vfio-suite
	says vfio_lab intel_iommu=on iommu=pt
	fact left $?
	entries >/lab/entries.third
	judge judged.third
	dpkg --purge linux-image-lab
	snapshot >/lab/after
	find / -xdev -iname '*vfio*' ! -path '/usr/lib/modules/*' ! -path '/lab/*' \
		! -path '/usr/lib/*/qemu/*' ! -path '/usr/share/qemu/*' >/lab/files
	systemctl list-units --failed --plain --no-legend >/lab/failed
	;;
esac
