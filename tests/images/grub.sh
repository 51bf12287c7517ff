#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs inside a Debian tree with our package: the suite's real update-grub, whose menu decides. Where disks are, which is asked of a
# machine, a stand-in for grub-probe says.
set -eu

. /opt/checks.sh

version=$(dpkg-query -W -f '${Version}' grub-common)
menu=/boot/grub/grub.cfg
cp /etc/vfio.conf /opt/unedited.conf
drop_ins=/etc/default/grub.d

cat >/usr/sbin/grub-probe <<'PROBE'
#!/bin/sh
for option; do
    case $option in
    --target=device) echo /dev/vda1 ;;
    --target=fs_uuid) echo 6c616200-0000-4000-8000-000000000002 ;;
    --target=partuuid) exit 1 ;;
    --target=fs) echo ext2 ;;
    --target=partmap) echo gpt ;;
    --target=*) echo ;;
    esac
done
PROBE
printf '#!/bin/sh\ntrue\n' >/usr/bin/os-prober

# The command lines of entries that are not for recovery, and not ours without VFIO.
lines() {
    sed -n 's/^[[:space:]]*linux[[:space:]]*[^[:space:]]* root=[^[:space:]]* ro *//p' $menu | grep -v -e single -e recovery -e vfio=off
}
state() {
    (cd / && cksum etc/default/grub etc/default/grub.d/* etc/grub.d/* boot/grub/grub.cfg)
}
# machine THEIRS NAME: a machine with a drop-in of somebody else's.
machine() {
    rm -rf /etc/vfio.conf.d $drop_ins /boot/grub /etc/grub.d/41_vfio
    mkdir -p $drop_ins /boot/grub
    printf 'GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="console=ttyS0"\n' >/etc/default/grub
    printf '%b' "$1" >"$drop_ins/$2"
    printf '[host]\niommu = on\nkernel-parameters = lab.word=1 lab.list="a b"\nrescue-entry = yes\n' >/etc/vfio.conf
    update-grub >/tmp/output 2>&1 || :
}

# shellcheck disable=SC2016 # their files
for theirs in '# nothing\n' 'GRUB_CMDLINE_LINUX_DEFAULT="splash $GRUB_CMDLINE_LINUX_DEFAULT"' \
    'if [ -e /etc/default/grub ]; then\n  GRUB_CMDLINE_LINUX_DEFAULT="$(echo splash)"\nfi\n' \
    'GRUB_CMDLINE_LINUX_DEFAULT="${GRUB_CMDLINE_LINUX_DEFAULT:+$GRUB_CMDLINE_LINUX_DEFAULT }\\$tuned_params"\n'; do
    machine "$theirs" 50-theirs.cfg
    [ "$(lines | wc -l)" -ge 2 ] || fail "update-grub made no menu: $(cat /tmp/output)"
    before=$(state) old=$(lines)
    quiet vfio cmdline apply
    new=$(lines)
    ours=$(vfio cmdline status | sed -n 's/^  \([a-z_.]*=[^ ]*\).*/\1/p' | grep -v '^lab.list' | tr '\n' ' ')
    want=$(echo "$old" | sed "s|\$| ${ours}lab.list=\"a b\"|" | tr -s ' ')
    [ "$(echo "$new" | tr -s ' ')" = "$want" ] || fail "with $theirs: '$new' and not '$want'"
    quiet grub-script-check $menu
    [ "$(grep -c "'vfio-off'" $menu)" = 1 ] || fail "with $theirs: no entry without VFIO"
    quiet vfio cmdline apply
    grep -q 'nothing to do' /tmp/output || fail "with $theirs: a second apply did something: $(cat /tmp/output)"
    # As a kernel's package does.
    quiet update-grub
    [ "$(lines)" = "$new" ] || fail "with $theirs: the next update-grub makes another menu"
    quiet vfio cmdline revert
    [ "$(state)" = "$before" ] || fail "with $theirs: not as before after a revert"
done
say "update-grub ($version): every entry gets the old line and ours, one is without VFIO, and a revert leaves every byte as before"

machine 'GRUB_CMDLINE_LINUX_DEFAULT=splash\n' zz-theirs.cfg
quiet vfio cmdline apply
[ -e $drop_ins/zzz-vfio.cfg ] || [ -e $drop_ins/zz-vfio.cfg ] || fail "ours is not behind: $(ls $drop_ins)"
[ "$(lines | grep -c 'splash.*lab.word=1')" = "$(lines | wc -l)" ] || fail "ours did not arrive: $(lines)"
quiet vfio cmdline revert
say "update-grub ($version): ours comes behind a drop-in that sets the variable anew"

for theirs in '[ -e /nonesuch ] && X=1\n' 'exit 0\n'; do
    machine '# nothing\n' 50-theirs.cfg
    printf '%b' "$theirs" >$drop_ins/50-theirs.cfg
    before=$(state)
    ! vfio cmdline apply >/tmp/output 2>&1 || fail "with $theirs an apply went well: $(cat /tmp/output)"
    grep -q 'everything is as it was' /tmp/output || fail "with $theirs: $(cat /tmp/output)"
    [ "$(state)" = "$before" ] || fail "with $theirs: not as before after an apply that failed"
done
say "update-grub ($version): a drop-in that breaks it, or ends it without a menu: the apply fails, and everything is as it was"

rm -rf $drop_ins /boot/grub /etc/default/grub /run/vfio
mv /opt/unedited.conf /etc/vfio.conf
[ ! -e /var/lib/vfio/cmdline ] || fail "a record is left: $(cat /var/lib/vfio/cmdline)"
ended
