#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside a Debian tree that roots.sh has laid out: the previous package is installed and configured, this one takes
# its place, a later one too; it is removed and purged, and then nothing has changed.
set -euo pipefail

. /opt/checks.sh
image=$(echo /boot/initrd.img-*)
# Everything in the image but what tells when it was built.
inside() {
    rm -rf /tmp/image
    quiet unmkinitramfs "$image" /tmp/image
    (cd /tmp/image && find . -type f ! -name 'ld.so.cache' -exec sha256sum {} + && find . ! -type f -printf '%y %m %p %l\n') | LC_ALL=C sort
}
install() { quiet apt-get -q install -y --no-install-recommends --allow-downgrades "$@"; }

printf 'COMPRESS=gzip\nMODULES=list\n' >/etc/initramfs-tools/conf.d/test
quiet update-initramfs -u
inside >/tmp/image.before
bash /opt/snapshot.sh / >/tmp/before

install /opt/previous.deb
vfio check >/tmp/output || fail "vfio check: $(cat /tmp/output)"
say "the previous commit's package is installed by apt, and vfio runs"
install --reinstall /opt/this.deb
quiet sh /opt/smoke
say "this commit's package takes its place; what autopkgtest runs first passes"
# A system user that nobody can log in as, whose folder is made when a guest starts.
user=$(getent passwd vfio-guest) || fail "the package has not made the user of guests"
[[ $user =~ ^vfio-guest:[^:]*:([0-9]+):([0-9]+):[^:]*:/var/lib/vfio-guest:/usr/sbin/nologin$ && ${BASH_REMATCH[1]} -lt 1000 && ${BASH_REMATCH[1]} -gt 0 ]] ||
    fail "the user of guests: $user"
[ "$(getent group vfio-guest | cut -d : -f 3)" = "${BASH_REMATCH[2]}" ] || fail "the user's group is another: $user"
[[ $(getent shadow vfio-guest) =~ ^vfio-guest:[!*]+: ]] || fail "the user of guests has a password"
say "the user of guests is there: $user"
printf '# edited\n[gpu big]\ndevice = 1002:73bf\n' >>/etc/vfio.conf
sum=$(cksum </etc/vfio.conf)
quiet update-initramfs -u
[ -e /var/lib/vfio/initramfs ] || fail "an image was built with a card, and there is no mark"

install --reinstall /opt/this.deb
[ "$(cksum </etc/vfio.conf)" = "$sum" ] || fail "the upgrade changed an edited file"
grep -q 'Generating /boot' /tmp/output || fail "the upgrade built no image: $(cat /tmp/output)"
say "installed again: the edited file is kept, the image is built anew"
install -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold /opt/later.deb
[ "$(cksum </etc/vfio.conf)" = "$sum" ] || fail "the upgrade to a package with another example changed the edited file"
[ -e /etc/vfio.conf.dpkg-dist ] || fail "the new example is not laid beside the edited file"
say "upgrade to one with another example: it is laid beside the edited file"

quiet dpkg -r vfio-suite
[ "$(cksum </etc/vfio.conf)" = "$sum" ] || fail "removal changed the configuration"
# dpkg keeps its own records of the package until it is purged; /run is gone at the next boot.
find / -xdev \( -path /opt -o -path /tmp -o -path /etc -o -path /run -o -path /var/lib/dpkg -o -path '/lib/modules' -o -path /usr/lib/modules \
    -o -path '/var/lib/systemd/deb-systemd-helper-enabled' -o -path '/usr/share/doc' \) -prune -o -iname '*vfio*' -print >/tmp/left
[ ! -s /tmp/left ] || fail "removal left: $(cat /tmp/left)"
say "removed: the configuration and the user of guests are kept, all else is gone"
[ "$(getent passwd vfio-guest)" = "$user" ] || fail "the user of guests, whose files there may be, is gone or another"
# The maintainer scripts can be run again.
quiet dpkg --purge vfio-suite
quiet update-initramfs -u
bash /opt/snapshot.sh / >/tmp/after
diff -u /tmp/before /tmp/after || fail "/etc, /boot, /usr or /var is not as it was"
inside >/tmp/image.after
diff -u /tmp/image.before /tmp/image.after || fail "the image is not as it was"
say "purged: $(grep -vc '^sum' /tmp/before) files and folders of /etc, /boot, /usr and /var are as before the installation"
