# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
# A real desktop on the card: who holds it; a guest gets it while the session lives on, as far as the compositor lets it; then by
# ending the session. After units.sh; the scenario fills in how its session comes up, and how it shows.
card=0000:01:00
program=@PROGRAM@
owner=@OWNER@
patience=@PATIENCE@

# on_card NAME USER: a process of that name, and of that user unless that is empty, has the card open; $holder is its number then.
on_card() {
	set -- "$1" "$2" /sys/bus/pci/devices/$card.0/drm/card*
	for holder in $(pidof "$1"); do
		[ -z "$2" ] || [ "$(stat -c %U "/proc/$holder")" = "$2" ] || continue
		! find "/proc/$holder/fd" -lname "/dev/dri/${3##*/}" 2>/dev/null | grep -q . || return 0
	done
	return 1
}
# pictures NAME: what both displays show.
pictures() {
	host screenshot hostvga "$1.host" >/dev/null
	colours=$(host screenshot card1v "$1")
	fact "colours.$1" "$colours"
}
# up NAME: the desktop is on the card.
up() { on_card $program "$owner" && pictures "$1" && [ "$colours" -gt 100 ]; }
as_user() { setpriv --reuid=desk --regid=desk --init-groups env XDG_RUNTIME_DIR=/run/user/1000 "$@"; }
user_units() { as_user systemctl --user list-units --type=service --state=active --plain --no-legend | awk '{ print $1 }' | sort; }
sounds() { user_units | grep -q lab-play && vfio holders big | grep -q pipewire; }
sessions() { loginctl list-sessions --no-legend >"/lab/sessions.$1"; }
seconds() { cut -d' ' -f1 /proc/uptime; }
# took NAME SINCE
took() { fact "seconds.$1" "$(echo "$(seconds) $2" | awk '{ printf "%.1f", $1 - $2 }')"; }
waits() { grep -qs waiting "/var/lib/vfio-guest/$1/log"; }
# begin GUEST: starts a guest, and leaves what is to be seen of it.
begin() {
	began=$(seconds)
	systemctl start "vfio-guest@$1"
	code=$?
	took "$1.start" "$began"
	fact "start.$1" $code
	drivers "$1."
	[ $code != 0 ] || until_true 60 waits "$1"
	vfio guest status "$1" >"/lab/status.$1" 2>&1
	pictures "$1"
	sessions "$1"
	return $code
}
# finish GUEST: ends it.
finish() {
	began=$(seconds)
	systemctl stop "vfio-guest@$1"
	until_true 240 over "$1"
	fact "state.$1" "$(state "$1")"
	took "$1.over" "$began"
	systemctl reset-failed "vfio-guest@$1" 2>/dev/null
}
# all_back NAME: everything is with the host.
all_back() {
	drivers "$1."
	fact "left.$1" "$(find /run/vfio/guests /run/vfio/claims /run/vfio/journal -mindepth 1 2>/dev/null | tr '\n' ' ')"
	fact "failed.$1" "$(systemctl list-units --failed --plain --no-legend)"
}
log_in() {
	@LOG_IN@
}
# drawn NUMBER: the card shows more colours than that, or than one.
drawn() { pictures after && [ "$colours" -gt "${1:-1}" ]; }
greets() {
	@GREETS@
}

began=$(seconds)
log_in
until_true $patience up before || {
	loginctl list-sessions
	vfio holders big
	exit 1
}
took up "$began"
until_true 120 sounds
fact sounds $?
sessions before
user_units >/lab/user-units.before
vfio holders big >/lab/holders 2>&1
vfio holders big --json >/lab/holders.json 2>&1
for way in auto hot steal; do
	vfio guest plan $way >/lab/plan.$way 2>&1
	fact plan.$way $?
done

# The session lives on, or the start is refused.
old=$holder
if begin hot; then
	finish hot
else
	systemctl reset-failed vfio-guest@hot
fi
if [ -e "/proc/$old" ]; then fact program.hot same; else fact program.hot gone; fi
until_true 60 up after-hot
fact back.hot $?
user_units >/lab/user-units.hot
all_back after-hot
journalctl -b -o short-monotonic --no-hostname >/lab/journal.hot
if ! up before-steal; then
	log_in
	until_true $patience up before-steal || exit 1
fi

# The session ends; afterwards there is a login screen.
@LOGIN_SCREEN@
begin steal
fact during.manager "$(systemctl is-active user@1000.service)"
finish steal
until_true $patience greets
fact greets $?
took steal.back "$began"
sessions after
all_back after
fact manager "$(property display-manager.service ActiveState)"

# Whoever logs in again has everything again.
log_in
until_true $patience up again
fact back.steal $?
until_true 120 sounds
fact sounds.again $?
user_units >/lab/user-units.after
