# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# For scripts in a machine that starts from its own disk.

# again STEP: restarts the machine; the script then runs from its beginning, with STEP in /lab/step. It waits for its end,
# so that nothing is told of a script that has ended.
again() {
	echo "$1" >/lab/step
	touch /run/lab-stays
	systemctl --no-block reboot
	sleep 3600
}

# step: where the script is.
step() {
	cat /lab/step 2>/dev/null || echo first
}

# The entry or the EFI program that systemd-boot started; nothing with GRUB. Before the UTF-16 of it are four bytes of
# attributes.
entry() {
	tr -d '\000\006\007' 2>/dev/null </sys/firmware/efi/efivars/LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
}

# entries: the command line of each boot entry, one a line, without the entries for recovery.
entries() {
	if [ -e /boot/grub/grub.cfg ]; then
		sed -n 's/^[[:space:]]*linux[[:space:]]*//p' /boot/grub/grub.cfg | grep -v ' single '
	else
		grep -s '^options' /boot/efi/loader/entries/*.conf
		for image in /boot/efi/EFI/Linux/*.efi; do
			[ ! -e "$image" ] || echo "$image: $(grep -aoE 'root=UUID=[ -~]+' "$image")"
		done
		for addon in /boot/efi/loader/addons/*.efi /boot/efi/EFI/Linux/*.efi.extra.d/*.efi; do
			[ ! -e "$addon" ] || echo "$addon: $(grep -aoE '[a-z0-9_.]+=[ -~]+' "$addon")"
		done
	fi
}

# judge NAME: has the boot loader's own program read what the loader will read; its exit code is the fact, what it found the
# file, of that name.
judge() {
	if [ -e /boot/grub/grub.cfg ]; then
		grub-script-check /boot/grub/grub.cfg >"/lab/$1" 2>&1
	else
		bootctl list --json=short >"/lab/$1"
	fi
	fact "$1" $?
}

# snapshot: a sum of every file that is about booting. The seed is new at every boot; what a power cut has left beside a file of
# ours no loader reads.
snapshot() {
	find /boot /etc/default /etc/kernel -type f ! -path /boot/efi/loader/random-seed ! -name '.*.vfio-new*' -exec sha256sum {} + | sort -k 2
}

# configured BIND [LINE]: what a user writes who wants words for the kernel and a card; LINE is one more of [host].
configured() {
	cat >/etc/vfio.conf <<-END
		[host]
		iommu = on
		kernel-parameters = vfio_lab.word=1
		${2:-}

		[gpu big]
		device = 0000:01:00.0
		identity = 1234:1111
		bind = $1
	END
}
