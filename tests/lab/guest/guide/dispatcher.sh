#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# /etc/libvirt/hooks/qemu as the "VFIO Single GPU Passthrough Guide" has it, in other words: at every event of every domain
# it looks for qemu.d/DOMAIN/OPERATION/SUB-OPERATION, and runs that file, or whatever can be run in that folder.
set -e
place=$(dirname "$0")/qemu.d/$1/$2/$3
if [ -f "$place" ]; then
	"$place" "$@"
elif [ -d "$place" ]; then
	while read -r script; do
		"$script" "$@"
	done <<<"$(find -L "$place" -maxdepth 1 -type f -executable -print)"
fi
