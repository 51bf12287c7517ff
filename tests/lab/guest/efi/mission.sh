# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# What the README promises, over two boots of the machine's own disk: the package installed, the file edited; then the card is
# on vfio, a guest has it, and the package goes. The scenario fills in what is written, what is broken on purpose, and whether
# there is more to see than the second boot itself.

# microseconds: since the start of the machine, as systemd has them.
microseconds() { cut -d' ' -f1 /proc/uptime | tr -d . | sed 's/$/0000/'; }
asked() { systemctl show --property="$2" --value "$1"; }

# synced: vfio-sync has begun after the edit, and is over.
synced() {
	case $(asked vfio-sync.service ActiveState) in inactive | failed) ;; *) return 1 ;; esac
	[ "$(asked vfio-sync.service ExecMainStartTimestampMonotonic)" -gt "$edited" ]
}

over() { case $(asked vfio-guest@tiny ActiveState) in inactive | failed) ;; *) return 1 ;; esac; }

export DEBIAN_FRONTEND=noninteractive
step=$(step)
fact "cmdline.$step" "$(cat /proc/cmdline)"
drivers "$step."
dmesg | grep -F 0000:01:00 >"/lab/kernel.$step"
case $step in
first)
	mountpoint -q /boot/efi || mount /boot/efi
	snapshot >/lab/before
	apt-get -y --no-install-recommends install /lab/vfio-suite.deb || exit 1
	snapshot >/lab/installed
	@FAULT@
	edited=$(microseconds)
	cat >>/etc/vfio.conf <<-'END'
		@SECTIONS@
	END
	until_true 1800 synced
	fact synced $?
	fact sync "$(asked vfio-sync.service ExecMainStatus)"
	journalctl -b -u vfio-sync.service -o short-monotonic --no-hostname >/lab/sync
	entries >/lab/entries
	again second
	;;
second)
	dmesg >/lab/kernel
	vfio status >/lab/status 2>&1
	fact status $?
	fact wanted "$(asked vfio-bind@big.service WantedBy)"
	fact failed "$(systemctl list-units --failed --plain --no-legend)"
	whole=@WHOLE@
	if [ "$whole" = yes ]; then
		install -D -m 644 /lab/pocket /var/lib/libvirt/boot/pocket
		systemctl start vfio-guest@tiny
		fact start $?
		until_true 120 grep -qs waiting /var/lib/vfio-guest/tiny/log
		drivers guest.
		vfio guest status tiny >/lab/guest 2>&1
		systemctl stop vfio-guest@tiny
		fact stop $?
		until_true 120 over
		cp /var/lib/vfio-guest/tiny/log /lab/serial
		drivers ended.
		apt-get -y purge vfio-suite
		fact purge $?
		mountpoint -q /boot/efi || mount /boot/efi
		snapshot >/lab/after
	fi
	;;
esac
