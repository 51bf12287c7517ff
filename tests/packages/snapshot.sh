#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Prints all that is below /etc, /boot, /usr and /var of a tree: kind, mode, owner, path and where a link leads; then the
# sums of the files, in lines that begin with "sum". Left out is what package managers and their tools change whatever they
# install, and the user of guests, whom a removal leaves. Usage: snapshot.sh TREE
set -euo pipefail

cd "$1"
# logs and caches; lists, backups and state of dpkg, rpm, dnf and pacman; the lock and the backups of whoever adds a user.
# Images are compared by what is in them (tests/images.sh): building one again never gives the same bytes.
leave=(\( -path var/log -o -path var/cache -o -path var/lib/dpkg -o -path var/lib/apt -o -path var/lib/rpm
    -o -path var/lib/dnf -o -path var/lib/pacman -o -path var/backups -o -path var/tmp -o -name __pycache__
    -o -path etc/.pwd.lock -o -path etc/passwd- -o -path etc/group- -o -path etc/shadow- -o -path etc/gshadow- \) -prune -o)
accounts=(etc/passwd etc/group etc/shadow etc/gshadow)
find etc boot usr var "${leave[@]}" -printf '%y %m %U:%G %p %l\n' | LC_ALL=C sort
find etc boot usr var "${leave[@]}" -type f ! -path 'boot/initrd.img-*' -print0 |
    grep -zvxF "${accounts[@]/#/-e}" | LC_ALL=C sort -z | xargs -0 -r sha256sum -- | sed 's/^/sum /'
# Whoever else is there.
for file in "${accounts[@]}"; do
    [ ! -e "$file" ] || echo "sum $(sed '/^vfio-guest:/d' "$file" | sha256sum | cut -d ' ' -f 1)  $file"
done
# What dpkg knows of packages, without the order of its file.
[ ! -d var/lib/dpkg/info ] || find var/lib/dpkg/info ! -name format -printf '%y %m %U:%G %p\n' | LC_ALL=C sort
