# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# A machine whose root is on a disk that the configuration names.

disk=0000:04:00.0
fact root "$(findmnt -n -o SOURCE /)"
for function in 0000:03:00.0 0000:03:00.1 $disk; do fact "$function" "$(driver "$function")"; done
fact override "$(cat /sys/bus/pci/devices/$disk/driver_override)"
# What is on the disk can be read and written.
echo lab >/root/written
sync
fact written "$(cat /root/written)"
for verb in check plan status groups "bind big"; do
	# shellcheck disable=SC2086 # words
	vfio $verb >"/lab/${verb%% *}" 2>&1
	fact "${verb%% *}" $?
done
fact after "$(driver $disk) $(driver 0000:03:00.0)"
systemctl list-units --failed --plain --no-legend >/lab/failed
find /run/systemd/generator* -name '*vfio*' >/lab/units
# The next boot: nobody has looked at this file.
systemctl stop vfio-sync.path
printf '[gpu disk]\ndevice = %s\nbind = boot\n' $disk >/etc/vfio.conf
sync
