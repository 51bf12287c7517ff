#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs when the machine has come up, as the machine lab's own unit or, without systemd, by /etc/rc.local: the script from the
# share, what it leaves, and down.
down() { if [ -d /run/systemd/system ]; then systemctl --no-block poweroff; else poweroff; fi; }
mkdir -p /lab
modprobe -a 9pnet_virtio 9p
mountpoint -q /lab || mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 lab /lab || down
# shellcheck disable=SC1091 # in the share
. /lab/lab.sh
cd /root || exit
# The target is reached before every device has its driver.
udevadm settle --timeout=120
sh -c '. /lab/lab.sh; . /lab/script' >>/lab/output 2>&1
code=$?
dmesg -r >/lab/dmesg
[ ! -d /run/systemd/system ] || journalctl -b -o short-monotonic --no-hostname >/lab/journal
fact exit $code
# A script that restarts the machine says so.
[ -e /run/lab-stays ] || down
