# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# What all scripts share that start guests.

# property UNIT NAME: what systemd says of a unit.
property() { systemctl show --property="$2" --value "$1"; }
# The state of a guest's unit.
state() { property "vfio-guest@$1" ActiveState; }
runs() { [ "$(state "$1")" = active ]; }
over() { case $(state "$1") in inactive | failed) ;; *) return 1 ;; esac; }

# note_time NAME: when something was, in seconds since the boot.
note_time() { fact "time.$1" "$(cut -d' ' -f1 /proc/uptime)"; }
