#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The first process of the micro lab: mounts what must be, runs the script, goes down.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
modprobe -a virtio_pci 9pnet_virtio 9p
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 lab /lab || poweroff -f
cd /root || exit
# shellcheck disable=SC1091 # in the share
. /lab/lab.sh
sh -c '. /lab/lab.sh; . /lab/script' >/lab/output 2>&1
code=$?
dmesg -r >/lab/dmesg
fact exit $code
umount /lab
poweroff -f
