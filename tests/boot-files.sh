#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Boot files on file systems that cannot be written: full, read-only, gone between two files. One sentence each time, and
# nothing is half done. As root: the file systems are mounted in a namespace of their own. Usage: boot-files.sh VFIO
set -eu

vfio=$(realpath "$1")
if [ "${2:-}" != inside ]; then
    exec unshare --mount --propagation private "$0" "$vfio" inside
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/vfio-boot-files.XXXXXX")
trap 'umount -q -R "$work/boot" 2>/dev/null; rm -rf "$work"' EXIT
checks=0
entries=$work/boot/loader/entries

fail() {
    echo "boot-files: $case: $*" >&2
    exit 1
}

# A machine with systemd-boot, its entries on a file system of their own. fresh CASE OPTIONS
fresh() {
    case=$1
    umount -q -R "$work/boot" 2>/dev/null || true
    rm -rf "${work:?}"/{etc,var,run,proc,boot}
    mkdir -p "$work"/{etc/kernel,var/lib,run,proc/self,boot,usr/lib/modules/6.12.0}
    mount -t tmpfs -o "$2" lab "$work/boot"
    mkdir -p "$entries" "$work/boot/EFI/systemd"
    printf 'MZ#### LoaderInfo: systemd-boot 257 ####' >"$work/boot/EFI/systemd/systemd-bootx64.efi"
    for name in one two three; do
        printf 'title %s\nlinux /vmlinuz-%s\noptions root=/dev/vda1 ro quiet\n' "$name" "$name" >"$entries/$name.conf"
    done
    echo 'root=/dev/vda1 ro quiet' >"$work/etc/kernel/cmdline"
    printf '[host]\nkernel-parameters = lab.word=1\n' >"$work/etc/vfio.conf"
    before=$(state)
}

# Everything that boots.
state() {
    (cd "$work" && find boot etc/kernel -type f -not -name 'fill*' | LC_ALL=C sort | xargs sha256sum)
}

# It says one sentence with these words, and all is as it was. refused WORDS
refused() {
    local code=0
    "$vfio" --root "$work" cmdline apply >"$work/output" 2>"$work/errors" || code=$?
    [ "$code" -eq 2 ] || fail "it ended with $code: $(cat "$work/errors")"
    [ "$(wc -l <"$work/errors")" -eq 1 ] || fail "not one sentence: $(cat "$work/errors")"
    grep -q -- "$1" "$work/errors" || fail "it does not say '$1': $(cat "$work/errors")"
    [ "$(state)" = "$before" ] || fail "something was changed"
    [ ! -e "$work/var/lib/vfio/cmdline" ] || fail "something was recorded"
    checks=$((checks + 1))
}

fresh "a file system that can be written" size=1m
"$vfio" --root "$work" cmdline apply >"$work/output" || fail "apply"
for name in one two three; do
    grep -q '^options root=/dev/vda1 ro quiet lab.word=1$' "$entries/$name.conf" || fail "$name.conf: $(cat "$entries/$name.conf")"
done
"$vfio" --root "$work" cmdline revert >"$work/output" || fail "revert"
[ "$(state)" = "$before" ] || fail "the revert is not exact"
checks=$((checks + 1))

fresh "a read-only /boot" size=1m
mount -o remount,ro "$work/boot"
refused "read-only"

fresh "a full /boot" size=64k
cat /dev/zero >"$work/boot/fill" 2>/dev/null || true
refused "no space left"

# There is no space for a second copy of any file.
fresh "a /boot without room for another file" size=1m,nr_inodes=10
: >"$work/boot/fill"
! touch "$work/boot/fill2" 2>/dev/null || fail "there is room"
refused "no space left"

# A user sees that there is something not to be seen, and is not told to write words into a loader by hand.
fresh "an EFI system partition for root alone" size=1m,mode=0700
cp "$vfio" "$work/vfio"
chmod 755 "$work"
code=0
setpriv --reuid=65534 --regid=65534 --clear-groups "$work/vfio" --root "$work" cmdline status >"$work/output" 2>&1 || code=$?
[ "$code" -eq 1 ] || fail "it ended with $code: $(cat "$work/output")"
grep -q '^note: /boot cannot be read by you' "$work/output" || fail "it does not say so: $(cat "$work/output")"
! grep -q 'by hand' "$work/output" || fail "it says to add words by hand: $(cat "$work/output")"
checks=$((checks + 1))

echo "boot-files: $checks checks passed"
