# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# What the scripts of the guest scenarios share: how the desktop is, and whether all is back after a guest. After units.sh.
card=0000:01:00

# Whether the compositor has the card open; $compositor is its process then.
shows() {
	compositor=$(property display-manager.service MainPID)
	set -- /sys/bus/pci/devices/$card.0/drm/card*
	find "/proc/$compositor/fd" -lname "/dev/dri/${1##*/}" 2>/dev/null | grep -q .
}

# colourful NAME: takes a screenshot; whether it shows a desktop, and not a text console or one colour.
colourful() {
	colours=$(host screenshot card1v "$1")
	[ "$colours" -gt 1000 ]
}

# clean NAME GUEST [failed] [untouched | either]: waits until the guest's unit is over (and failed, if so), and leaves the
# fact clean.NAME: "yes", or what is not as it was before the guest. `untouched`: the desktop was never ended; `either`:
# it may have been.
clean() {
	clean=clean.$1 guest=$2 wanted=inactive old=$compositor new=new
	shift 2
	for word; do
		case $word in failed) wanted=failed ;; untouched) new=old ;; either) new=either ;; esac
	done
	wrong=
	until_true 240 over "$guest"
	[ "$(state "$guest")" = $wanted ] || wrong="$wrong; its unit is $(state "$guest")"
	[ $wanted = inactive ] || systemctl reset-failed "vfio-guest@$guest"
	until_true 120 shows || wrong="$wrong; no compositor on the card"
	until_true 60 colourful "$clean" || wrong="$wrong; no desktop on its display"
	case $new:$compositor in
	new:"$old") wrong="$wrong; the compositor is the old one" ;;
	old:"$old" | new:* | either:*) ;;
	*) wrong="$wrong; the compositor is another" ;;
	esac
	for had in $card.0:bochs-drm $card.1:snd_hda_intel; do
		function=${had%:*}
		[ "$(driver "$function")" = "${had##*:}" ] || wrong="$wrong; $function has $(driver "$function")"
		override=$(cat "/sys/bus/pci/devices/$function/driver_override")
		[ "$override" = "(null)" ] || wrong="$wrong; $function has override $override"
		# A function that was reset under its driver does not answer, and its driver does not notice.
		command=$(od -An -tu1 -j4 -N1 "/sys/bus/pci/devices/$function/config")
		[ $((command & 2)) -ne 0 ] || wrong="$wrong; $function does not answer"
	done
	left=$(find /run/vfio/guests /run/vfio/claims /run/vfio/journal -mindepth 1 2>/dev/null | tr '\n' ' ')
	[ -z "$left" ] || wrong="$wrong; left: $left"
	left=$(systemctl list-units --failed --plain --no-legend | tr '\n' ' ')
	[ -z "$left" ] || wrong="$wrong; failed: $left"
	fact "$clean" "${wrong:-yes}"
	[ -z "$wrong" ] || journalctl -b -o short-monotonic --no-hostname >"/lab/journal.$clean"
}

# Without a desktop there is nothing to see; the journal says why.
until_true 120 shows || exit 1
note_time desktop
fact failed.before "$(systemctl list-units --failed --plain --no-legend)"
