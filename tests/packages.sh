#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is in the packages: every file as tests/golden/packages/ lists it (UPDATE_GOLDEN=1 writes the lists anew), the same
# files in all of them but for what only one distribution has, and nothing in a wrong form.
# Usage: packages.sh FOLDER (with a .deb, an .rpm and a .pkg.tar.zst of one version, and the source tarball)
set -euo pipefail

dist=$(realpath "$1")
cd "${0%/*}/.."
golden=tests/golden/packages
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
ok() { passed=$((passed + 1)); }
fail() {
    echo "packages: $*" >&2
    exit 1
}
one() {
    local found
    mapfile -t found < <(find "$dist" -maxdepth 1 "$@")
    [ "${#found[@]}" -eq 1 ] || fail "there must be one $2 in $dist: ${found[*]}"
    echo "${found[0]}"
}
deb=$(one -name 'vfio-suite_*.deb') rpm=$(one -name 'vfio-suite-*.rpm' ! -name '*.src.rpm')
arch=$(one -name 'vfio-suite-*.pkg.tar.zst') tarball=$(one -name 'vfio-suite-*.tar.xz')

# Mode, owner, path, and where a link leads. Folders end in "/". Debian compresses documents of more than 4 KB.
members() {
    awk '{ path = $0; for (i = 1; i < 6; i++) sub(/^[^ ]+ +/, "", path); sub(/^\.?\//, "", path); sub(/ -> /, " ", path)
        sub(/^l........./, "lrwxrwxrwx", $1); split(path, p, " ")
        if (p[1] ~ /^usr\/share\/doc\//) sub(/\.gz$/, "", p[1])
        if (p[1] != "" && p[1] !~ /^\./) print $1, $2, "/" p[1] (p[2] ? " -> " p[2] : "") }' | LC_ALL=C sort -k 3
}
dpkg-deb --fsys-tarfile "$deb" | tar -tv --numeric-owner | members >"$work/deb.list"
zstd -dcq "$arch" | tar -tv --numeric-owner | members >"$work/arch.list"
# rpm does not list the folders that are other packages'.
rpm -qp --qf '[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES} %{FILELINKTOS}\n]' "$rpm" |
    sed 's, root/root , 0/0 ,; /^d/ s, *$,/,; /^l/ s,\([^ ]*\) \([^ ]*\)$,\1 -> \2,; s, *$,,' |
    LC_ALL=C sort -k 3 >"$work/rpm.list"

for kind in deb rpm arch; do
    if [ -n "${UPDATE_GOLDEN:-}" ]; then
        mkdir -p $golden
        cp "$work/$kind.list" $golden/$kind
    fi
    diff -u "$golden/$kind" "$work/$kind.list" || fail "the $kind package has other files than $golden/$kind lists"
    ok
    # A write bit for others, an owner that is not root, setuid: none, whatever a list says.
    ! grep -Ev '^([-d]r[w-][x-]r-[x-]r-[x-]|lrwxrwxrwx|drwx------) 0/0 ' "$work/$kind.list" || fail "modes or owners ($kind)"
    ok
done

# What only one of them has: another place, a tool of that distribution, its documentation.
common() {
    grep -v '^d' "$work/$1.list" | sed "$2" | sed -E 's,/man/(.*)\.gz,/man/\1,; s,/zsh/(vendor-completions|site-functions)/,/zsh/,; s,/usr/s?bin/,/usr/bin/,g
        \,/usr/share/(doc|licenses|lintian)/,d' | LC_ALL=C sort -k 3
}
common deb '\,/usr/share/initramfs-tools/\|/etc/kernel/postinst.d/\|/etc/apparmor.d/,d' >"$work/deb.common"
common rpm '' >"$work/rpm.common"
common arch '\,/usr/lib/initcpio/,d' >"$work/arch.common"
for kind in rpm arch; do
    diff -u "$work/deb.common" "$work/$kind.common" || fail "the deb and the $kind package differ in their files"
    ok
done

mkdir "$work/deb" "$work/rpm" "$work/arch"
dpkg-deb -x "$deb" "$work/deb"
(cd "$work/rpm" && rpm2cpio "$rpm" | cpio -idm --quiet)
zstd -dcq "$arch" | tar -C "$work/arch" -x --exclude='./.*' --exclude='.[A-Z]*'

for kind in deb rpm arch; do
    root=$work/$kind
    elf=0
    while IFS= read -r file; do
        name=${file#"$root"}
        case $(head -c 4 "$file" | tr '\0\177' '.E') in
        EELF)
            elf=$((elf + 1))
            case $name in
            /usr/bin/vfio | /usr/*bin/vfio-libvirt-hook | /usr/lib/vfio/vfio-* | /usr/lib/udev/vfio-udev) ;;
            /usr/lib/systemd/system-generators/vfio-generator | /usr/lib/kernel/install.d/95-vfio.install) ;;
            *) fail "$kind: $name is a program, and none is expected there" ;;
            esac
            [ -x "$file" ] || fail "$kind: $name cannot be executed"
            said=$(readelf -hldSW "$file")
            [[ $said == *'DYN (Position-Independent'* ]] || fail "$kind: $name is not position-independent"
            [[ $said == *GNU_RELRO* && $said == *NOW* ]] || fail "$kind: $name has no full RELRO"
            [[ $said != *RPATH* && $said != *RUNPATH* ]] || fail "$kind: $name has a path to libraries"
            [[ $said != *.symtab* && $said != *.debug_* ]] || fail "$kind: $name is not stripped"
            [[ $said != *libgcc_s* ]] || fail "$kind: $name needs libgcc_s"
            # Where it was built is nobody's business, and differs from machine to machine.
            # Strings stand side by side in it: what is below the home is named, not the home.
            ! grep -qaF -e "$PWD" -e "${CARGO_HOME:-$HOME/.cargo}" -e "${RUSTUP_HOME:-$HOME/.rustup}" "$file" || fail "$kind: $name has a path of this machine"
            ;;
        '#!'*)
            # mkinitcpio reads its hooks into its own shell.
            [ -x "$file" ] || [[ $name == /usr/lib/initcpio/* ]] || fail "$kind: $name begins with '#!' and is not executable"
            interpreter=$(sed -n '1 s/^#! *\([^ ]*\).*/\1/p' "$file")
            case $interpreter in
            /bin/sh | /bin/bash | /usr/bin/ash) ;;
            *) fail "$kind: $name wants $interpreter" ;;
            esac
            ;;
        *) [ ! -x "$file" ] || fail "$kind: $name is executable and neither program nor script" ;;
        esac
        [[ $name == *.gz ]] || ! grep -qE '@[A-Z]+@' "$file" || [[ $(head -c 4 "$file") == $'\177ELF' ]] ||
            fail "$kind: $name has a name that make install should have replaced"
    done < <(find "$root" -type f | LC_ALL=C sort)
    [ "$elf" -eq 8 ] || fail "$kind: $elf programs instead of 8"
    ok
    # Links lead to something of the package, or to what our programs leave in /run.
    while IFS= read -r link; do
        target=$(readlink "$link")
        [[ $target != /run/vfio/* ]] || continue
        [ -e "$root/$target" ] || [ -e "$(dirname "$link")/$target" ] || fail "$kind: ${link#"$root"} leads to $target, which is not there"
    done < <(find "$root" -type l)
    # A manual for every program that a person or an administrator may meet, completions for three shells.
    for page in vfio.8 vfio-setup.8 vfio-libvirt-hook.8 vfio-bind.8 vfio-guest.8 vfio-sync.8 vfio-udev.8 vfio-generator.8 vfio.conf.5; do
        [ -s "$root/usr/share/man/man${page##*.}/$page.gz" ] || fail "$kind: no manual $page"
    done
    for file in "$root"/usr/share/bash-completion/completions/vfio "$root"/usr/share/zsh/*/_vfio "$root"/usr/share/fish/vendor_completions.d/vfio.fish; do
        [ -s "$file" ] || fail "$kind: no completions: $file"
    done
    ok
done

# The licences that the spec names are our own and those of what is linked in, each crate's among them.
tar -C "$work" -xf "$tarball" --strip-components=1 --wildcards '*/LICENSE.dependencies'
sets() { tr -d '()' | while IFS= read -r choice; do echo "${choice// OR /$'\n'}" | LC_ALL=C sort | paste -sd '|'; done | LC_ALL=C sort -u; }
sed -n 's/^License: *//p' rpm/vfio-suite.spec | sed 's/ AND /\n/g' | sets >"$work/named"
{ echo LGPL-2.1-or-later && sed 's/: .*//' "$work/LICENSE.dependencies"; } | sets >"$work/used"
diff -u "$work/used" "$work/named" || fail "the License tag of rpm/vfio-suite.spec is not what is linked in"
ok

# What somebody may have changed is kept by an upgrade: every file below /etc, under all three.
kept() {
    case $1 in
    deb) dpkg-deb -I "$deb" conffiles ;;
    rpm) rpm -qp --configfiles "$rpm" ;;
    arch) zstd -dcq "$arch" | tar -xO .PKGINFO | sed -n 's|^backup = |/|p' ;;
    esac
}
for kind in deb rpm arch; do
    diff -u <(cd "$work/$kind" && find etc -type f -printf '/%p\n' | LC_ALL=C sort) <(kept "$kind" | LC_ALL=C sort) ||
        fail "$kind: an upgrade does not keep just what is below /etc"
done
ok
echo "packages: $passed checks passed"
