#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside the tree that openrc.sh has laid out.
set -euo pipefail

. /opt/checks.sh

# What would be there in a machine that has booted.
mkdir -p /run/openrc && touch /run/openrc/softlevel
# Debian's scripts have neither sysfs nor localmount.
! rc-update --update 2>&1 | grep -a 'non existent' || fail "a script needs what is not there"
say "no script needs a service that some distribution does not have"
printf '#!/sbin/openrc-run\ndepend() { provide sysfs localmount; }\nstart() { return 0; }\nstop() { return 0; }\n' >/etc/init.d/fake-base
printf '#!/sbin/openrc-run\nstart() { date +%%s%%N >/tmp/udev-started; }\nstop() { return 0; }\n' >/etc/init.d/udev
printf '#!/sbin/openrc-run\nstart() { return 0; }\nstop() { return 0; }\n' >/etc/init.d/display-manager
chmod +x /etc/init.d/fake-base /etc/init.d/udev /etc/init.d/display-manager
rm -f /etc/init.d/sysfs /etc/init.d/localmount
# The programs, as they are called; the real ones, for what is asked of them here, are below.
mv /usr/lib/vfio/vfio-bind /usr/lib/vfio/vfio-bind.real
cat >/usr/lib/vfio/vfio-bind <<'SCRIPT'
#!/bin/sh
echo "$(date +%s%N) vfio-bind $*" >>/tmp/calls
[ "$1" != early ] || { mkdir -p /run/vfio && printf 'big\nsmall\n' >/run/vfio/active; }
[ "$*" != boot-ok ] || exec sleep 300
[ "$*" != "gpu small" ]
SCRIPT
chmod +x /usr/lib/vfio/vfio-bind
calls() { sed 's/^[0-9]* //' /tmp/calls; }

quiet rc-update add fake-base boot
quiet rc-update add udev sysinit
quiet rc-update add vfio-bind sysinit
quiet rc-update add vfio-boot default
quiet rc-update add display-manager default
quiet rc-update --update
say "rc-update takes the scripts"
quiet rc-service vfio-boot start
quiet rc-service udev start
quiet rc-service vfio-bind status
quiet rc-service vfio-boot status
[ "$(calls | head -n 3)" = "vfio-bind early
vfio-bind gpu big
vfio-bind gpu small" ] || fail "called: $(calls)"
say "vfio-boot starts vfio-bind first; every reserved card is bound, also after one that is refused"
# In OpenRC's own tree of who comes after whom.
after() {
    local number
    number=$(sed -n "s/^depinfo_\([0-9]*\)_service='$1'$/\1/p" /run/openrc/deptree)
    grep -q "^depinfo_${number}_iafter_[0-9]*='$2'$" /run/openrc/deptree || fail "$1 is not ordered after $2"
}
after udev vfio-bind
after display-manager vfio-boot
after vfio-guest vfio-boot
say "vfio-bind is before udev, vfio-boot before the display manager"
quiet rc-service vfio-boot stop
[ "$(calls | tail -n 1)" = "vfio-bind boot-ok --now" ] || fail "a clean end is not marked: $(calls)"
# What this script starts is all that runs here.
! grep -aqs boot-ok /proc/[0-9]*/cmdline || fail "the program that waits is still there"
say "vfio-boot stops: the boot is marked as good, nothing waits any more"

# The user of guests, as vfio-guest becomes it here.
[ ! -e /usr/lib/sysusers.d/vfio-suite.conf ] || fail "SYSTEMD= installs what only systemd reads"
getent group kvm >/dev/null || quiet groupadd --system kvm
grep -q . /opt/useradd.sh || fail "docs/PACKAGING.md does not say how the user is made"
quiet sh -e /opt/useradd.sh
[ "$(setpriv --reuid vfio-guest --regid vfio-guest --init-groups --no-new-privs -- id -Gn)" = "vfio-guest kvm" ] || fail "not the user's groups"
say "useradd, as docs/PACKAGING.md has it, makes the user of guests"

# Guests, with the real vfio-guest: a program as guest, no card needed to see how it begins and ends.
ln -s vfio-guest /etc/init.d/vfio-guest.demo
if rc-service vfio-guest start >/tmp/output 2>&1; then fail "vfio-guest starts without a name"; fi
grep -q 'this script is for links' /tmp/output || fail "vfio-guest does not say what it is for: $(cat /tmp/output)"
if rc-service vfio-guest.demo start >/tmp/output 2>&1; then fail "a guest that is not configured starts"; fi
grep -q demo /tmp/output || fail "nothing is said of the guest: $(cat /tmp/output)"
say "a guest that is not configured is refused, with the reason: $(grep -m 1 demo /tmp/output)"
mv /usr/lib/vfio/vfio-guest /usr/lib/vfio/vfio-guest.real
mv /usr/bin/vfio /usr/bin/vfio.real
printf '#!/bin/sh\nexit 0\n' >/usr/bin/vfio
cat >/usr/lib/vfio/vfio-guest <<'SCRIPT'
#!/bin/sh
echo "vfio-guest $*" >>/tmp/guest-calls
case $1 in
run) while [ ! -e /tmp/down ]; do sleep 0.2; done ;;
stop) touch /tmp/down ;;
esac
SCRIPT
chmod +x /usr/lib/vfio/vfio-guest /usr/bin/vfio
# Shut down from outside.
quiet rc-service vfio-guest.demo start
quiet rc-service vfio-guest.demo status
quiet rc-service vfio-guest.demo stop
! rc-service vfio-guest.demo status >/tmp/output 2>&1 || fail "a guest that was stopped counts as started: $(cat /tmp/output)"
[ "$(cat /tmp/guest-calls)" = "vfio-guest run demo
vfio-guest stop demo
vfio-guest give-back demo
vfio-guest give-back demo" ] || fail "called: $(cat /tmp/guest-calls)"
# Ended by itself.
rm /tmp/down /tmp/guest-calls
quiet rc-service vfio-guest.demo start
touch /tmp/down
for _ in $(seq 50); do grep -qs give-back /tmp/guest-calls && break; sleep 0.2; done
grep -qx 'vfio-guest give-back demo' /tmp/guest-calls || fail "a guest that ends by itself gives nothing back"
say "a guest's cards are given back when it is stopped, and when it ends by itself"
ended
