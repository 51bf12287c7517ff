#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside a Debian tree that images.sh has laid out.
set -euo pipefail

. /opt/checks.sh

kernel=$(cd /lib/modules && echo ./*)
kernel=${kernel#./}
image=/boot/initrd.img-$kernel

# Unpacks the image to /tmp/image: dracut's and initramfs-tools' alike.
unpack() {
    rm -rf /tmp/image
    quiet unmkinitramfs "$image" /tmp/image
    # With microcode in front there is one folder for each part.
    [ ! -d /tmp/image/main ] || mv /tmp/image/main /tmp/main
    [ ! -d /tmp/main ] || { rm -rf /tmp/image && mv /tmp/main /tmp/image; }
}
# Everything of ours in the image, links with where they lead. dracut's hooks have moved from /usr to /var.
ours() {
    (cd /tmp/image && find . -path ./usr/share -prune -o -name '*vfio*' \( -type f -o -type l \) \
        -printf '%P %l\n' -o -path '*/vfio.conf.d/*' -printf '%P %l\n') |
        sed '/lib\/modules\//d; s/ $//; s/ / -> /; s,^var/lib/dracut/,usr/lib/dracut/,' | LC_ALL=C sort
}
expect() {
    ours >/tmp/ours
    diff -u - /tmp/ours || fail "the image does not hold what it should ($1)"
    say "$1"
}
# The programs find their libraries inside the image.
runs() {
    chroot /tmp/image /usr/lib/vfio/vfio-bind nonsense >/tmp/output 2>&1 && fail "vfio-bind took nonsense"
    [ $? -eq 64 ] || { cat /tmp/output >&2; fail "vfio-bind does not run in the image"; }
    say "vfio-bind runs inside the image"
}

# Without the kernel's modules and compression: faster, and nothing here depends on either.
printf 'COMPRESS=gzip\nMODULES=list\n' >/etc/initramfs-tools/conf.d/test
mkdir -p /etc/dracut.conf.d
printf 'compress="cat"\nno_kernel="yes"\n' >/etc/dracut.conf.d/test.conf

before=$(cksum <"$image")
quiet apt-get -q install -y --no-install-recommends /opt/vfio-suite.deb
[ "$(cksum <"$image")" = "$before" ] || fail "the installation of an unedited package rebuilt the initramfs"
[ "$(find /etc/systemd /usr/lib/systemd/system -path '*.wants/*vfio*')" = /etc/systemd/system/paths.target.wants/vfio-sync.path ] ||
    fail "the package enables something else than the unit that notices an edit"
say "installed by apt; no initramfs rebuilt, only vfio-sync.path enabled"

quiet bash /opt/units.sh /
say "$(cat /tmp/output)"

quiet bash /opt/kernel-install.sh /usr/lib/kernel/install.d/95-vfio.install
say "$(cat /tmp/output)"

bash /opt/grub.sh

quiet update-initramfs -u
unpack
expect "initramfs-tools, unedited configuration: nothing of ours is in the image" </dev/null
[ ! -e /var/lib/vfio/initramfs ] || fail "an image without us left a mark"

cat >/etc/vfio.conf <<'CONF'
[gpu big]
device = 1002:73bf
CONF
mkdir -p /etc/vfio.conf.d /usr/lib/vfio.conf.d
printf '[host]\niommu = off\n' | tee /usr/lib/vfio.conf.d/10-masked.conf >/opt/linked.conf
ln -s /dev/null /etc/vfio.conf.d/10-masked.conf
ln -s /opt/linked.conf /etc/vfio.conf.d/20-linked.conf

quiet dpkg -i /opt/vfio-suite.deb
unpack
expect "initramfs-tools, configured: an upgrade rebuilds the image, and it holds all of ours that counts" <<'LIST'
etc/vfio.conf
etc/vfio.conf.d/10-masked.conf -> /dev/null
etc/vfio.conf.d/20-linked.conf
scripts/init-top/00-vfio
usr/lib/udev/rules.d/70-vfio.rules
usr/lib/udev/vfio-udev
usr/lib/vfio/vfio-bind
LIST
runs
# An edit, as vfio-sync.service would bring it up to date; then one that does not concern the image, then a wrong one.
edit_and_sync() {
    printf '[host]\nenable = yes\niommu = off\n' >/etc/vfio.conf.d/30-host.conf
    printf '[gpu big]\ndevice = 1002:73bf\n' >/etc/vfio.conf.d/30-big.conf
    printf 'functions = %s\n' "$1" >>/etc/vfio.conf.d/30-big.conf
    quiet vfio sync
    # Of the machine that builds this it may say that it has no IOMMU.
    vfio doctor --all >/tmp/output || :
    ! sed '/^error: no IOMMU/d' /tmp/output | grep -E '^(error|warning)' || fail "the doctor finds something: $(cat /tmp/output)"
    grep -qx "ok: $image reserves the cards of the configuration (with.*" /tmp/output || fail "doctor: $(cat /tmp/output)"
    before=$(cksum <"$image")
    printf 'bar0 = 256M\n' >>/etc/vfio.conf.d/30-big.conf
    quiet vfio sync
    [ "$(cksum <"$image")" = "$before" ] || fail "an edit that does not concern the image rebuilt it"
    printf 'bind = sometimes\n' >>/etc/vfio.conf.d/30-big.conf
    ! vfio sync >/tmp/output 2>&1 || fail "a wrong file was taken"
    [ "$(cksum <"$image")" = "$before" ] || fail "a wrong file rebuilt the image"
    rm /etc/vfio.conf.d/30-*.conf
    say "$2: an edit is in the image after vfio sync; vfio doctor sees it there; nothing else rebuilds it"
}
edit_and_sync 0 initramfs-tools
quiet vfio sync
unpack
first=$(sed -n 's,^/scripts/init-top/\([^ ]*\).*,\1,p' /tmp/image/scripts/init-top/ORDER | head -n 1)
[ "$first" = 00-vfio ] || fail "init-top begins with '$first': $(cat /tmp/image/scripts/init-top/ORDER)"
grep -q '^/scripts/init-top/udev ' /tmp/image/scripts/init-top/ORDER || fail "udev's script is not in init-top"
say "init-top begins with 00-vfio: $(sed -n 's,^/scripts/init-top/\([^ ]*\).*,\1,p' /tmp/image/scripts/init-top/ORDER | paste -sd ' ')"
awk '/run_scripts \/scripts\/init-top/ { top = NR } /^load_modules/ { load = NR } /-t tmpfs .* \/run/ { run = NR }
    END { exit !(run && top && load && run < top && top < load) }' /tmp/image/init || fail "init mounts /run or loads modules elsewhere"
say "init mounts /run, runs init-top, then loads modules"


quiet dpkg -r vfio-suite
unpack
# The configuration is kept until purge, in images too where a tool copies /etc; the script and the programs are not.
expect "initramfs-tools, package removed: the image was rebuilt without us" </dev/null
[ ! -e /var/lib/vfio/initramfs ] || fail "the mark outlived the removal"

# dracut, in the place of initramfs-tools.
quiet dpkg --force-depends --purge initramfs-tools # the kernel depends on one of the two
quiet dpkg -i /opt/dracut_*.deb
unpack_dracut() {
    rm -rf /tmp/image
    mkdir /tmp/image
    (cd /tmp/image && quiet lsinitrd --unpack "${1-$image}")
}
unpack_dracut
expect "dracut without the package" </dev/null

quiet dpkg -i /opt/vfio-suite.deb
unpack_dracut
expect "dracut, configured: the installation rebuilds the image, and it holds all of ours that counts" <<'LIST'
etc/vfio.conf
etc/vfio.conf.d/10-masked.conf -> /dev/null
etc/vfio.conf.d/20-linked.conf -> ../../opt/linked.conf
usr/lib/systemd/system/sysinit.target.wants/vfio-early.service -> ../vfio-early.service
usr/lib/systemd/system/vfio-early.service
usr/lib/udev/rules.d/70-vfio.rules
usr/lib/udev/vfio-udev
usr/lib/vfio/vfio-bind
LIST
edit_and_sync 1 dracut
quiet vfio sync
unpack_dracut
for target in initrd.target initrd-switch-root.target; do
    SYSTEMD_UNIT_PATH=/tmp/image/usr/lib/systemd/system systemd-analyze verify --man=no $target 2>&1 |
        grep -E 'cycle|vfio' >&2 && fail "the image's units do not go together with vfio-early.service"
done
say "vfio-early.service has its place among the image's units"
[ -e /tmp/image/opt/linked.conf ] || fail "the file behind a linked drop-in is missing"
runs

quiet dracut --force --omit "systemd systemd-initrd dracut-systemd" /tmp/dracut.img "$kernel"
unpack_dracut /tmp/dracut.img
expect "dracut without systemd: the hook instead of the unit" <<'LIST'
etc/vfio.conf
etc/vfio.conf.d/10-masked.conf -> /dev/null
etc/vfio.conf.d/20-linked.conf -> ../../opt/linked.conf
usr/lib/dracut/hooks/cmdline/00-vfio-early.sh
usr/lib/udev/rules.d/70-vfio.rules
usr/lib/udev/vfio-udev
usr/lib/vfio/vfio-bind
LIST
(cd /tmp/image && set -- usr/lib/dracut/hooks/cmdline/*.sh && [ "${1##*/}" = 00-vfio-early.sh ]) || fail "another cmdline hook is first"
awk '/^source_hook cmdline/ { hook = NR } /systemd-udevd.* --daemon/ { udev = NR } END { exit !(hook && udev && hook < udev) }' \
    /tmp/image/init || fail "dracut's init starts udev before the cmdline hooks"
say "dracut's own init runs our hook first, and udev after it"

quiet dpkg -r vfio-suite
unpack_dracut
expect "dracut, package removed: the image was rebuilt without us" </dev/null

quiet dpkg --purge vfio-suite
for left in /etc/vfio.conf /var/lib/vfio; do
    [ ! -e $left ] || fail "purge left $left behind"
done
say "purged: nothing is left"
ended
