# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# What a script in a machine of the lab can call. Runs under dash and busybox.

# fact NAME VALUE: for the test to look at.
fact() {
	printf '%s=%s\n' "$1" "$2" >>/lab/facts
}

# host REQUEST...: has the lab do something outside (qmp JSON, screenshot DEVICE NAME, say TEXT), prints its answer.
host() {
	printf '%s\n' "$*" >/lab/request.new
	mv /lab/request.new /lab/request
	until [ -e /lab/reply ]; do sleep 0.1; done
	cat /lab/reply
	rm /lab/reply
}

# driver ADDRESS: the driver of a PCI function, or "none".
driver() {
	if [ -L "/sys/bus/pci/devices/$1/driver" ]; then
		basename "$(readlink "/sys/bus/pci/devices/$1/driver")"
	else
		echo none
	fi
}

# drivers: one fact for every function on a card.
drivers() {
	for device in /sys/bus/pci/devices/0000:0[1-9]:00.*; do
		[ -e "$device" ] && fact "$1${device##*/}" "$(driver "${device##*/}")"
	done
}

# until_true SECONDS COMMAND...: waits for the command to succeed.
until_true() {
	deadline=$(($(cut -d. -f1 /proc/uptime) + $1))
	shift
	until "$@"; do
		[ "$(cut -d. -f1 /proc/uptime)" -lt $deadline ] || return 1
		sleep 0.2
	done
}

# descriptors PID: how many a process has.
descriptors() { find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l; }
