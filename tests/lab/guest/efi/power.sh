# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# Power cuts. $1 is what this boot is for; $2 is what is cut, $3 its opposite.
part=$1 verb=$2 undo=$3

now() {
	cut -d' ' -f1 /proc/uptime | tr -d .
}

# took NAME COMMAND...: the time that a command takes, in ms, and its exit code.
took() {
	name=$1
	began=$(now)
	shift
	"$@" >>"/lab/said.$name" 2>&1
	fact "$name" $?
	fact "$name.ms" $((($(now) - began) * 10))
}

fact cmdline "$(cat /proc/cmdline)"
entries >/lab/entries
case $part in
measure)
	snapshot >/lab/before
	took apply vfio cmdline apply
	entries >/lab/entries.new
	took revert vfio cmdline revert
	snapshot >/lab/after
	;;
cut)
	# From whatever the last cut left.
	took undo vfio cmdline "$undo"
	echo "lab: armed" >/dev/console
	vfio cmdline "$verb"
	fact ended $?
	sleep 3600
	;;
last)
	took revert vfio cmdline revert
	snapshot >/lab/after
	;;
esac
