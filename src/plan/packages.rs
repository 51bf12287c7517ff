// SPDX-License-Identifier: LGPL-2.1-or-later
//! Programs that guests need, and the packages that have them, by distribution.

use crate::host::software::Distribution;

/// A program that guests need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// libvirt's command.
    Virsh,
    /// libvirt's daemon.
    Daemon,
    /// The emulator.
    Qemu,
    /// Guests' UEFI firmware.
    Uefi,
    /// The emulator of a TPM.
    Swtpm,
    /// What a new domain begins with.
    VirtInstall,
}

impl Program {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Program::Virsh => "virsh",
            Program::Daemon => "libvirt's daemon",
            Program::Qemu => "QEMU",
            Program::Uefi => "UEFI firmware for guests (OVMF)",
            Program::Swtpm => "swtpm",
            Program::VirtInstall => "virt-install",
        }
    }

    /// The packages that have it, with blanks between. libvirt's networks need dnsmasq, which Arch's package leaves to the user.
    pub fn packages(self, distribution: Distribution) -> &'static str {
        match (distribution, self) {
            (Distribution::Debian, Program::Virsh) => "libvirt-clients",
            (Distribution::Debian, Program::Daemon) => "libvirt-daemon-system",
            (Distribution::Debian, Program::Qemu) => "qemu-system-x86 qemu-utils",
            (Distribution::Debian, Program::Uefi) => "ovmf",
            (Distribution::Debian | Distribution::Fedora, Program::Swtpm) => "swtpm swtpm-tools",
            (Distribution::Fedora | Distribution::Suse, Program::Virsh) => "libvirt-client",
            (Distribution::Fedora, Program::Daemon) => "libvirt-daemon-kvm libvirt-daemon-config-network",
            (Distribution::Fedora, Program::Qemu) => "qemu-kvm qemu-img",
            (Distribution::Fedora | Distribution::Arch, Program::Uefi) => "edk2-ovmf",
            (Distribution::Arch, Program::Virsh) => "libvirt",
            (Distribution::Arch, Program::Daemon) => "libvirt dnsmasq",
            (Distribution::Arch, Program::Qemu) => "qemu-desktop",
            (Distribution::Arch | Distribution::Suse, Program::Swtpm) => "swtpm",
            (Distribution::Debian, Program::VirtInstall) => "virtinst",
            (Distribution::Fedora | Distribution::Arch | Distribution::Suse, Program::VirtInstall) => "virt-install",
            (Distribution::Gentoo, Program::VirtInstall) => "app-emulation/virt-manager",
            (Distribution::Gentoo, Program::Virsh | Program::Daemon) => "app-emulation/libvirt",
            (Distribution::Gentoo, Program::Qemu) => "app-emulation/qemu",
            (Distribution::Gentoo, Program::Uefi) => "sys-firmware/edk2-bin",
            (Distribution::Gentoo, Program::Swtpm) => "app-crypt/swtpm",
            (Distribution::Suse, Program::Daemon) => "libvirt-daemon-qemu libvirt-daemon-config-network",
            (Distribution::Suse, Program::Qemu) => "qemu-x86 qemu-img",
            (Distribution::Suse, Program::Uefi) => "qemu-ovmf-x86_64",
        }
    }

    /// That it is not installed, and what is.
    pub fn missing(self, distribution: Option<Distribution>) -> (String, String) {
        let text = format!("{} is not installed", self.name());
        match distribution {
            Some(distribution) => (text, format!("install {}", self.packages(distribution))),
            None => (text, format!("install the package that has {}", self.name())),
        }
    }
}
