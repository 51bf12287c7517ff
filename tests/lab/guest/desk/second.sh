# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh disable=SC2154 # $compositor is set in desk.sh
# A second card that nobody holds, with the default hand-over: its guest starts, and the session on the first card lives on.
# After desk.sh; the scenario fills in the configuration of the second card and its guest.
cat >>/etc/vfio.conf <<'END'
@SECTIONS@
END
sessions() { loginctl list-sessions --no-legend | awk '{print $1}' | sort | tr '\n' ' '; }
before=$(sessions)
fact sessions.before "$before"
old=$compositor
vfio guest plan aside >/lab/plan 2>&1
fact plan $?
vfio holders second >/lab/holders 2>&1
systemctl start vfio-guest@aside
fact start $?
drivers during.
until_true 60 grep -q waiting /var/lib/vfio-guest/aside/log
cp /var/lib/vfio-guest/aside/log /lab/serial
shows && [ "$compositor" = "$old" ] && fact during.compositor same
colourful during && fact during.desktop yes
fact sessions.during "$(sessions)"
systemctl stop vfio-guest@aside
fact stop $?
until_true 120 over aside
drivers after.
shows && [ "$compositor" = "$old" ] && fact after.compositor same
fact sessions.after "$(sessions)"
fact failed "$(systemctl list-units --failed --plain --no-legend)"
fact left "$(find /run/vfio/guests /run/vfio/claims /run/vfio/journal -mindepth 1 2>/dev/null | tr '\n' ' ')"
