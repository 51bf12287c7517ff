# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# Guests without libvirt: their QEMU or our own supervisor killed, a rival, many one after the other. After desk.sh.
said() { grep -q "$2" "/var/lib/vfio-guest/$1/log" 2>/dev/null; }
# at STEP: waits until the journal of the guest plain has this step, which is written down before it is made.
at() { until_true 120 grep -qs "\"do\":\"$1\"" /run/vfio/guests/plain/journal; }
main() { property vfio-guest@plain MainPID; }

# Counted before all of the hand-overs of this script: there are ten.
fact descriptors.systemd "$(descriptors 1)"

# Started, and QEMU is killed. Meanwhile another guest wants the card.
note_time plain.asked
systemctl start vfio-guest@plain
fact start.plain $?
note_time plain.runs
drivers plain.
until_true 60 said plain waiting
cp /var/lib/vfio-guest/plain/log /lab/serial.plain
old=$(main)
systemctl start vfio-guest@rival >/lab/start.rival 2>&1
fact start.rival $?
vfio guest status rival >/lab/why.rival 2>&1
fact rival.plain "$(state plain)"
[ "$old" = "$(main)" ]
fact rival.same $?
systemctl reset-failed vfio-guest@rival
note_time plain.end
kill -9 "$(cut -d' ' -f1 /run/vfio/guests/plain/program)"
clean plain plain
note_time plain.back

# The supervisor is killed: at steps of the start, and while the guest runs.
for step in end-session stop-unit let-go bind running; do
	systemctl --no-block start vfio-guest@plain
	if [ $step = running ]; then
		until_true 120 runs plain
		until_true 60 said plain waiting
	else
		at $step
	fi
	kill -9 "$(main)"
	# Its first step may have been ended with it.
	[ $step = end-session ] && new=either || new=
	# shellcheck disable=SC2086 # one word or none
	clean "killed.$step" plain failed $new
done

# One after the other.
done=0
for _ in $(seq 4); do
	# At the earliest moment: the session is only just starting then.
	systemctl start vfio-guest@quick || break
	until_true 120 over quick
	[ "$(state quick)" = inactive ] || break
	done=$((done + 1))
done
fact quick $done
clean quick quick
fact descriptors.systemd.after "$(descriptors 1)"
