# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# A card that OpenRC's services have bound, and a guest that is started as one of them.

over() { ! rc-service --quiet vfio-guest.tiny status >/dev/null 2>&1; }

fact init "$(cat /proc/1/comm)"
until_true 120 rc-service --quiet vfio-boot status
fact boot $?
rc-status --all >/lab/services 2>&1
fact crashed "$(rc-status --crashed)"
drivers first.
vfio status >/lab/status 2>&1
fact status $?
vfio doctor >/lab/doctor 2>&1

# Without systemd an administrator makes the folders (docs/PACKAGING.md).
install -d -o vfio-guest -g vfio-guest /var/lib/vfio-guest/tiny /run/vfio-guest/tiny
ln -s vfio-guest /etc/init.d/vfio-guest.tiny
rc-service vfio-guest.tiny start >/lab/start 2>&1
fact start $?
until_true 120 grep -qs waiting /var/lib/vfio-guest/tiny/log
fact waits $?
drivers guest.
fact user "$(stat --format=%U "/proc/$(pgrep --newest qemu)")"
vfio guest status tiny >/lab/guest 2>&1
rc-service vfio-guest.tiny stop >/lab/stop 2>&1
fact stop $?
until_true 60 over
fact over $?
cp /var/lib/vfio-guest/tiny/log /lab/serial
cp /var/log/vfio-guest.tiny.log /lab/said
drivers ended.
fact left "$(find /run/vfio/guests /run/vfio/claims -mindepth 1 2>/dev/null | tr '\n' ' ')"
rc-service vfio-boot stop >/lab/boot-stop 2>&1
fact boot-stop $?
