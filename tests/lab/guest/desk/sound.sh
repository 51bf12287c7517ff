#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a user has beside the session: a service of the user's own manager that plays, for ever, on the card's audio.
set -- ""
until [ -w "/dev/snd/controlC${1##*card}" ]; do
	sleep 0.5
	set -- /sys/bus/pci/devices/0000:01:00.1/sound/card*
done
exec aplay -q -D "hw:${1##*card}" -f S16_LE -r 48000 -c 2 /dev/zero
