#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Packs the source tarball, with the crates that we build on: a package is built from it without a network. What is packed
# is HEAD, or with WORKTREE=1 what is in the work tree and not ignored. The same content gives the same bytes.
# Usage: dist.sh TARBALL.tar.xz
set -euo pipefail

mkdir -p "$(dirname "$1")"
tarball=$(realpath "$1")
cd "${0%/*}/.."
git rev-parse --git-dir >/dev/null || {
    echo "dist.sh: this is no git work tree; a source tarball is packed from one" >&2
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tree=HEAD
if [ -n "${WORKTREE:-}" ]; then
    cp "$(git rev-parse --git-path index)" "$work/index"
    GIT_INDEX_FILE=$work/index git add --all
    tree=$(GIT_INDEX_FILE=$work/index git write-tree)
elif [ -n "$(git status --porcelain)" ]; then
    echo "dist.sh: note: what is not committed is not in the tarball" >&2
fi
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

name=$(basename "$tarball" .tar.xz)
mkdir "$work/$name"
git archive "$tree" | tar -x -C "$work/$name"
cd "$work/$name"

# cargo says how to use them on standard output: that is the file, with a path below the tree. What it did is on stderr.
mkdir .cargo
cargo vendor --locked --versioned-dirs vendor >.cargo/config.toml 2>"$work/log" || {
    cat "$work/log" >&2
    exit 1
}

# Crates for other systems than Linux are a third of it. cargo wants each that Cargo.lock names: they become empty.
targets=()
for cpu in x86_64 i686 aarch64 riscv64gc powerpc64le s390x loongarch64; do
    targets+=(--target "$cpu-unknown-linux-gnu")
done
cargo tree --frozen "${targets[@]}" --all-features --edges normal,build,dev --prefix none --format '{p}' |
    sed 's/^\([^ ]*\) v\([^ ]*\).*/\1-\2/' | sort -u >"$work/used"
for crate in vendor/*; do
    grep -qxF "${crate#vendor/}" "$work/used" && continue
    find "$crate" -mindepth 1 ! -name Cargo.toml ! -name .cargo-checksum.json -delete
    mkdir "$crate/src"
    : >"$crate/src/lib.rs"
    sed -i 's/"files":{[^}]*}/"files":{}/' "$crate/.cargo-checksum.json"
done

# What is in the programs besides our own: a distribution's package must tell its licences.
cargo tree --frozen "${targets[@]}" --edges no-build,no-dev,no-proc-macro --prefix none --format '{l}: {p}' |
    sed -e '/^$/d; / vfio-suite v/d' -e 's,/,\ OR\ ,' -e 's/ (\*)$//' | sort -u >LICENSE.dependencies

# The same for programs, with checksums and what needs what.
packaging/sbom.sh >sbom.cdx.json

# Cargo.lock is the one that was committed, byte for byte.
git -C "$OLDPWD" show "$tree:Cargo.lock" | cmp - Cargo.lock

# Whatever the umask is. One thread: with more the blocks of xz depend on how many there are.
tar -C "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u+rwX,go+rX,go-w \
    --format=gnu -cf - "$name" | xz -T1 -6 >"$tarball.part"
mv "$tarball.part" "$tarball"
echo "$tarball"
