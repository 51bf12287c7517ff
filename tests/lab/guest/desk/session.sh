#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The desktop session of the machine: a compositor on the display of the card 0000:01:00, and a program that stays when the
# compositor ends, as programs of real sessions do: it watches the card's mixer.
set -- /sys/bus/pci/devices/0000:01:00.0/drm/card*
display=${1##*/}
(
	set -- ""
	until [ -w "/dev/snd/controlC${1##*card}" ]; do
		sleep 0.5
		set -- /sys/bus/pci/devices/0000:01:00.1/sound/card*
	done
	exec alsactl monitor "hw:${1##*card}"
) &
exec weston --backend=drm --drm-device="$display" --renderer=pixman --continue-without-input --config=/usr/lib/lab/weston.ini
