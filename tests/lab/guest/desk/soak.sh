# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# Many hand-overs and give-backs, one after the other, every tenth with another end. After desk.sh, whose
# desktop goes first: what it costs to stop it is not what this is about.
cat >>/etc/vfio.conf <<'END'
@SECTIONS@
END
systemctl stop display-manager.service
unit=vfio-guest@soak
seed=@SEED@ first=10

# draw N: a number below N, in $drawn.
draw() {
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	drawn=$((seed / 65536 % $1))
}
# noted WHEN: what may grow from one hand-over to the next, a line each.
noted() {
	sync
	{
		echo "descriptors-of-systemd $(descriptors 1)"
		echo "memory-of-systemd-kB $(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' /proc/1/status)"
		echo "memory-of-vfio-guest-kB $memory"
		echo "descriptors-of-vfio-guest $open"
		echo "units $(systemctl list-units --all --plain --no-legend | wc -l)"
		echo "transient-units $(find /run/systemd/transient -mindepth 1 | wc -l)"
		echo "files-in-run-vfio $(find /run/vfio -mindepth 1 | wc -l)"
		echo "files-in-var-lib-vfio $(find /var/lib/vfio /var/lib/vfio-guest -mindepth 1 | wc -l)"
		# Without the kernel's own, which have no command line.
		echo "processes $(grep -ls . /proc/[0-9]*/cmdline | wc -l)"
		echo "mounts $(wc -l </proc/self/mountinfo)"
		echo "available-kB $(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo)"
	} >"/lab/noted.$1"
}
# lost: what is not with the host.
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
	systemctl start $unit || {
		echo "$n: it does not start"
		vfio guest status soak
	} >>/lab/lost
	for function in 0000:02:00.0 0000:02:00.1; do
		[ "$(driver $function)" = vfio-pci ] || echo "$n: $function has $(driver $function) with the guest" >>/lab/lost
	done
	main=$(property $unit MainPID)
	memory=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$main/status")
	open=$(descriptors "$main")
	how=stopped
	if [ $((n % 10)) = 0 ]; then
		draw 4
		how=$(echo killed supervisor-killed panicked unplugged | cut -d' ' -f $((drawn + 1)))
	fi
	case $how in
	stopped) systemctl stop $unit ;;
	killed) kill -9 "$(cut -d' ' -f1 /run/vfio/guests/soak/program)" ;;
	supervisor-killed) kill -9 "$main" ;;
	panicked) echo 3 >/run/soak-ends ;;
	unplugged)
		for function in 0000:02:00.1 0000:02:00.0; do echo 1 >/sys/bus/pci/devices/$function/remove; done
		systemctl stop $unit
		echo 1 >/sys/bus/pci/rescan
		;;
	esac
	until_true 120 over soak || echo "$n: after '$how' it is not over" >>/lab/lost
	[ "$(state soak)" != failed ] || systemctl reset-failed $unit
	# The drivers of what comes back by a rescan are asked by udev.
	[ "$how" != unplugged ] || until_true 30 sh -c '[ -e /sys/bus/pci/devices/0000:02:00.0/driver ] && [ -e /sys/bus/pci/devices/0000:02:00.1/driver ]'
	lost=$(lost)
	[ -z "$lost" ] || echo "$n: after '$how': $lost" >>/lab/lost
	echo "$n $how $(cut -d' ' -f1 /proc/uptime)" >>/lab/rounds
	[ "$n" != $first ] || noted first
	rounds=$n
done
fact seconds $(($(cut -d. -f1 /proc/uptime) - begun))
fact rounds "$rounds"
noted last
fact failed "$(systemctl list-units --failed --plain --no-legend)"
