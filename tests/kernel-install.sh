#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The real kernel-install, whatever version is installed, with our plugin, in temporary roots: every layout, boot counters, entry
# tokens, command lines from a file and from the running kernel. Nothing outside the temporary directory is touched.
# Usage: kernel-install.sh PLUGIN
set -eu

plugin=$(realpath "$1")
version=$(kernel-install --version 2>/dev/null | awk 'NR == 1 { print int($2) }' || true)
work=$(mktemp -d "${TMPDIR:-/tmp}/vfio-kernel-install.XXXXXX")
trap 'rm -rf "$work"' EXIT
checks=0
plugins=/usr/lib/kernel/install.d
release=6.12.0-lab
id=00112233445566778899aabbccddeeff

fail() {
    echo "kernel-install $version: $case: $*" >&2
    find "$root/boot" -type f -name '*.conf*' -exec sh -c 'echo "$1:"; cat "$1"' - {} \; >&2
    cat "$root/printed" >&2
    exit 1
}
ok() {
    checks=$((checks + 1))
}

# A fresh machine. fresh CASE LAYOUT
fresh() {
    case=$1 root=$work/$checks-root
    mkdir -p "$root"/{etc/kernel,boot/loader/entries,proc,usr/lib/kernel,lib/modules/$release} "$root/plugins"
    printf 'layout=%s\ninitrd_generator=none\n' "$2" >"$root/etc/kernel/install.conf"
    echo 'root=/dev/vda1 ro quiet' >"$root/etc/kernel/cmdline"
    # The running kernel of this machine, with words that only this boot was given.
    echo 'BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro vfio=off' >"$root/proc/cmdline"
    printf '[host]\nkernel-parameters = %s\n' "lab.word=1" >"$root/etc/vfio.conf"
    image=$root/vmlinuz
    # The layout of unified images takes no other name.
    [ "$2" != uki ] || image=$root/vmlinuz.efi
    echo kernel >"$image"
    cp "$plugin" "$root/plugins/95-vfio.install"
    : >"$root/printed"
}

# What a distribution with another way of writing entries has: 90-other.install of our own.
fedora() {
    cat >"$root/plugins/90-other.install" <<'EOF'
#!/bin/sh
[ "$1" = add ] || exit 0
{
    echo "title Fedora Linux ($2)"
    echo "version $2"
    echo "linux /vmlinuz-$2"
    echo "options \$kernelopts $(cat "$KERNEL_INSTALL_CONF_ROOT/cmdline") \$tuned_params"
    echo "grub_class fedora"
} >"$KERNEL_INSTALL_BOOT_ROOT/loader/entries/$KERNEL_INSTALL_MACHINE_ID-$2.conf"
EOF
    chmod +x "$root/plugins/90-other.install"
}

# What EndeavourOS has beside systemd's (eos-systemd-boot, 90-ucode-loaderentry-fallback.install): an entry more.
fallback() {
    cat >"$root/plugins/90-other.install" <<'EOF'
#!/bin/sh
[ "$1" = add ] || exit 0
{
    echo "title      Linux"
    echo "version    $2-fallback"
    echo "options    $(cat "$KERNEL_INSTALL_CONF_ROOT/cmdline")"
    echo "linux      /$2/linux"
} >"$KERNEL_INSTALL_BOOT_ROOT/loader/entries/$KERNEL_INSTALL_MACHINE_ID-$2-fallback.conf"
EOF
    chmod +x "$root/plugins/90-other.install"
}

# kernel-install with these plugins. install_kernel VERB WORDS...
install_kernel() {
    local list="" file
    for file in 90-loaderentry.install 90-uki-copy.install; do
        [ ! -e "$plugins/$file" ] || list="$list $plugins/$file"
    done
    [ ! -e "$root/plugins/90-other.install" ] || list="$list $root/plugins/90-other.install"
    list="$list $root/plugins/95-vfio.install"
    env -i PATH="$PATH" HOME="$work" VFIO_ROOT="$root" KERNEL_INSTALL_CONF_ROOT="$root/etc/kernel" \
        KERNEL_INSTALL_PLUGINS="$list" BOOT_ROOT="$root/boot" MACHINE_ID="$id" ${verbose:+KERNEL_INSTALL_VERBOSE=1} \
        kernel-install ${verbose:+-v} "$@" >"$root/printed" 2>&1 || fail "kernel-install $* failed"
}

add() {
    install_kernel add "$release" "$image"
}

# An entry. entry NAME
entry() {
    local file=$root/boot/loader/entries/$1
    [ -e "$file" ] || fail "no entry $1"
    echo "$file"
}

# The words of an entry are these, once each. options FILE WORDS...
options() {
    local file=$1 have
    shift
    have=$(sed -n 's/^options *//p' "$file" | tr -s ' ' | sed 's/ $//')
    [ "$have" = "$*" ] || fail "options are '$have', not '$*'"
    ok
}

silent() {
    ! grep -q vfio "$root/printed" || fail "it is not silent"
    ok
}

wanted() {
    printf '[host]\nkernel-parameters = %s\n' "$1" >"$root/etc/vfio.conf"
}

verbose=""
fresh "type 1" bls
add
file=$(entry "$id-$release.conf")
options "$file" root=/dev/vda1 ro quiet "systemd.machine_id=$id" lab.word=1
silent
grep -q '"lab.word=1"' "$root/var/lib/vfio/cmdline" || fail "the record lacks the word"
before=$(stat -c %a "$file")
add
options "$file" root=/dev/vda1 ro quiet "systemd.machine_id=$id" lab.word=1
[ "$(stat -c %a "$file")" = "$before" ] || fail "the mode changed"
wanted lab.other=2
add
options "$file" root=/dev/vda1 ro quiet "systemd.machine_id=$id" lab.other=2
wanted ""
add
options "$file" root=/dev/vda1 ro quiet "systemd.machine_id=$id"
install_kernel remove "$release"
[ ! -e "$file" ] || fail "the entry is still there"
ok

case="a user's own word"
wanted "iommu=pt lab.word=1"
echo 'root=/dev/vda1 iommu=pt ro' >"$root/etc/kernel/cmdline"
add
options "$file" root=/dev/vda1 iommu=pt ro "systemd.machine_id=$id" lab.word=1
wanted ""
add
options "$file" root=/dev/vda1 iommu=pt ro "systemd.machine_id=$id"

fresh "boot counters" bls
echo 3 >"$root/etc/kernel/tries"
add
options "$(entry "$id-$release+3.conf")" root=/dev/vda1 ro quiet "systemd.machine_id=$id" lab.word=1

fresh "an entry token" bls
echo my-linux >"$root/etc/kernel/entry-token"
add
options "$(entry "my-linux-$release.conf")" root=/dev/vda1 ro quiet lab.word=1

fresh "words that come along from the source" bls
# Ours in the file (the record says so), and not wanted any more.
echo 'root=/dev/vda1 ro lab.old=1' >"$root/etc/kernel/cmdline"
mkdir -p "$root/var/lib/vfio"
printf '{"version":1,"places":{"etc/kernel/cmdline":[{"key":"","words":["lab.old=1"]}]}}' >"$root/var/lib/vfio/cmdline"
add
options "$(entry "$id-$release.conf")" root=/dev/vda1 ro "systemd.machine_id=$id" lab.word=1

fresh "a second entry with another image" bls
fallback
echo 'root=/dev/vda1 ro lab.word=1' >"$root/etc/kernel/cmdline"
mkdir -p "$root/var/lib/vfio"
printf '{"version":1,"places":{"etc/kernel/cmdline":[{"key":"","words":["lab.word=1"]}]}}' >"$root/var/lib/vfio/cmdline"
add
options "$(entry "$id-$release.conf")" root=/dev/vda1 ro lab.word=1 "systemd.machine_id=$id"
options "$(entry "$id-$release-fallback.conf")" root=/dev/vda1 ro
silent

fresh "entries as Fedora writes them" other
fedora
add
options "$(entry "$id-$release.conf")" "\$kernelopts" root=/dev/vda1 ro quiet "\$tuned_params" lab.word=1
silent

fresh "a unified kernel image" uki
verbose=1
add
! grep -q lab.word "$root"/boot/loader/entries/* 2>/dev/null || fail "an entry was changed"
grep -q 'unified kernel image' "$root/printed" || fail "it does not say why nothing changes"
ok
verbose=

fresh "a layout that nobody knows" lab
verbose=1
add
grep -q 'layout lab is not known' "$root/printed" || fail "it does not say that it does not know the layout"
ok
verbose=

fresh "a wrong configuration" bls
printf '[host]\niommu = perhaps\n' >"$root/etc/vfio.conf"
add
options "$(entry "$id-$release.conf")" root=/dev/vda1 ro quiet "systemd.machine_id=$id"
grep -q '95-vfio.install: .*vfio check' "$root/printed" || fail "it does not warn"
ok

fresh "a record that cannot be read" bls
mkdir -p "$root/var/lib/vfio"
echo '{' >"$root/var/lib/vfio/cmdline"
add
options "$(entry "$id-$release.conf")" root=/dev/vda1 ro quiet "systemd.machine_id=$id"
grep -q 'var/lib/vfio/cmdline' "$root/printed" || fail "it does not say which file"
ok

fresh "no configuration" bls
rm "$root/etc/vfio.conf"
add
options "$(entry "$id-$release.conf")" root=/dev/vda1 ro quiet "systemd.machine_id=$id"
[ ! -e "$root/var/lib/vfio/cmdline" ] || fail "something was recorded"
silent

echo "kernel-install-$version: $checks checks passed"
