#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Prints all that is below /etc, /boot, /usr and /var of a tree: kind, mode, owner, path and where a link leads; then the
# sums of the files, in lines that begin with "sum". Left out is what package managers and their tools change whatever they
# install. Usage: snapshot.sh TREE
set -euo pipefail

cd "$1"
# logs and caches; lists, backups and state of dpkg, rpm, dnf and pacman. Images are compared by what is in them
# (tests/images.sh): building one again never gives the same bytes.
leave=(\( -path var/log -o -path var/cache -o -path var/lib/dpkg -o -path var/lib/apt -o -path var/lib/rpm
    -o -path var/lib/dnf -o -path var/lib/pacman -o -path var/backups -o -path var/tmp -o -name __pycache__ \) -prune -o)
find etc boot usr var "${leave[@]}" -printf '%y %m %U:%G %p %l\n' | LC_ALL=C sort
find etc boot usr var "${leave[@]}" -type f ! -path 'boot/initrd.img-*' -print0 | LC_ALL=C sort -z |
    xargs -0 -r sha256sum -- | sed 's/^/sum /'
# What dpkg knows of packages, without the order of its file.
[ ! -d var/lib/dpkg/info ] || find var/lib/dpkg/info ! -name format -printf '%y %m %U:%G %p\n' | LC_ALL=C sort
