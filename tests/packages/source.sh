#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The source tarball: packed twice it is the same file, whoever packs it where; what is in it is what is in the work tree,
# and cargo needs nothing else. BUILD=1: also builds the programs from it. Usage: source.sh TARBALL (packed with WORKTREE=1)
set -euo pipefail

tarball=$(realpath "$1")
cd "${0%/*}/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tmp" "$work/home"

(umask 077 && TZ=Asia/Tokyo LC_ALL=C TMPDIR=$work/tmp WORKTREE=1 packaging/dist.sh "$work/${tarball##*/}")
cmp "$tarball" "$work/${tarball##*/}"

tar -C "$work" -xf "$tarball"
tree=$work/$(basename "$tarball" .tar.xz)
# Everything that git knows or would add, and nothing else but what dist.sh makes.
git ls-files --cached --others --exclude-standard -z | while IFS= read -r -d '' file; do
    [ ! -e "$file" ] || cmp -- "$file" "$tree/$file"
done
(cd "$tree" && find . ! -type d ! -path './vendor/*' | LC_ALL=C sort) >"$work/there"
(git ls-files --cached --others --exclude-standard | while IFS= read -r file; do [ -e "$file" ] && echo "./$file"; done
    printf '%s\n' ./.cargo/config.toml ./LICENSE.dependencies) | LC_ALL=C sort >"$work/expected"
diff -u "$work/expected" "$work/there"

# A cargo that has never seen a registry, and no network.
cd "$tree"
offline=(unshare --net env CARGO_HOME="$work/home")
[ "$(id -u)" -eq 0 ] || offline=(unshare --user --map-current-user --net env CARGO_HOME="$work/home")
"${offline[@]}" cargo metadata --frozen --format-version 1 >"$work/metadata"
if [ -n "${BUILD:-}" ]; then
    "${offline[@]}" make build
    "${offline[@]}" make install NOBUILD=1 DESTDIR="$work/installed"
    "$work/installed/usr/bin/vfio" --version
fi
echo "source: 5 checks passed"
