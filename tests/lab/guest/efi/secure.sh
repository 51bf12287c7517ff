# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# Secure Boot, over two boots: our parameters put where the loader takes them; then a locked kernel, a card and its guest, a
# module without a signature, and parameters that nobody here can sign. The scenario fills in the configuration.

over() { case $(systemctl show --property=ActiveState --value vfio-guest@tiny) in inactive | failed) ;; *) return 1 ;; esac; }

export DEBIAN_FRONTEND=noninteractive
step=$(step)
fact "cmdline.$step" "$(cat /proc/cmdline)"
# Before its value are four bytes of attributes.
fact "secure.$step" "$(od -An -tu1 -j4 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c | tr -d ' ')"
fact "lockdown.$step" "$(cat /sys/kernel/security/lockdown)"
drivers "$step."
case $step in
first)
	until_true 120 mountpoint -q /boot/efi
	snapshot >/lab/before
	apt-get -y --no-install-recommends install /lab/vfio-suite.deb || exit 1
	systemctl stop vfio-sync.path
	cat >>/etc/vfio.conf <<-'END'
		@SECTIONS@
	END
	vfio cmdline apply >/lab/apply 2>&1
	fact apply $?
	judge judged
	again second
	;;
second)
	vfio cmdline status >/lab/status 2>&1
	fact status $?
	install -D -m 644 /lab/pocket /var/lib/libvirt/boot/pocket
	systemctl start vfio-guest@tiny
	fact start $?
	until_true 120 grep -qs waiting /var/lib/vfio-guest/tiny/log
	systemctl stop vfio-guest@tiny
	until_true 120 over
	cp /var/lib/vfio-guest/tiny/log /lab/serial

	# A signed module, and the same without the end that says so (include/linux/module_signature.h).
	xz -dc "$(modinfo --field=filename dummy)" >/run/signed.ko
	head -c -28 /run/signed.ko >/run/unsigned.ko
	insmod /run/unsigned.ko >/lab/insmod 2>&1
	fact unsigned $?
	insmod /run/signed.ko
	fact signed $?
	dmesg | grep -i -e lockdown -e locked -e 'Loading of' >/lab/locked
	vfio doctor --all >/lab/doctor 2>&1

	# Nobody here can sign.
	if [ -e /etc/kernel/uki.conf ]; then
		mv /etc/kernel/uki.conf /run/
		sed -i 's/vfio_lab.word=1/vfio_lab.word=2/' /etc/vfio.conf
		snapshot >/lab/keyless.before
		vfio cmdline apply >/lab/keyless 2>&1
		fact keyless $?
		snapshot >/lab/keyless.after
		mv /run/uki.conf /etc/kernel/
	fi
	apt-get -y purge vfio-suite
	fact purge $?
	snapshot >/lab/after
	;;
esac
