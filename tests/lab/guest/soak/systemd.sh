# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# How soak.sh starts and ends the guest where systemd does. After desk.sh, whose desktop goes first: what it costs to stop it
# is not what this is about.
cat >>/etc/vfio.conf <<'END'
@SECTIONS@
END
systemctl stop display-manager.service
unit=vfio-guest@soak

starts() { systemctl start $unit; }
stops() { systemctl stop $unit; }
supervisor() { property $unit MainPID; }
settles() {
	until_true 120 over soak || return 1
	[ "$(state soak)" != failed ] || systemctl reset-failed $unit
}
counts() {
	echo "descriptors-of-systemd $(descriptors 1)"
	echo "memory-of-systemd-kB $(resident 1)"
	echo "units $(systemctl list-units --all --plain --no-legend | wc -l)"
	echo "transient-units $(below /run/systemd/transient)"
}
