#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The source tarball: packed twice it is the same file, whoever packs it where; what is in it is what is in the work tree,
# and cargo needs nothing else. Usage: source.sh TARBALL (where it is put)
set -euo pipefail

mkdir -p "$(dirname "$1")"
tarball=$(realpath "$1")
cd "${0%/*}/../.."
WORKTREE=1 packaging/dist.sh "$tarball"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tmp" "$work/home"

(umask 077 && TZ=Asia/Tokyo LC_ALL=C TMPDIR=$work/tmp WORKTREE=1 packaging/dist.sh "$work/${tarball##*/}")
cmp "$tarball" "$work/${tarball##*/}"

tar -C "$work" -xf "$tarball"
tree=$work/$(basename "$tarball" .tar.xz)
# Everything that git knows or would add, and nothing else but what dist.sh makes.
git ls-files --cached --others --exclude-standard -z | while IFS= read -r -d '' file; do
    if [ -L "$file" ]; then
        # Links of the tests may lead nowhere.
        [ "$(readlink "$file")" = "$(readlink "$tree/$file")" ]
    elif [ -e "$file" ]; then
        cmp -- "$file" "$tree/$file"
    fi
done
(cd "$tree" && find . ! -type d ! -path './vendor/*' | LC_ALL=C sort) >"$work/there"
(git ls-files --cached --others --exclude-standard | while IFS= read -r file; do
    if [ -e "$file" ] || [ -L "$file" ]; then echo "./$file"; fi
done
    printf '%s\n' ./.cargo/config.toml ./LICENSE.dependencies ./sbom.cdx.json) | LC_ALL=C sort >"$work/expected"
diff -u "$work/expected" "$work/there"

# A cargo that has never seen a registry, and no network.
cd "$tree"
offline=(unshare --net env CARGO_HOME="$work/home")
[ "$(id -u)" -eq 0 ] || offline=(unshare --user --map-current-user --net env CARGO_HOME="$work/home")
"${offline[@]}" cargo metadata --frozen --format-version 1 >"$work/metadata"
echo "source: 4 checks passed"
