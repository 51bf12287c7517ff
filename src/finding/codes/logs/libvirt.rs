// SPDX-License-Identifier: LGPL-2.1-or-later
//! Lines of libvirt, of our units, and of what confines them: AppArmor, SELinux.

use super::drivers::{DRIVER_REMOVE_HANGS, NVIDIA_REMOVE_WAITS};
use super::reset::{CARD_STAYS_WITHOUT_POWER, NOT_READY_AFTER_RESET, NOT_READY_AFTER_RESUME};

rules! {
    LIBVIRT_CARD_DEAD "libvirt-card-dead" Libvirt Error
        ["Unknown PCI header type '127'"]
        follows [CARD_STAYS_WITHOUT_POWER, NOT_READY_AFTER_RESUME, NOT_READY_AFTER_RESET]
        "The card answers with ones only: it has crashed or lost power."
        "Reboot; if it does not answer then either, switch the machine off and on.";
    LIBVIRT_CARD_IN_USE "libvirt-card-in-use" Libvirt Error
        ["PCI device * is in use by driver "]
        "Another domain has the card."
        "Shut that domain down first.";
    LIBVIRT_CARD_UNMANAGED "libvirt-card-unmanaged" Libvirt Error
        ["Unmanaged PCI device * must be manually detached from the host"]
        "The domain leaves binding the card to others (managed='no'), and it is not bound to vfio."
        "Bind the card ('vfio bind NAME'), or write managed='yes' in the domain.";
    LIBVIRT_CARD_NOT_ASSIGNABLE "libvirt-card-not-assignable" Libvirt Error
        ["PCI device * is not assignable"]
        "A bridge above the card cannot keep devices apart (ACS), and libvirt was told to be strict about that."
        "Use another slot, or set 'relaxed_acs_check = 1' in /etc/libvirt/qemu.conf.";
    LIBVIRT_NO_PASSTHROUGH "libvirt-no-passthrough" Libvirt Error
        ["host doesn't support passthrough of host PCI devices", "host doesn't support VFIO PCI passthrough", "VFIO device assignment is currently not supported on this system"]
        "libvirt sees no IOMMU groups, or no vfio in this kernel."
        "See 'vfio doctor --only cards'; if the kernel was updated, reboot.";
    LIBVIRT_LOCKED "libvirt-locked" Libvirt Warning
        ["cannot acquire state change lock"] follows [DRIVER_REMOVE_HANGS, NVIDIA_REMOVE_WAITS]
        "libvirt waits for another action on the domain: a hook that calls virsh, or a driver that does not release a card."
        "Remove hooks that call virsh ('ls -R /etc/libvirt/hooks'); if a driver hangs, reboot.";
    LIBVIRT_NETWORK_OFF "libvirt-network-off" Libvirt Error
        ["network '*' is not active"]
        "A network that the domain uses does not run."
        "Run 'virsh net-start NAME' and 'virsh net-autostart NAME'; 'vfio setup' does both for the default network.";
    LIBVIRT_NO_FIRMWARE "libvirt-no-firmware" Libvirt Error
        ["Unable to find any firmware to satisfy 'efi'"]
        "No UEFI firmware for guests is installed that fits the domain."
        "Install it: ovmf (Debian), edk2-ovmf (Fedora, Arch, Gentoo).";
    LIBVIRT_NO_TPM "libvirt-no-tpm" Libvirt Error
        ["Unable to find 'swtpm", "TPM version '2.0' is not supported", "swtpm_setup * not found"]
        "The domain has a TPM, and swtpm, which emulates it, is not installed."
        "Install swtpm (on Debian with swtpm-tools).";
    LIBVIRT_MODULES_GONE "libvirt-modules-gone" Libvirt Error
        ["modprobe: FATAL: Module * not found in directory /lib/modules/"]
        "A module of the running kernel is not there: the kernel was updated and the machine has not been rebooted."
        "Reboot.";
    APPARMOR_DENIED "apparmor-denied" Audit Error
        ["apparmor=\"DENIED\"*profile=\"libvirt-", "profile=\"libvirt-*apparmor=\"DENIED\""]
        "AppArmor keeps QEMU from a file that the domain needs; the line names it."
        "Move the file to a place that libvirt's profile allows, such as /usr/share/vgabios, or add a line to /etc/apparmor.d/abstractions/libvirt-qemu.d/.";
    SELINUX_DENIED "selinux-denied" Audit Error
        ["avc:  denied *svirt_t", "avc:  denied *comm=\"qemu", "avc:  denied *comm=\"rpc-virtqemud\""]
        "SELinux keeps QEMU or libvirt from a file that the domain needs; the line names it."
        "Give the file the label virt_content_t ('semanage fcontext -a -t virt_content_t PATH', then 'restorecon PATH').";
    UNIT_START_LIMIT "unit-start-limit" Libvirt Warning
        ["Start request repeated too quickly"]
        "systemd does not start a unit any more because it has failed too often in a short time."
        "Run 'systemctl reset-failed', then start it again and look at its journal.";
}
