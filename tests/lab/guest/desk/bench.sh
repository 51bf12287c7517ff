# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# How long a hand-over and a give-back take: ours, and by hooks as users write them. After desk.sh.
now() { cut -d' ' -f1 /proc/uptime; }
# How fast this machine is: the same is measured outside.
begin=$(now)
for _ in $(seq "$STARTS"); do /bin/true; done
fact true "$begin $(now)"
# So that the first start is like the others: libvirt asks QEMU once what it can do.
virsh domcapabilities >/dev/null 2>&1
modprobe vfio-pci
ready() { shows && vfio holders big | grep -q aplay; }
for round in 1 2 3; do
	for way in unit hooks; do
		until_true 120 ready
		begin=$(now)
		case $way in
		unit) domain=deaf && systemctl start vfio-guest@deaf ;;
		hooks) domain=hooked && virsh start hooked >/dev/null ;;
		esac
		fact $way.$round.start $?
		fact $way.$round.started "$begin $(now)"
		sleep 5
		begin=$(now)
		virsh destroy "$domain" >/dev/null
		until_true 120 systemctl is-active --quiet display-manager.service
		fact $way.$round.back "$begin $(now)"
		until_true 120 over deaf
	done
done
journalctl -b -o cat -u vfio-guest@deaf.service | grep -E 'ms of it ours' >/lab/ours
