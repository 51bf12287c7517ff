# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# Guests of libvirt, started by virsh and by the unit, and each of their ends. After hand-over.sh.
# virsh starts it, our hook hands over, the unit comes by itself; the guest powers itself off.
note_time brief.asked
virsh start brief >/lab/virsh.brief 2>&1
fact start.brief $?
note_time brief.runs
until_true 60 runs brief
fact supervised "$(state brief)"
drivers brief.
until_true 120 over brief
serial brief >/lab/serial.brief
clean brief brief
note_time brief.back
fact descriptors.libvirtd.after "$(descriptors "$(pidof libvirtd)")"
cp /run/foreign-hooks /lab/hooks

# libvirt's daemon is another one meanwhile; virsh switches the guest off.
systemctl start vfio-guest@deaf
fact start.deaf $?
daemon=$(pidof libvirtd)
systemctl restart libvirtd.service
[ "$daemon" != "$(pidof libvirtd)" ]
fact restarted $?
fact deaf.after "$(state deaf)"
drivers deaf.
# Until the new daemon has found its guest, it ends it just so, but says that it did not run.
until_true 60 sh -c 'virsh domcontrol deaf | grep -q ok'
virsh destroy deaf >/lab/virsh.deaf 2>&1
fact destroy $?
clean deaf deaf

# QEMU is killed while only the socket of libvirt's daemon is there.
systemctl start vfio-guest@deaf
fact start.asleep $?
systemctl stop libvirtd.service
fact asleep "$(systemctl is-active libvirtd.service libvirtd.socket | tr '\n' ' ')"
kill -9 "$(cat /run/libvirt/qemu/deaf.pid)"
clean asleep deaf

# Its kernel panics.
systemctl start vfio-guest@ill
fact start.ill $?
until_true 120 over ill
serial ill >/lab/serial.ill
clean ill ill

# The machine is powered off while a guest runs: what is left of it is told by a journal that goes on to the end.
systemctl start vfio-guest@demo
fact start.last $?
until_true 60 said demo waiting
systemd-run --quiet --unit=lab-last --property=DefaultDependencies=no sh -c '
	journalctl --no-hostname -f -n 0 -o short-monotonic >/lab/journal.down &
	tail -n +1 -F /var/log/libvirt/qemu/demo-serial.log >/lab/serial.down &
	wait'
until_true 30 test -s /lab/serial.down
