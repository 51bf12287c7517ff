#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Checks the installed units and the udev rule as systemd reads them: every key known, every program there, and no
# ordering cycle when the units are wanted as the generator wants them. Usage: units.sh DESTDIR (of "make install").
set -eu

dest=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
units=$work/units
mkdir -p "$units"

# systemd-analyze looks for the programs on this machine: they are in DESTDIR, and so is everything the units name.
for unit in "$dest"/usr/lib/systemd/system/vfio*; do
    sed "s,=/usr/lib/vfio/,=$dest/usr/lib/vfio/," "$unit" >"$units/${unit##*/}"
done

# What vfio-generator writes for [gpu big] with bind=boot.
mkdir -p "$units/sysinit.target.wants" "$units/default.target.wants" "$units/vfio-bind@big.service.d"
ln -s ../vfio-early.service "$units/sysinit.target.wants/vfio-early.service"
ln -s ../vfio-bind@.service "$units/sysinit.target.wants/vfio-bind@big.service"
ln -s ../vfio-boot-ok.service "$units/default.target.wants/vfio-boot-ok.service"
printf '[Unit]\nSourcePath=/etc/vfio.conf\nWants=modprobe@vfio_pci.service\nAfter=modprobe@vfio_pci.service\n' \
    >"$units/vfio-bind@big.service.d/50-vfio.conf"

# The empty last part stands for the system's own folders. An unknown key is only a message: stderr must be empty.
export SYSTEMD_UNIT_PATH=$units:
verify() {
    systemd-analyze verify --man=no "$@" 2>"$work/stderr" || true
    # Units of this machine may have findings of their own.
    if grep -E 'vfio|cycle' "$work/stderr"; then
        return 1
    fi
}
verify "$units/vfio-early.service"
verify "$units/vfio-bind@big.service"
verify "$units/vfio-boot-ok.service"

# What an edit starts, with the path unit wanted as its [Install] section says.
mkdir -p "$units/paths.target.wants"
ln -s ../vfio-sync.path "$units/paths.target.wants/vfio-sync.path"
verify "$units/vfio-sync.service"
verify "$units/vfio-sync.path"
verify paths.target

# libvirt need not be on this machine: what its units are ordered by stands in for them, under its names.
for unit in libvirtd.service libvirt-guests.service virt-guest-shutdown.target; do
    [ -e "/usr/lib/systemd/system/$unit" ] && continue
    case $unit in
    libvirtd.service) body='Wants=virt-guest-shutdown.target\nBefore=libvirt-guests.service' ;;
    libvirt-guests.service) body='Requires=virt-guest-shutdown.target\nAfter=network.target libvirtd.socket virt-guest-shutdown.target' ;;
    *.target) body='Description=stands in' ;;
    esac
    printf '[Unit]\n%b\n' "$body" >"$units/$unit"
    case $unit in
    *.service) printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n' >>"$units/$unit" ;;
    esac
done
verify "$units/vfio-guest@demo.service"
# No cycle where a boot wants a guest and libvirt's services.
mkdir -p "$units/guest.target.wants"
printf '[Unit]\nDescription=all that a guest is ordered by\n' >"$units/guest.target"
ln -s ../vfio-guest@.service "$units/guest.target.wants/vfio-guest@demo.service"
for unit in libvirtd.service libvirt-guests.service systemd-logind.service multi-user.target; do
    ln -s "../$unit" "$units/guest.target.wants/$unit"
done
verify "$units/guest.target"
# The guest comes after libvirt-guests.service, and so goes before it: an order the other way round must be a cycle.
mkdir "$units/libvirt-guests.service.d"
printf '[Unit]\nAfter=vfio-guest@demo.service\n' >"$units/libvirt-guests.service.d/test.conf"
systemd-analyze verify --man=no "$units/guest.target" 2>"$work/stderr" || true
if ! grep -q cycle "$work/stderr"; then
    echo "vfio-guest@.service is not ordered after libvirt-guests.service" >&2
    exit 1
fi
rm -r "$units/libvirt-guests.service.d" "$units"/guest.target*
# The whole boot, into each of the targets that a machine may boot into, and with the service that marks the boot as good
# wanted by either (its order must hold whoever wants it).
for wants in default.target.wants multi-user.target.wants; do
    rm -rf "$units"/default.target.wants "$units"/multi-user.target.wants
    mkdir "$units/$wants"
    ln -s ../vfio-boot-ok.service "$units/$wants/vfio-boot-ok.service"
    for target in multi-user.target graphical.target; do
        ln -sfn "/usr/lib/systemd/system/$target" "$units/default.target"
        verify "$units/default.target"
    done
done

# How exposed each service is to what it reads, in tenths. A unit says what it leaves out, and why.
for limit in vfio-boot-ok.service=16 vfio-bind@big.service=40 vfio-sync.service=50 vfio-early.service=60 \
    vfio-guest@big.service=70; do
    if ! systemd-analyze security --offline=yes --root="$dest" --threshold="${limit##*=}" --no-pager "${limit%=*}" \
        >"$work/exposure" 2>&1; then
        cat "$work/exposure" >&2
        echo "${limit%=*} is more exposed than ${limit##*=} of 100" >&2
        exit 1
    fi
done

# udevadm has "verify" since systemd 254.
rule=$dest/usr/lib/udev/rules.d/70-vfio.rules
if udevadm verify --help >/dev/null 2>&1; then
    udevadm verify --no-summary --resolve-names=never "$rule"
    rules="rule verified"
else
    rules="rule not verified: this udevadm cannot (systemd 254 can)"
fi
echo "units verified, $rules"
