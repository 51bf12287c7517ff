# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# Power cuts. $1 is what this boot is for; $2 is what is cut, $3 its opposite.
part=$1 verb=$2 undo=$3

# The files that the command changes, and what a cut left beside them.
files() {
	find /boot/efi/loader/entries /boot/grub/grub.cfg* /etc/default/grub.d /etc/kernel/cmdline /etc/kernel/.cmdline* \
		/var/lib/vfio -type f 2>/dev/null | sort
}

# The sums of the files themselves, and the names of leftovers. Our record has in it during which boot files were changed.
state() {
	files | grep -v -e '/\.' -e '\.new$' | while read -r file; do
		echo "$(sed 's/"changed_in": *"[^"]*"//' "$file" | sha256sum | cut -d' ' -f1)  $file"
	done >"/lab/state$1"
	files | grep -e '/\.' -e '\.new$' >"/lab/leftovers$1"
}

# writes N: the disk carries out so many writes a second, as slow ones do: a cut finds more of them halfway.
writes() {
	host qmp '{"execute": "block_set_io_throttle", "arguments": {"device": "disk", "iops_wr": '"$1"',
		"iops": 0, "iops_rd": 0, "bps": 0, "bps_rd": 0, "bps_wr": 0}}' | tr -d '\n' >>/lab/throttle
}

now() {
	cut -d' ' -f1 /proc/uptime | tr -d .
}

# told VERB: carries it out. Each line that it says is noticed on the console, and its time is kept, in ms since the start.
told() {
	began=$(now)
	echo "lab: $1 0." >/dev/console
	{
		vfio cmdline "$1" 2>&1
		fact "$1" $?
	} | {
		n=0
		while read -r line; do
			n=$((n + 1))
			echo "lab: $1 $n." >/dev/console
			echo "$((($(now) - began) * 10)) $line" >>"/lab/told.$1"
		done
	}
}

fact cmdline "$(cat /proc/cmdline)"
entries >/lab/entries
state
judge judged
case $part in
measure)
	snapshot >/lab/before
	writes 20
	told apply
	entries >/lab/entries.new
	state .new
	told revert
	writes 0
	snapshot >/lab/after
	;;
cut)
	# From whatever the last cut left.
	vfio cmdline "$undo"
	fact undo $?
	state .undone
	sync
	writes 20
	told "$verb"
	# The cut comes by now; a command that said less than at first is an error.
	sleep 60
	;;
last)
	vfio cmdline revert
	fact revert $?
	state .last
	snapshot >/lab/after
	;;
esac
