# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# A report of this machine, and what looks at it instead of at the machine: both say the same.

vfio report >/lab/report 2>/lab/report.said
fact report $?
for verb in groups cards plan 'doctor --json'; do
	name=${verb%% *}
	# shellcheck disable=SC2086 # words
	vfio $verb >"/lab/real.$name" 2>&1
	fact "real.$name" $?
	# shellcheck disable=SC2086
	vfio --root /lab/report $verb >"/lab/replayed.$name" 2>&1
	fact "replayed.$name" $?
done
