# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# Many hand-overs and give-backs of 0000:02:00, one after the other, every tenth with another end. Whoever calls this has said
# what a start is, a stop, and the rest: starts, stops, supervisor, settles, counts.
seed=@SEED@ first=10

# draw N: a number below N, in $drawn.
draw() {
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	drawn=$((seed / 65536 % $1))
}
# resident PID: its memory, in kB.
resident() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"; }
# below DIRECTORY...: how many files are in there.
below() { find "$@" -mindepth 1 2>/dev/null | wc -l; }
# noted WHEN: what may grow from one hand-over to the next, a line each.
noted() {
	sync
	{
		echo "memory-of-vfio-guest-kB $memory"
		echo "descriptors-of-vfio-guest $open"
		echo "files-in-run-vfio $(below /run/vfio)"
		echo "files-in-var-lib-vfio $(below /var/lib/vfio /var/lib/vfio-guest)"
		# Without the kernel's own, which have no command line.
		echo "processes $(grep -ls . /proc/[0-9]*/cmdline | wc -l)"
		echo "mounts $(wc -l </proc/self/mountinfo)"
		echo "available-kB $(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)"
		counts
	} >"/lab/noted.$1"
}
# both COMMAND...: whether it is so of each function of the card.
both() { "$@" 0000:02:00.0 && "$@" 0000:02:00.1; }
bound() { [ -e "/sys/bus/pci/devices/$1/driver" ]; }
# What is not with the host.
lost() {
	for had in 0000:02:00.0:bochs-drm 0000:02:00.1:snd_hda_intel; do
		function=${had%:*}
		[ "$(driver "$function")" = "${had##*:}" ] || echo "$function has $(driver "$function")"
		[ "$(cat "/sys/bus/pci/devices/$function/driver_override")" = "(null)" ] || echo "$function has an override"
	done
	find /run/vfio/guests /run/vfio/claims /run/vfio/journal -mindepth 1 2>/dev/null
}

rounds=0
begun=$(cut -d. -f1 /proc/uptime)
for n in $(seq @COUNT@); do
	rm -f /run/soak-ends
	starts || {
		echo "$n: it does not start"
		vfio guest status soak
	} >>/lab/lost
	for function in 0000:02:00.0 0000:02:00.1; do
		[ "$(driver $function)" = vfio-pci ] || echo "$n: $function has $(driver $function) with the guest" >>/lab/lost
	done
	main=$(supervisor)
	memory=$(resident "$main")
	open=$(descriptors "$main")
	how=stopped
	if [ $((n % 10)) = 0 ]; then
		draw 4
		how=$(echo killed supervisor-killed panicked unplugged | cut -d' ' -f $((drawn + 1)))
	fi
	case $how in
	stopped) stops ;;
	killed) kill -9 "$(cut -d' ' -f1 /run/vfio/guests/soak/program)" ;;
	supervisor-killed) kill -9 "$main" ;;
	panicked) echo 3 >/run/soak-ends ;;
	unplugged)
		for function in 0000:02:00.1 0000:02:00.0; do echo 1 >/sys/bus/pci/devices/$function/remove; done
		stops
		echo 1 >/sys/bus/pci/rescan
		;;
	esac
	settles || echo "$n: after '$how' it is not over" >>/lab/lost
	# The drivers of what comes back by a rescan are asked by udev, or by the kernel, later.
	[ "$how" != unplugged ] || until_true 30 both bound
	lost=$(lost)
	[ -z "$lost" ] || echo "$n: after '$how': $lost" >>/lab/lost
	echo "$n $how $(cut -d' ' -f1 /proc/uptime)" >>/lab/rounds
	[ "$n" != $first ] || noted first
	rounds=$n
done
fact seconds $(($(cut -d. -f1 /proc/uptime) - begun))
fact rounds "$rounds"
noted last
