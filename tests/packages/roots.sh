#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs, upgrades and removes the packages in trees of Debian 12 and 13 with the tools that do so on a machine: apt
# and dpkg; dnf --installroot; pacman --root. Afterwards each tree is as it was before. As root.
# Usage: roots.sh FOLDER [bookworm|trixie|dnf|pacman...] (with the .deb, the .rpm and the .pkg.tar.zst; what build.sh made is
# in its test/)
set -euo pipefail

dist=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- bookworm trixie dnf pacman
here=$(realpath "${0%/*}")
. "$here/../images/base.sh"

passed=0
say() { printf '  %s\n' "$*" && passed=$((passed + 1)); }
fail() {
    echo "  FAILED: $*" >&2
    exit 1
}
work=$(mktemp -d "${TMPDIR:-/var/tmp}/vfio-roots.XXXXXX")
trap 'rm -rf "$work"' EXIT
tree=$work/tree
unchanged() {
    "$here/snapshot.sh" "$tree" >"$work/after"
    if [ "$1" = dnf ]; then
        # Empty folders that on Fedora other packages own, and that rpm makes here where Debian has none.
        ! grep '^d.*vfio' "$work/after" | grep -v /lib/modules/ || fail "$1: a folder of ours is left"
        sed -i '/^d/d' "$work/before" "$work/after"
    fi
    diff -u "$work/before" "$work/after" || fail "$1: the tree is not as it was"
    user_is_there "$1"
    say "$1: $(grep -vc '^sum' "$work/before") files and folders of /etc, /boot, /usr and /var are as before the installation"
}

# Whom the package makes, and a removal leaves.
user_is_there() {
    local file
    for file in passwd shadow group gshadow; do grep -q '^vfio-guest:' "$tree/etc/$file" || fail "$1: no vfio-guest in /etc/$file"; done
}

# A tree of that suite, fresh.
lay() {
    base "$1"
    rm -rf "$tree" && mkdir "$tree"
    # shellcheck disable=SC2154 # base.sh sets it
    tar -C "$tree" -xf "$tarball"
}
in_tree() { within "$tree" LC_ALL C.UTF-8 "$1"; }

with_apt() {
    lay "$1"
    cp "$dist"/test/previous/vfio-suite_*.deb "$tree/opt/previous.deb"
    cp "$dist"/vfio-suite_*.deb "$tree/opt/this.deb"
    cp "$dist"/test/later/vfio-suite_*.deb "$tree/opt/later.deb"
    cp "$here/../images/checks.sh" "$here/snapshot.sh" "$here/inside-deb.sh" "$here/../../debian/tests/smoke" "$tree/opt/"
    within "$tree" VFIO_SUITE "$1" /opt/inside-deb.sh
    passed=$((passed + 7))
}

# A repository of Fedora as dnf sees it: our package, and one without files that provides what it requires of others.
repository=$work/repository
lay_repository() {
    local ours
    ours=$(find "$1" -maxdepth 1 -name 'vfio-suite-*.rpm' ! -name '*.src.rpm')
    mkdir -p "$repository"
    cp "$ours" "$repository/"
    {
        printf '%s\n' 'Name: fedora' 'Version: 1' 'Release: 1' 'Summary: Names that packages of Fedora provide' 'License: CC0-1.0' 'BuildArch: noarch'
        rpm -qp --requires "$ours" | sed -E '/^(rpmlib|config)\(/d; s/^/Provides: /' | LC_ALL=C sort -u
        printf '%s\n' '%description' 'For a test.' '%files'
    } >"$work/fedora.spec"
    rpmbuild -bb --quiet --define "_topdir $work/rpm" --define "_rpmdir $repository" "$work/fedora.spec" 2>"$work/output" || fail "$(cat "$work/output")"
    createrepo_c --quiet "$repository"
}

# dnf and pacman have a Debian to work in: its tools (sh, dracut, systemctl) run the scriptlets.
with_dnf() {
    local rpm sum
    lay trixie
    "$here/snapshot.sh" "$tree" >"$work/before"
    rpm=(rpm --root "$tree")
    printf '%s\n' '[main]' reposdir=/dev/null plugins=0 assumeyes=1 clean_requirements_on_remove=1 \
        '[fedora]' name=Fedora "baseurl=file://$repository" gpgcheck=0 >"$work/dnf.conf"
    # Scriptlets run in the tree, where systemctl and dracut want /proc and /dev.
    # shellcheck disable=SC2016 # the inner shell knows these
    change() {
        unshare --mount bash -eu -c 'tree=$1; shift; mount -t proc proc "$tree/proc"; mount --bind /dev "$tree/dev"; exec "$@"' - \
            "$tree" dnf --installroot "$tree" --config "$work/dnf.conf" --releasever 1 --refresh "$@" >"$work/output" 2>&1 || fail "dnf $*: $(cat "$work/output")"
        ! grep -iE 'warning|error|failed' "$work/output" | grep -v 'created as\|saved as' || fail "dnf $* says the above"
    }
    lay_repository "$dist"
    change install vfio-suite
    [ -L "$tree/etc/systemd/system/paths.target.wants/vfio-sync.path" ] || fail "dnf: %post has not asked systemd for its preset"
    [ -z "$("${rpm[@]}" --verify vfio-suite)" ] || fail "rpm -V: $("${rpm[@]}" --verify vfio-suite)"
    # By a scriptlet, or by an rpm that can itself.
    user_is_there dnf
    say "dnf: installed from a repository, scriptlets ran, the user of guests is made, rpm -V finds nothing"
    printf '[gpu big]\ndevice = 1002:73bf\n' >>"$tree/etc/vfio.conf"
    sum=$(cksum <"$tree/etc/vfio.conf")
    lay_repository "$dist/test/later"
    change upgrade vfio-suite
    [ "$(cksum <"$tree/etc/vfio.conf")" = "$sum" ] || fail "dnf: the upgrade changed the edited file"
    [ -e "$tree/etc/vfio.conf.rpmnew" ] || fail "dnf: the new example is not laid beside the edited file"
    [ -L "$tree/etc/systemd/system/paths.target.wants/vfio-sync.path" ] || fail "dnf: the upgrade disabled vfio-sync.path"
    say "dnf: an upgrade keeps the edited file and lays the new one beside it"
    # An image that reserves a card, as dracut builds it; the removal has dracut build it again.
    printf 'compress="cat"\nno_kernel="yes"\n' >"$tree/etc/dracut.conf.d/test.conf"
    printf 'dracut --quiet --force --regenerate-all\n' >"$tree/opt/build.sh"
    printf 'lsinitrd /boot/initrd.img-*\n' >"$tree/opt/list.sh"
    in_tree /opt/build.sh >"$work/output" 2>&1 || fail "dracut: $(cat "$work/output")"
    [[ $(in_tree /opt/list.sh) == *usr/lib/vfio/vfio-bind* ]] || fail "dracut: the image does not reserve the card"
    change remove vfio-suite
    [[ $(in_tree /opt/list.sh) != *vfio-bind* ]] || fail "dnf: the image still reserves the card after the removal"
    say "dnf: removed, and the initramfs is built anew without us"
    [ -e "$tree/etc/vfio.conf.rpmsave" ] || fail "dnf: the edited file is not kept"
    rm "$tree"/etc/vfio.conf.rpmsave "$tree"/etc/vfio.conf.rpmnew "$tree/etc/dracut.conf.d/test.conf"
    [ -z "$("${rpm[@]}" --query --all)" ] || fail "dnf: packages are left: $("${rpm[@]}" --query --all)"
    unchanged dnf
}

with_pacman() {
    local pacman sum
    lay trixie
    "$here/snapshot.sh" "$tree" >"$work/before"
    mkdir -p "$tree/var/lib/pacman" "$work/cache" "$work/hooks"
    # What systemd's package of Arch Linux has for the users of others, without its own conditions.
    printf '%s\n' '[Trigger]' Type=Path Operation=Install Operation=Upgrade 'Target=usr/lib/sysusers.d/*.conf' \
        '[Action]' When=PostTransaction Exec=/usr/bin/systemd-sysusers >"$work/hooks/20-systemd-sysusers.hook"
    pacman=(pacman --root "$tree" --cachedir "$work/cache" --hookdir "$work/hooks" --noconfirm --noprogressbar -dd --config /dev/null)
    "${pacman[@]}" -U "$dist"/vfio-suite-*.pkg.tar.zst >"$work/output" 2>&1 || fail "pacman -U: $(cat "$work/output")"
    grep -q 'say in /etc/vfio.conf' "$work/output" || fail "pacman: the package's script did not run: $(cat "$work/output")"
    pacman --root "$tree" --config /dev/null -Qkk vfio-suite >"$work/output" 2>&1 || fail "pacman -Qkk: $(cat "$work/output")"
    user_is_there "pacman --root"
    say "pacman --root: installed, its script ran, systemd's hook makes the user of guests, pacman -Qkk finds nothing"
    printf '[gpu big]\ndevice = 1002:73bf\n' >>"$tree/etc/vfio.conf"
    sum=$(cksum <"$tree/etc/vfio.conf")
    "${pacman[@]}" -U "$dist"/test/later/vfio-suite-*.pkg.tar.zst >"$work/output" 2>&1 || fail "pacman -U: $(cat "$work/output")"
    [ "$(cksum <"$tree/etc/vfio.conf")" = "$sum" ] || fail "pacman: the upgrade changed the edited file"
    [ -e "$tree/etc/vfio.conf.pacnew" ] || fail "pacman: the new example is not laid beside the edited file"
    say "pacman --root: an upgrade keeps the edited file and lays the new one beside it"
    "${pacman[@]}" -R vfio-suite >"$work/output" 2>&1 || fail "pacman -R: $(cat "$work/output")"
    [ -e "$tree/etc/vfio.conf.pacsave" ] || fail "pacman: the edited file is not kept"
    rm "$tree"/etc/vfio.conf.pac*
    unchanged "pacman --root"
}

for part; do
    case $part in
    bookworm | trixie) with_apt "$part" ;;
    *) "with_$part" ;;
    esac
done
echo "roots: $passed checks passed"
