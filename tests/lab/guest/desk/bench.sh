# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# How long a hand-over and a give-back take, by WAY: "unit" is ours, "hooks" the guide's. After desk.sh. The guide's dispatcher
# is only there where it is measured; our hook always is, and has nothing to do for the guide's guest.
now() { cut -d' ' -f1 /proc/uptime; }
# How fast this machine is: the same is measured outside.
begin=$(now)
for _ in $(seq "$STARTS"); do /bin/true; done
fact true "$begin $(now)"
# What a hook costs that has nothing to do; the guest is neither's.
for hook in qemu qemu.d/50-vfio; do
	begin=$(now)
	for _ in $(seq "$CALLS"); do "/etc/libvirt/hooks/$hook" other prepare begin - </dev/null; done
	fact "idle.${hook##*/}" "$begin $(now)"
done
[ "$WAY" = hooks ] || rm /etc/libvirt/hooks/qemu
# So that the first start is like the others: libvirt asks QEMU once what it can do.
virsh domcapabilities >/dev/null 2>&1
# The user's manager is still there if the desktop was back within 10 s; then it does not start the sound again.
sound() { runuser -u desk -- env XDG_RUNTIME_DIR=/run/user/1000 systemctl --user start lab-sound.service 2>/dev/null; }
ready() { shows && sound && vfio holders big | grep -q aplay; }
# When the display manager was last started, as systemd has it: nobody must ask again and again meanwhile.
desktop_since() {
	until [ -d /sys/fs/cgroup/system.slice/display-manager.service ]; do sleep 1; done
	until_true 120 systemctl is-active --quiet display-manager.service
	usec=$(property display-manager.service ActiveEnterTimestampMonotonic)
	printf '%d.%06d' $((usec / 1000000)) $((usec % 1000000))
}
for round in $(seq "$ROUNDS"); do
	until_true 120 ready || exit 1
	# A desktop that has only just come is still drawing; nobody starts a guest then.
	sleep 10
	begin=$(now)
	case $WAY in
	unit) domain=deaf && systemctl start vfio-guest@deaf ;;
	hooks) domain=hooked && virsh start hooked >/dev/null ;;
	esac
	fact "$round.start" $?
	fact "$round.started" "$begin $(now)"
	drivers "$round."
	fact "$round.module" "$(test -d /sys/module/bochs && echo loaded || echo unloaded)"
	sleep 5
	begin=$(now)
	virsh destroy "$domain" >/dev/null
	fact "$round.back" "$begin $(desktop_since)"
	until_true 120 over deaf
done
until_true 120 ready || exit 1
case $WAY in
unit) journalctl -b -o cat -u vfio-guest@deaf.service | grep -E 'ms of it ours' >/lab/ours ;;
hooks) cp /run/guide.log /lab/guide ;;
esac
