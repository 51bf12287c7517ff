#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What /etc/rc.local starts when OpenRC has started everything else: the script from the share, what it leaves, and down.
mkdir -p /lab
modprobe -a 9pnet_virtio 9p
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 lab /lab || poweroff
# shellcheck disable=SC1091 # in the share
. /lab/lab.sh
cd /root || exit
udevadm settle --timeout=120
sh -c '. /lab/lab.sh; . /lab/script' >>/lab/output 2>&1
code=$?
dmesg -r >/lab/dmesg
fact exit $code
poweroff
