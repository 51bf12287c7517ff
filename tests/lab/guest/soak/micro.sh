# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# How soak.sh starts and ends the guest where there is no service manager: as OpenRC's script does.
modprobe -a bochs snd_hda_intel vfio_pci
supervises=/usr/lib/vfio/vfio-guest

has_started() { grep -q 'the guest runs' /tmp/said || ! kill -0 "$child" 2>/dev/null; }
starts() {
	: >/tmp/said
	$supervises run soak >/tmp/said 2>&1 &
	child=$!
	until_true 60 has_started
	grep -q 'the guest runs' /tmp/said || ! cat /tmp/said
}
stops() { $supervises stop soak; }
supervisor() { echo "$child"; }
settles() {
	wait "$child"
	$supervises give-back soak
}
counts() { :; }
