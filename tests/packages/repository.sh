#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes the repositories for users of the packages, serves them on the loopback interface, and installs from them as a user
# does: apt in a tree of Debian, dnf --installroot, pacman --root, each with signatures checked; Portage's overlay is unpacked
# and its sums compared. Then every index and every package is changed, and signed by another, and must be refused. As root.
# Usage: repository.sh FOLDER (with the .deb, the .rpm, the .pkg.tar.zst and the source tarball)
set -euo pipefail

dist=$(realpath "$1")
here=$(realpath "${0%/*}")
. "$here/../images/base.sh"

passed=0
say() { printf '  %s\n' "$*" && passed=$((passed + 1)); }
fail() {
    echo "  FAILED: $*" >&2
    exit 1
}
work=$(mktemp -d "${TMPDIR:-/var/tmp}/vfio-repository.XXXXXX")
server=
ended() {
    [ -z "$server" ] || kill "$server"
    gpgconf --homedir "$GNUPGHOME" --kill all
    rm -rf "$work"
}
# gpg talks to its agent by a socket, whose path may not be long.
export GNUPGHOME=$work/gpg
mkdir -m 700 "$GNUPGHOME"
trap ended EXIT

# make_key NAME: prints its fingerprint.
make_key() {
    gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-generate-key "$1 <$1@mail.invalid>" rsa3072 sign 0 2>/dev/null
    gpg --batch --with-colons --list-keys "$1@mail.invalid" | awk -F : '$1 == "fpr" { print $10; exit }'
}
key=$(make_key ours) other=$(make_key other)

# A port that is free now: the next one is tried where another program has taken it meanwhile.
served=$work/served
mkdir "$served"
for port in $(shuf -i 20000-29999 -n 20); do
    busybox httpd -f -p "127.0.0.1:$port" -h "$served" 2>/dev/null &
    server=$!
    sleep 0.3
    kill -0 "$server" 2>/dev/null && break
    server=
done
[ -n "$server" ] || fail "no port for a server"
url=http://127.0.0.1:$port

"$here/../../packaging/repository.sh" "$dist" "$served/good" "$key" "$url/good" >"$work/output" 2>&1 || fail "$(cat "$work/output")"
(cd "$served/good" && gpg --batch --quiet --verify SHA256SUMS.asc SHA256SUMS 2>/dev/null && sha256sum --quiet --check SHA256SUMS) ||
    fail "SHA256SUMS does not fit"
[ -z "$(find "$served/good" -type l -o -type d ! -perm -005 -o -type f ! -perm -004)" ] || fail "a file is a link, or not for all to read"
say "made: $(wc -l <"$served/good/SHA256SUMS") files, sums and signature fit"
"$here/../../packaging/repository.sh" "$dist" "$work/again" "$key" "$url/good" >"$work/output" 2>&1 || fail "$(cat "$work/output")"
for index in "$served"/good/{apt/dists/stable/Release,apt/dists/stable/main/binary-*/Packages,gentoo/vfio-suite-overlay.tar.xz,arch/vfio-suite.conf}; do
    cmp "$index" "$work/again/${index#"$served/good/"}" || fail "made twice, ${index#"$served/good/"} differs"
done
say "made again: the same indexes"

# refuse WHAT WORD... : arguments that must be refused with these words, and leave nothing.
refuse() {
    local words=$1
    shift
    if "$here/../../packaging/repository.sh" "$@" >"$work/output" 2>&1; then fail "repository.sh $* is not refused"; fi
    grep -q "$words" "$work/output" || fail "repository.sh $*: $(cat "$work/output")"
}
mkdir "$work/foreign" && echo precious >"$work/foreign/file"
refuse 'is no repository that was made here' "$dist" "$work/foreign" "$key" "$url"
[ "$(cat "$work/foreign/file")" = precious ] || fail "a folder of others was changed"
refuse 'no secret key' "$dist" "$work/never" 0123456789ABCDEF0123456789ABCDEF01234567 "$url"
refuse "is not a key's fingerprint" "$dist" "$work/never" ours "$url"
refuse 'is no URL' "$dist" "$work/never" "$key" example.org
refuse 'there must be one' "$work/foreign" "$work/never" "$key" "$url"
[ -z "$(find "$work" -maxdepth 1 -name 'never*')" ] || fail "a refused call left something"
say "another folder, no key, no URL, no packages: refused, and nothing is left"

# spoil NAME: a copy of the good repository, to be changed; its own address is put into what a user copies.
spoil() {
    rm -rf "${served:?}/$1"
    cp -a "$served/good" "$served/$1"
    sed -i "s,$url/good,$url/$1,g" "$served/$1/apt/vfio-suite.sources" "$served/$1/rpm/vfio-suite.repo" "$served/$1/arch/vfio-suite.conf"
}
# Another byte where nothing else is meant by it.
append() { echo >>"$1"; }

tree=$work/tree
base trixie
lay() {
    rm -rf "$tree" && mkdir "$tree"
    # shellcheck disable=SC2154 # base.sh sets it
    tar -C "$tree" -xf "$tarball"
}

# What a user of Debian does: one file is copied, then apt. Other sources are not read: what the package needs is there.
apt_in_tree() {
    cp "$served/$1/apt/vfio-suite.sources" "$tree/etc/apt/sources.list.d/"
    printf '%s\n' 'set -eu' 'rm -rf /var/lib/apt/lists/* /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources' \
        'apt-get -q --error-on=any update' 'apt-get -q -y --no-install-recommends install vfio-suite' 'vfio --version' >"$tree/opt/user.sh"
    within "$tree" LC_ALL C.UTF-8 /opt/user.sh >"$work/output" 2>&1
}
# refused BY NAME WORDS...: the installation from that repository fails, says one of the words, and has installed nothing.
refused() {
    local by=$1 name=$2 words=$3
    if "${by}_in_tree" "$name"; then fail "$by takes what is $name: $(tail -n 5 "$work/output")"; fi
    grep -qiE "$words" "$work/output" || fail "$by, $name: $(tail -n 5 "$work/output")"
    [ ! -e "$tree/usr/bin/vfio" ] || fail "$by, $name: refused, and installed"
    say "$by refuses: $name"
}

lay
spoil apt-index-changed
append "$served/apt-index-changed/apt/dists/stable/main/binary-"*/Packages
append "$served/apt-index-changed/apt/dists/stable/main/binary-"*/Packages.xz
for file in "$served"/apt-index-changed/apt/dists/stable/main/binary-*/by-hash/SHA256/*; do append "$file"; done
refused apt apt-index-changed 'unexpected size|hash sum mismatch'
spoil apt-release-changed
sed -i 's/^Suite: stable/Suite: unstable/' "$served"/apt-release-changed/apt/dists/stable/{In,}Release
refused apt apt-release-changed 'not signed|BADSIG|bad signature|invalid signature|message has been manipulated|verif'
spoil apt-signed-by-another
(cd "$served/apt-signed-by-another/apt/dists/stable" && gpg --batch --yes --quiet --local-user "$other" --clearsign --output InRelease Release &&
    gpg --batch --yes --quiet --local-user "$other" --armor --detach-sign --output Release.gpg Release)
refused apt apt-signed-by-another 'NO_PUBKEY|missing key|not signed'
spoil apt-package-changed
append "$served"/apt-package-changed/apt/pool/main/*.deb
refused apt apt-package-changed 'unexpected size|hash sum mismatch|size mismatch'
apt_in_tree good || fail "apt: $(tail -n 20 "$work/output")"
grep -q "^vfio " "$work/output" || fail "apt: vfio does not run: $(tail -n 5 "$work/output")"
say "apt installs it from one copied file: $(grep '^vfio ' "$work/output")"

# dnf, with what other packages of Fedora provide in a repository of its own, which nobody signs.
stand_in=$work/fedora
{
    printf '%s\n' 'Name: fedora' 'Version: 1' 'Release: 1' 'Summary: Names that packages of Fedora provide' 'License: CC0-1.0' 'BuildArch: noarch'
    find "$dist" -maxdepth 1 -name 'vfio-suite-*.rpm' ! -name '*.src.rpm' -exec rpm -qp --requires {} + |
        sed -E '/^(rpmlib|config)\(/d; s/^/Provides: /' | LC_ALL=C sort -u
    printf '%s\n' '%description' 'For a test.' '%files'
} >"$work/fedora.spec"
mkdir "$stand_in"
rpmbuild -bb --quiet --define "_topdir $work/rpm" --define "_rpmdir $stand_in" "$work/fedora.spec" 2>"$work/output" || fail "$(cat "$work/output")"
createrepo_c --quiet "$stand_in"
dnf_in_tree() {
    rm -rf "$work/repos" "$tree/var/cache/dnf" && mkdir "$work/repos"
    cp "$served/$1/rpm/vfio-suite.repo" "$work/repos/"
    printf '%s\n' '[fedora]' name=Fedora "baseurl=file://$stand_in" gpgcheck=0 >"$work/repos/fedora.repo"
    printf '%s\n' '[main]' "reposdir=$work/repos" plugins=0 assumeyes=1 "cachedir=$work/dnf-cache" >"$work/dnf.conf"
    rm -rf "$work/dnf-cache"
    # shellcheck disable=SC2016 # the inner shell knows these
    unshare --mount bash -eu -c 'tree=$1; shift; mount -t proc proc "$tree/proc"; mount --bind /dev "$tree/dev"; exec "$@"' - \
        "$tree" dnf --installroot "$tree" --config "$work/dnf.conf" --releasever 1 install vfio-suite >"$work/output" 2>&1
}
lay
spoil dnf-index-changed
sed -i 's,<revision>,<revision>1,' "$served/dnf-index-changed/rpm/repodata/repomd.xml"
refused dnf dnf-index-changed 'GPG signature|bad PGP|BAD signature|verif|Failed to download metadata'
spoil dnf-signed-by-another
(cd "$served/dnf-signed-by-another/rpm/repodata" && gpg --batch --yes --quiet --local-user "$other" --armor --detach-sign --output repomd.xml.asc repomd.xml)
refused dnf dnf-signed-by-another 'GPG signature|bad PGP|BAD signature|verif|Failed to download metadata'
# Whoever may write the index, but has not the key of the packages.
spoil dnf-package-not-signed
(
    cd "$served/dnf-package-not-signed/rpm"
    rm -f packages/*.rpm
    find "$dist" -maxdepth 1 -name 'vfio-suite-*.rpm' -exec cp {} packages/ \;
    createrepo_c --quiet .
    gpg --batch --yes --quiet --local-user "$key" --armor --detach-sign --output repodata/repomd.xml.asc repodata/repomd.xml
)
refused dnf dnf-package-not-signed 'not signed|GPG check FAILED'
spoil dnf-package-changed
for file in "$served"/dnf-package-changed/rpm/packages/*.rpm; do append "$file"; done
refused dnf dnf-package-changed 'checksum|size|Error downloading|different length|No more mirrors'
dnf_in_tree good || fail "dnf: $(tail -n 20 "$work/output")"
[ "$(rpm --root "$tree" -q --qf '%{NAME}' vfio-suite)" = vfio-suite ] || fail "dnf: the package is not installed"
say "dnf installs it, package and index signed: $(rpm --root "$tree" -q vfio-suite)"

# pacman, whose keyring is made as a user makes it: the key is added and trusted.
pacman_in_tree() {
    {
        printf '%s\n' '[options]' 'Architecture = auto' "GPGDir = $work/keyring" "CacheDir = $work/pacman-cache" 'SigLevel = Required'
        cat "$served/$1/arch/vfio-suite.conf"
    } >"$work/pacman.conf"
    rm -rf "$work/pacman-cache" "$tree/var/lib/pacman"
    mkdir -p "$tree/var/lib/pacman" "$work/pacman-cache"
    pacman --root "$tree" --config "$work/pacman.conf" --noconfirm --noprogressbar -dd -Sy vfio-suite >"$work/output" 2>&1
}
lay
pacman-key --gpgdir "$work/keyring" --init >"$work/output" 2>&1 || fail "pacman-key: $(cat "$work/output")"
pacman-key --gpgdir "$work/keyring" --add "$served/good/vfio-suite.asc" >>"$work/output" 2>&1 || fail "pacman-key: $(cat "$work/output")"
spoil pacman-key-not-trusted
refused pacman pacman-key-not-trusted 'unknown trust|is unknown|invalid or corrupted'
pacman-key --gpgdir "$work/keyring" --lsign-key "$key" >>"$work/output" 2>&1 || fail "pacman-key: $(cat "$work/output")"
spoil pacman-index-changed
append "$(echo "$served"/pacman-index-changed/arch/*/vfio-suite.db)"
refused pacman pacman-index-changed 'invalid or corrupted|signature.*is invalid'
spoil pacman-signed-by-another
for file in "$served"/pacman-signed-by-another/arch/*/vfio-suite.db; do gpg --batch --yes --quiet --local-user "$other" --detach-sign --output "$file.sig" "$file"; done
refused pacman pacman-signed-by-another 'could not be looked up|is unknown|invalid or corrupted|missing required'
spoil pacman-package-changed
append "$(echo "$served"/pacman-package-changed/arch/*/*.pkg.tar.zst)"
refused pacman pacman-package-changed 'invalid or corrupted|signature.*is invalid|Maximum file size exceeded'
spoil pacman-not-signed
rm "$served"/pacman-not-signed/arch/*/*.sig
refused pacman pacman-not-signed 'missing required signature|failed retrieving|failed to'
pacman_in_tree good || fail "pacman: $(tail -n 20 "$work/output")"
pacman --root "$tree" --config /dev/null -Qkk vfio-suite >"$work/output" 2>&1 || fail "pacman -Qkk: $(cat "$work/output")"
say "pacman installs it, package and index signed"

# Portage's overlay: what a user's emerge would have, without Portage.
overlay=$work/overlay
mkdir "$overlay"
for file in "$served"/good/gentoo/*.tar.xz; do gpg --batch --quiet --verify "$file.asc" "$file" 2>/dev/null || fail "${file##*/}: signature"; done
tar -C "$overlay" -xf "$served/good/gentoo/vfio-suite-overlay.tar.xz"
read -r _ name size _ blake _ sha <"$overlay/vfio-suite/app-emulation/vfio-suite/Manifest"
served_file=$served/good/gentoo/$name
[ "$size $blake $sha" = "$(stat -c %s "$served_file") $(b2sum <"$served_file" | cut -d ' ' -f 1) $(sha512sum <"$served_file" | cut -d ' ' -f 1)" ] ||
    fail "the Manifest does not fit $name"
ebuild=$(echo "$overlay"/vfio-suite/app-emulation/vfio-suite/*.ebuild)
# shellcheck disable=SC1090,SC2034,SC2317 # what it sets, reads and calls
address=$(inherit() { :; } && P=$(basename "$ebuild" .ebuild) && . "$ebuild" && echo "$SRC_URI $RESTRICT")
[ "$address" = "$url/good/gentoo/$name mirror" ] || fail "the ebuild has its source from '$address'"
for part in metadata/layout.conf profiles/repo_name acct-user/vfio-guest acct-group/vfio-guest; do
    [ -e "$overlay/vfio-suite/$part" ] || fail "the overlay has no $part"
done
say "Portage: the overlay has the ebuilds, the Manifest's sums are those of $name, which is where the ebuild says"
echo "repository: $passed checks passed"
