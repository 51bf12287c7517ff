#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Prints what virt-install recommends for a system, asked as 'vfio guest define' asks it, with its random parts made equal:
# sim/virt-install/SYSTEM.xml is such a text. Usage: record.sh SYSTEM [OPTION...]
set -eu

virt-install --print-xml --dry-run --import --connect qemu:///system --name recorded --osinfo "$1" --machine q35 --boot uefi,hd,cdrom \
    --disk none --network network=default,model=virtio \
    --channel unix,target.type=virtio,target.name=org.qemu.guest_agent.0 "${@:2}" |
    sed -E -e '/^$/d' -e 's|<uuid>.*</uuid>|<uuid>11111111-2222-4333-8444-555555555555</uuid>|' \
        -e 's|52:54:00:..:..:..|52:54:00:00:00:01|'
