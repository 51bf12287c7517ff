#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# In a tree of Debian with libvirt and virt-install, as root, libvirt's daemon running: has /opt/vfio define guests from nothing,
# each as the real virt-install recommends it and the real libvirt takes it, and remove them again. The card is two files'
# worth of a machine that is not this one.
set -eu

virsh() { command virsh --quiet --connect qemu:///system "$@"; }
fail() {
    echo "define: $*" >&2
    exit 1
}

# What sim/virt-install has is what the real one says.
for recorded in /opt/recorded/*.xml; do
    os=${recorded##*/}
    os=${os%.xml}
    options=()
    [ "$os" != generic ] || options=(--memory 4096)
    bash /opt/record.sh "$os" "${options[@]}" >/tmp/recommended
    if [ "$VFIO_SUITE" = trixie ]; then
        diff -u "$recorded" /tmp/recommended || fail "virt-install recommends something else for $os than was recorded"
    fi
done

# The machine's own cards are nobody's here.
for directory in /sys/bus/pci/devices /sys/kernel/iommu_groups /sys/class/iommu; do
    mount -t tmpfs tmpfs $directory
done
mkdir -p /sys/class/iommu/dmar0 /sys/kernel/iommu_groups/7/devices
for function in 0 1; do
    device=/sys/bus/pci/devices/0000:03:00.$function
    mkdir "$device"
    ln -s /sys/kernel/iommu_groups/7 "$device/iommu_group"
    ln -s "$device" /sys/kernel/iommu_groups/7/devices/
    for attribute in vendor=0x1002 subsystem_vendor=0x1002 subsystem_device=0x0001; do
        echo "${attribute#*=}" >"$device/${attribute%%=*}"
    done
done
echo 0x73df >/sys/bus/pci/devices/0000:03:00.0/device
echo 0x030000 >/sys/bus/pci/devices/0000:03:00.0/class
echo 0xab28 >/sys/bus/pci/devices/0000:03:00.1/device
echo 0x040300 >/sys/bus/pci/devices/0000:03:00.1/class
cat >/etc/vfio.conf <<'END'
[gpu big]
device = 0000:03:00.0
bind = guest
[guest made]
gpus = big
handover = hot
hide = yes
memory = 2G
looking-glass = 1920x1080
display = card
END
mkdir -p /var/lib/libvirt/images
for image in installer drivers; do
    truncate -s 32769 /opt/$image.iso
    printf CD001 >>/opt/$image.iso
done
disk=/var/lib/libvirt/images/made.qcow2
good=0
for os in win11 win10 debian12 generic; do
    /opt/vfio guest define made --os $os --disk 4G --iso /opt/installer.iso --virtio-win /opt/drivers.iso --dry-run \
        >/tmp/said 2>&1 && fail "$os: --dry-run would change nothing: $(cat /tmp/said)"
    if [ -e $disk ] || [ -n "$(virsh list --all --name)" ]; then
        fail "$os: --dry-run has changed something"
    fi
    /opt/vfio guest define made --os $os --disk 4G --iso /opt/installer.iso --virtio-win /opt/drivers.iso --yes \
        >/tmp/said 2>&1 || fail "$os: $(tail -n 3 /tmp/said)"
    [ "$(stat -c %a $disk)" = 600 ] || fail "$os: the disk is $(stat -c %a $disk)"
    qemu-img check -q $disk || fail "$os: the disk is not well"
    virsh dumpxml --inactive made >/tmp/made.xml
    for part in 'ua-vfio-big-0' "dev='vda' bus='virtio'" "type='pflash'" "<hidden state='on'/>" 'org.qemu.guest_agent.0'; do
        grep -q -- "$part" /tmp/made.xml || fail "$os: the domain has no $part"
    done
    # As little is left to do for an edit as the section says: the picture stays on the emulated display for set-up.
    sed -i 's/^display = card/#&/' /etc/vfio.conf
    # What the next start needs, a network here, is said all the same.
    [ "$(/opt/vfio guest edit made --dry-run | grep -v '^warning: ')" = "nothing to do" ] || fail "$os: an edit would change the new domain"
    sed -i 's/^#display/display/' /etc/vfio.conf
    # Without the cards, which are not there, and with less memory it starts, and QEMU finds its firmware.
    xsltproc /opt/startable.xsl /tmp/made.xml | sed 's:<name>made<:<name>started<:; /<uuid>/d' >/tmp/started.xml
    virsh create /tmp/started.xml >/tmp/said 2>&1 || fail "$os: it does not start: $(cat /tmp/said)"
    virsh destroy started >/dev/null
    # The start has written nothing, so the disk goes too.
    /opt/vfio guest define made --undo --yes >/tmp/said 2>&1 || fail "$os: $(cat /tmp/said)"
    [ ! -e $disk ] || fail "$os: the disk stays: $(cat /tmp/said)"
    [ -z "$(virsh list --all --name)" ] || fail "$os: the domain stays"
    [ -z "$(ls /var/lib/vfio/domains)" ] || fail "$os: something of vfio stays"
    good=$((good + 1))
done
# A disk with something in it stays.
/opt/vfio guest define made --os win11 --disk 4G --yes >/dev/null 2>&1
qemu-io -f qcow2 -c 'write 0 64k' $disk >/dev/null
/opt/vfio guest define made --undo --yes >/tmp/said 2>&1 || fail "$(cat /tmp/said)"
[ -e $disk ] || fail "a disk with something in it is gone"
umount /sys/bus/pci/devices /sys/kernel/iommu_groups /sys/class/iommu
echo "$good guests made from nothing, started and removed"
