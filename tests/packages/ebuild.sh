#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs the ebuild's phases with functions in the place of Portage's and its eclasses' (names and arguments are theirs),
# with the programs that were built, for each choice of USE flags; and looks what was installed. The user's ebuilds are read.
# Usage: ebuild.sh TARGETDIR
# shellcheck disable=SC1090,SC2034,SC2317 # what the ebuild is, reads and calls
set -euo pipefail

TARGETDIR=$(realpath "$1")
cd "${0%/*}/../.."
ebuild=$(echo gentoo/app-emulation/vfio-suite/*.ebuild)
bash -n "$ebuild"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "ebuild: $*" >&2
    exit 1
}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
[ "${ebuild##*/}" = "vfio-suite-$version.ebuild" ] || fail "$ebuild does not have the version $version"

# installed FLAG... prints what the ebuild installs with these.
installed() {
    (
        flags=" $* "
        P=vfio-suite-$version PF=$P EPREFIX='' D=$work/image ED=$D
        rm -rf "$D"
        use() { [[ $flags == *" $1 "* ]] && return 0 || return 1; }
        inherit() { [[ " $* " == *' cargo '* ]]; }
        die() { fail "died"; }
        emake() { make --no-print-directory "$@" >&2; }
        cargo_env() { CARGO=true "$@"; }
        cargo_target_dir() { echo "$TARGETDIR/release"; }
        get_udevdir() { echo /usr/lib/udev; }
        systemd_get_systemunitdir() { echo /usr/lib/systemd/system; }
        systemd_get_utildir() { echo /usr/lib/systemd; }
        keepdir() { mkdir -p "$D$1" && : >"$D$1/.keep"; }
        dodoc() { install -D -m644 -t "$D/usr/share/doc/$PF" "$@"; }
        . "$ebuild"
        [[ $EAPI == 8 && -n $DESCRIPTION && -n $LICENSE && $RUST_MIN_VER == "$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)".* ]] ||
            fail "$ebuild lacks something"
        cd "$tree"
        src_compile
        src_install
        cd "$D" && find . ! -type d -printf '/%P\n' | LC_ALL=C sort
    )
}
tree=$PWD
passed=0
# has|lacks LIST PATH...
has() { for path in "${@:2}"; do grep -qxF -- "$path" "$work/$1" || fail "$1: no $path"; done && passed=$((passed + 1)); }
lacks() { for part in "${@:2}"; do ! grep -F -- "$part" "$work/$1" >&2 || fail "$1: $part should not be there"; done && passed=$((passed + 1)); }
common=(/etc/vfio.conf /usr/bin/vfio /usr/lib/vfio/vfio-bind /usr/lib/vfio/before-removal /usr/lib/udev/rules.d/70-vfio.rules
    /usr/lib/kernel/install.d/95-vfio.install /usr/lib/vfio.conf.d/.keep "/usr/share/doc/vfio-suite-$version/README.md")
units=(/usr/lib/systemd/system/vfio-sync.path /usr/lib/systemd/system-generators/vfio-generator)
scripts=(/etc/init.d/vfio-bind /etc/init.d/vfio-boot /etc/init.d/vfio-guest)

installed systemd dracut libvirt >"$work/systemd"
has systemd "${common[@]}" "${units[@]}" /etc/libvirt/hooks/qemu.d/50-vfio /usr/lib/dracut/modules.d/50vfio/module-setup.sh
# The user is acct-user's to make.
lacks systemd /etc/init.d /initcpio/ /initramfs-tools/ /sysusers.d/
installed openrc >"$work/openrc"
has openrc "${common[@]}" "${scripts[@]}"
lacks openrc /systemd/ /etc/libvirt /dracut/ /initcpio/ /initramfs-tools/ /sysusers.d/
installed openrc systemd >"$work/both"
has both "${common[@]}" "${units[@]}" "${scripts[@]}"
# The programs say where units are; that is all they may know of systemd's place.
for script in "${scripts[@]}"; do
    sh -n "$work/image$script"
    ! grep -q '@' <(grep -v 'vfio-guest@' "$work/image$script") || fail "$script has a name that make install should have replaced"
done

# The user of guests is the one that other packages make from the file of systemd's; without systemd it needs kvm of itself.
account=$(sed -n 's/^u //p' units/vfio-sysusers.conf)
name=${account%% *} home=$(grep -o ' /var/[^ ]*' <<<"$account")
depends=$(inherit() { :; } && P=vfio-suite-$version && . "$ebuild" && echo "$RDEPEND")
# read_account CATEGORY VARIABLE... prints what the ebuild sets, the name of its category's eclass before it.
read_account() {
    (
        CATEGORY=$1 PN=$name
        grep -qx "	$CATEGORY/$PN" <<<"$depends" || fail "$ebuild does not depend on $CATEGORY/$PN"
        inherit() { echo "$@"; }
        acct-user_add_deps() { RDEPEND=" acct-group/${ACCT_USER_GROUPS[0]}"; }
        . "gentoo/$CATEGORY/$PN/$PN-0.ebuild"
        [[ $EAPI == 8 && -n $DESCRIPTION ]] || fail "the ebuild of $CATEGORY/$PN lacks something"
        for variable in "${@:2}"; do
            declare -n value=$variable
            echo "${value[*]}"
        done
    )
}
[ "$(read_account acct-group ACCT_GROUP_ID)" = $'acct-group\n-1' ] || fail "the group is not made as it should"
[ "$(read_account acct-user ACCT_USER_ID ACCT_USER_GROUPS ACCT_USER_HOME ACCT_USER_HOME_OWNER RDEPEND)" = "acct-user
-1
$name kvm
${home# }
root:root
 acct-group/$name" ] || fail "the user is not made as it should: $(read_account acct-user ACCT_USER_ID ACCT_USER_GROUPS ACCT_USER_HOME RDEPEND)"
passed=$((passed + 2))

# A guest that runs is shut down by a removal, and by nothing else.
mkdir -p "$work/prefix/usr/lib/vfio"
printf '#!/bin/sh\necho called\n' >"$work/prefix/usr/lib/vfio/before-removal"
chmod +x "$work/prefix/usr/lib/vfio/before-removal"
prerm() { (inherit() { :; } && P=vfio-suite-$version EPREFIX=$work/prefix ROOT=$1 REPLACED_BY_VERSION=$2 && . "$ebuild" && pkg_prerm); }
[ "$(prerm '' '')" = called ] || fail "a removal leaves guests with their cards"
[ -z "$(prerm '' 0.2.0)" ] || fail "an upgrade shuts guests down"
[ -z "$(prerm /somewhere '')" ] || fail "a removal from another root shuts guests of this machine down"
passed=$((passed + 3))
echo "ebuild: $passed checks passed"
