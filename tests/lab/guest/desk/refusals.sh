# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh disable=SC2154 # what desk.sh sets
# Starts that do not come about: refused before anything is touched, or failed at a step, and all of it undone. After
# desk.sh.

# failed NAME GUEST CODE: how a start ended that was to fail, and what there is to read about it.
failed() {
	fact "start.$1" "$3"
	vfio guest status "$2" >"/lab/why.$1" 2>&1
	systemctl status --no-pager --full --lines=30 "vfio-guest@$2" >"/lab/unit.$1" 2>&1
}

# Before vfio_pci is loaded for the first time: it cannot be.
fact vfio_pci "$(lsmod | grep -c '^vfio_pci ')"
echo 'install vfio_pci /bin/false' >/etc/modprobe.d/lab.conf
systemctl start vfio-guest@plain
failed module plain $?
clean module plain failed
rm /etc/modprobe.d/lab.conf

# A service of the system has the card open: known before anything is touched.
set -- "/sys/bus/pci/devices/$card.0"/drm/card*
# shellcheck disable=SC2016 # for the shell in the unit
systemd-run --quiet --uid=desk --unit=stubborn sh -c \
	'trap "" TERM; exec 3<>"$1"; while :; do sleep 9 3>&-; done' sh "/dev/dri/${1##*/}"
until_true 30 sh -c 'vfio holders big | grep -q stubborn.service'
fact holder "$(property stubborn.service MainPID)"
dmesg --clear
systemctl start vfio-guest@plain
failed holder plain $?
dmesg -r >/lab/dmesg.holder
fact holder.still "$(property stubborn.service ActiveState)"
clean holder plain failed untouched
systemctl kill --signal=KILL stubborn.service
until_true 30 sh -c '! systemctl is-active --quiet stubborn.service'
systemctl reset-failed stubborn.service

# A command of the user's fails, before the desktop is touched.
systemctl start vfio-guest@early
failed before early $?
clean before early failed untouched

# A file that the domain needs is not there.
systemctl start vfio-guest@lame
failed disk lame $?
clean disk lame failed untouched

# QEMU fails when it has the card already.
systemctl start vfio-guest@wrong
failed command wrong $?
clean command wrong failed

# QEMU is killed before it has the card.
systemctl --no-block start vfio-guest@plain
until_true 120 test -s /run/vfio/guests/plain/program
kill -9 "$(cut -d' ' -f1 /run/vfio/guests/plain/program)"
until_true 120 over plain
failed killed plain "$(property vfio-guest@plain ExecMainStatus)"
clean killed plain failed

# The display manager cannot be stopped.
mkdir -p /run/systemd/system/display-manager.service.d
printf '[Unit]\nRefuseManualStop=yes\n' >/run/systemd/system/display-manager.service.d/lab.conf
systemctl daemon-reload
systemctl start vfio-guest@plain
failed manager plain $?
rm -r /run/systemd/system/display-manager.service.d
systemctl daemon-reload
clean manager plain failed

# A hook of somebody else's refuses when ours has handed over.
touch /run/refuse-60-foreign
virsh start brief >/lab/unit.hook 2>&1
fact start.hook $?
vfio guest status brief >/lab/why.hook 2>&1
rm /run/refuse-60-foreign
cp /run/foreign-hooks /lab/hooks
clean hook brief
