#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes of the packages in a folder what users install from: a repository for apt, one for dnf, one for pacman and an overlay
# for Portage, signed with a key of gpg's, as files for any web server. Nothing is built, no package of the folder is changed.
# Usage: repository.sh FOLDER (with the .deb, the .rpm, the .pkg.tar.zst and the source tarball) TARGET KEY URL
#   KEY: the fingerprint of a secret key that gpg has (GNUPGHOME), which signs without asking
#   URL: where TARGET will be, as https://example.org/vfio
set -euo pipefail

[ $# -eq 4 ] || {
    echo "usage: repository.sh FOLDER TARGET KEY URL" >&2
    exit 64
}
dist=$(realpath "$1") key=$3 url=${4%/}
fail() {
    echo "repository.sh: $*" >&2
    exit 1
}
case $url in
http://?* | https://?* | file:///?*) ;;
*) fail "'$url' is no URL: give one as https://example.org/vfio" ;;
esac
# It goes into files of other programs.
[[ $url != *[[:space:]\"\'\\\`\$\;\<\>\&]* ]] || fail "'$url' has a character in it that no URL has"
[[ $key =~ ^[0-9A-F]{40}$ ]] || fail "'$key' is not a key's fingerprint: give the 40 digits that 'gpg --list-secret-keys' shows"
gpg --batch --quiet --list-secret-keys "$key" >/dev/null 2>&1 || fail "gpg has no secret key $key"
missing=
for tool in apt-ftparchive:apt-utils createrepo_c:createrepo-c rpmsign:rpm repo-add:pacman-package-manager xz:xz-utils; do
    command -v "${tool%:*}" >/dev/null || missing="$missing ${tool#*:}"
done
[ -z "$missing" ] || fail "Debian's packages are missing:$missing"
one() {
    local found
    mapfile -t found < <(find "$dist" -maxdepth 1 "$@")
    [ "${#found[@]}" -eq 1 ] || fail "there must be one $2 in $dist, and there are ${#found[@]} ('make deb', 'make rpm', 'make arch' make them)"
    echo "${found[0]}"
}
deb=$(one -name 'vfio-suite_*.deb') rpm=$(one -name 'vfio-suite-*.rpm' ! -name '*.src.rpm') source_rpm=$(one -name 'vfio-suite-*.src.rpm')
arch=$(one -name 'vfio-suite-*.pkg.tar.zst') tarball=$(one -name 'vfio-suite-*.tar.xz')

# What is made is put in the place of what was there when it is whole.
target=$(realpath -m "$2")
[ ! -e "$target" ] || [ -e "$target/SHA256SUMS.asc" ] || [ -z "$(ls -A "$target")" ] || fail "$target is there and is no repository that was made here: give another folder"
mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$work" "$work.said" "$work.sums"' EXIT
chmod 755 "$work"

# The same packages give the same indexes; signatures have a time of their own.
SOURCE_DATE_EPOCH=$(tar -tvf "$tarball" --utc --full-time | awk 'NR == 1 { print $4, $5 }' | date --utc -f - +%s)
export SOURCE_DATE_EPOCH
sign() { gpg --batch --yes --quiet --digest-algo SHA512 --local-user "$key" "$@"; }
gpg --batch --export --armor "$key" >"$work/vfio-suite.asc"
gpg --batch --export "$key" >"$work/vfio-suite.gpg"

# apt: https://wiki.debian.org/DebianRepository/Format
make_apt() {
    local apt=$work/apt cpu binary
    cpu=$(dpkg-deb -f "$deb" Architecture)
    binary=$apt/dists/stable/main/binary-$cpu
    mkdir -p "$apt/pool/main" "$binary/by-hash/SHA256"
    cp "$deb" "$apt/pool/main/"
    (cd "$apt" && apt-ftparchive packages pool/main) >"$binary/Packages"
    xz -k9 "$binary/Packages"
    # A client that has read the index may still ask for the files that it names when others have taken their place.
    for file in "$binary"/Packages*; do cp "$file" "$binary/by-hash/SHA256/$(sha256sum <"$file" | cut -d ' ' -f 1)"; done
    local option="APT::FTPArchive::Release"
    apt-ftparchive -o "$option::Origin=vfio-suite" -o "$option::Label=vfio-suite" -o "$option::Suite=stable" \
        -o "$option::Codename=stable" -o "$option::Architectures=$cpu" -o "$option::Components=main" \
        -o "$option::Acquire-By-Hash=yes" -o "$option::Description=vfio-suite for Debian and Ubuntu" \
        release "$apt/dists/stable" >"$work/Release"
    sed -i "s/^Date: .*/Date: $(LC_ALL=C date --utc --date="@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S UTC')/" "$work/Release"
    mv "$work/Release" "$apt/dists/stable/"
    sign --armor --detach-sign --output "$apt/dists/stable/Release.gpg" "$apt/dists/stable/Release"
    sign --clearsign --output "$apt/dists/stable/InRelease" "$apt/dists/stable/Release"
    # The key is in the file itself, so that one file is all that a user copies (sources.list(5), Signed-By).
    {
        printf '%s\n' 'Types: deb' "URIs: $url/apt" 'Suites: stable' 'Components: main' "Architectures: $cpu" 'Signed-By:'
        sed 's/^$/./; s/^/ /' "$work/vfio-suite.asc"
    } >"$apt/vfio-suite.sources"
}

# dnf: each package is signed, and the index of them.
make_dnf() {
    local folder=$work/rpm
    mkdir -p "$folder/packages"
    cp "$rpm" "$source_rpm" "$folder/packages/"
    rpmsign --define "__gpg $(command -v gpg)" --define "_gpg_name $key" --define "_gpg_digest_algo sha512" \
        --addsign "$folder"/packages/*.rpm >/dev/null 2>"$work.said" || fail "rpmsign: $(cat "$work.said")"
    createrepo_c --quiet --revision "$SOURCE_DATE_EPOCH" --set-timestamp-to-revision "$folder"
    sign --armor --detach-sign --output "$folder/repodata/repomd.xml.asc" "$folder/repodata/repomd.xml"
    printf '%s\n' '[vfio-suite]' 'name=vfio-suite' "baseurl=$url/rpm" "gpgkey=$url/vfio-suite.asc" 'enabled=1' 'gpgcheck=1' \
        'repo_gpgcheck=1' >"$folder/vfio-suite.repo"
}

# pacman: a signature beside each package, and one of the index.
make_pacman() {
    local name cpu folder
    name=$(basename "$arch")
    cpu=${name%.pkg.tar.zst}
    cpu=${cpu##*-}
    folder=$work/arch/$cpu
    mkdir -p "$folder"
    cp "$arch" "$folder/"
    sign --no-armor --detach-sign --output "$folder/$name.sig" "$folder/$name"
    (cd "$folder" && GPGKEY=$key repo-add --quiet --sign --key "$key" vfio-suite.db.tar.gz "$name")
    # Not every web server follows links.
    local link
    find "$folder" -type l | while IFS= read -r link; do
        cp --remove-destination "$(realpath "$link")" "$link"
    done
    # shellcheck disable=SC2016 # pacman knows this
    printf '%s\n' '[vfio-suite]' "SigLevel = Required" "Server = $url"'/arch/$arch' >"$work/arch/vfio-suite.conf"
}

# Portage: an overlay whose ebuild knows where the source is, and the sums of it (GLEP 44, GLEP 74).
make_overlay() {
    local overlay=$work/overlay/vfio-suite package ebuild name
    name=$(basename "$tarball")
    mkdir -p "$work/gentoo" "$overlay/metadata" "$overlay/profiles"
    tar -C "$work/overlay" -xf "$tarball" --strip-components=2 --wildcards '*/gentoo/*' --one-top-level=vfio-suite
    printf '%s\n' 'masters = gentoo' 'thin-manifests = true' 'sign-manifests = false' >"$overlay/metadata/layout.conf"
    echo vfio-suite >"$overlay/profiles/repo_name"
    package=$overlay/app-emulation/vfio-suite
    ebuild=$(find "$package" -name '*.ebuild')
    sed -i -e "s,^SRC_URI=.*,SRC_URI=\"$url/gentoo/\${P}.tar.xz\"," -e '/^# It is made, not had/d' -e 's/^RESTRICT="fetch"$/RESTRICT="mirror"/' "$ebuild"
    [ "$(grep -cxF -e "SRC_URI=\"$url/gentoo/\${P}.tar.xz\"" -e 'RESTRICT="mirror"' "$ebuild")" -eq 2 ] || fail "${ebuild##*/} is not as it was expected"
    echo "DIST $name $(stat -c %s "$tarball") BLAKE2B $(b2sum <"$tarball" | cut -d ' ' -f 1) SHA512 $(sha512sum <"$tarball" | cut -d ' ' -f 1)" >"$package/Manifest"
    cp "$tarball" "$work/gentoo/"
    tar -C "$work/overlay" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u+rwX,go+rX,go-w \
        --format=gnu -cf - vfio-suite | xz -T1 >"$work/gentoo/vfio-suite-overlay.tar.xz"
    rm -rf "$work/overlay"
    for file in "$work"/gentoo/*.tar.xz; do sign --armor --detach-sign --output "$file.asc" "$file"; done
}

make_apt
make_dnf
make_pacman
make_overlay
# What the programs are made of, and the sums of everything.
tar -xOf "$tarball" --wildcards '*/sbom.cdx.json' >"$work/sbom.cdx.json"
(cd "$work" && find . -type f ! -name 'SHA256SUMS*' -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum) >"$work.sums"
mv "$work.sums" "$work/SHA256SUMS"
sign --armor --detach-sign --output "$work/SHA256SUMS.asc" "$work/SHA256SUMS"
chmod -R u+rwX,go+rX,go-w "$work"

if [ -e "$target" ]; then mv "$target" "$work.before"; fi
mv "$work" "$target"
rm -rf "$work.before" "$work.said"
trap - EXIT
echo "$target: packages for apt, dnf, pacman and Portage; to be found at $url"
