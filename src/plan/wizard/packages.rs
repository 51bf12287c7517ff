// SPDX-License-Identifier: LGPL-2.1-or-later
//! The packages that are missing, and the command by which the system's own manager installs them.

use super::facts::{Facts, Installed};
use crate::host::software::Distribution;

/// Packages and the command; nothing if all are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packages {
    /// Their names.
    pub names: Vec<String>,
    /// The command; empty where the distribution's manager is not known.
    pub command: Vec<String>,
    /// The programs that are missing, where no package of theirs is known.
    pub programs: Vec<&'static str>,
}

/// What a guest needs.
#[derive(Debug, Clone, Copy)]
enum Need {
    Virsh,
    Daemon,
    Qemu,
    Firmware,
    Swtpm,
}

impl Need {
    const ALL: [Need; 5] = [Need::Virsh, Need::Daemon, Need::Qemu, Need::Firmware, Need::Swtpm];

    fn is_there(self, installed: Installed) -> bool {
        match self {
            Need::Virsh => installed.virsh,
            Need::Daemon => installed.daemon,
            Need::Qemu => installed.qemu,
            Need::Firmware => installed.firmware,
            Need::Swtpm => installed.swtpm,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Need::Virsh => "virsh",
            Need::Daemon => "libvirt's daemon",
            Need::Qemu => "QEMU",
            Need::Firmware => "UEFI for guests (OVMF)",
            Need::Swtpm => "swtpm",
        }
    }

    /// Packages, a list with blanks between. libvirt's networks need dnsmasq, which Arch's package leaves to the user.
    fn packages(self, distribution: Distribution) -> &'static str {
        match (distribution, self) {
            (Distribution::Debian, Need::Virsh) => "libvirt-clients",
            (Distribution::Debian, Need::Daemon) => "libvirt-daemon-system",
            (Distribution::Debian, Need::Qemu) => "qemu-system-x86 qemu-utils",
            (Distribution::Debian, Need::Firmware) => "ovmf",
            (Distribution::Debian, Need::Swtpm) => "swtpm swtpm-tools",
            (Distribution::Fedora, Need::Virsh) => "libvirt-client",
            (Distribution::Fedora, Need::Daemon) => "libvirt-daemon-kvm libvirt-daemon-config-network",
            (Distribution::Fedora, Need::Qemu) => "qemu-kvm qemu-img",
            (Distribution::Fedora, Need::Firmware) => "edk2-ovmf",
            (Distribution::Fedora, Need::Swtpm) => "swtpm swtpm-tools",
            (Distribution::Arch, Need::Virsh) => "libvirt",
            (Distribution::Arch, Need::Daemon) => "libvirt dnsmasq",
            (Distribution::Arch, Need::Qemu) => "qemu-desktop",
            (Distribution::Gentoo, Need::Virsh | Need::Daemon) => "app-emulation/libvirt",
            (Distribution::Gentoo, Need::Qemu) => "app-emulation/qemu",
            (Distribution::Gentoo, Need::Firmware) => "sys-firmware/edk2-bin",
            (Distribution::Gentoo, Need::Swtpm) => "app-crypt/swtpm",
            (Distribution::Suse, Need::Virsh) => "libvirt-client",
            (Distribution::Suse, Need::Daemon) => "libvirt-daemon-qemu libvirt-daemon-config-network",
            (Distribution::Suse, Need::Qemu) => "qemu-x86 qemu-img",
            (Distribution::Suse, Need::Firmware) => "qemu-ovmf-x86_64",
            (Distribution::Arch, Need::Firmware) => "edk2-ovmf",
            (Distribution::Arch | Distribution::Suse, Need::Swtpm) => "swtpm",
        }
    }
}

/// How a distribution installs packages without a question.
fn installer(distribution: Distribution) -> &'static [&'static str] {
    match distribution {
        Distribution::Debian => &["apt-get", "install", "-y"],
        Distribution::Fedora => &["dnf", "install", "-y"],
        Distribution::Arch => &["pacman", "-S", "--needed", "--noconfirm"],
        Distribution::Gentoo => &["emerge", "--noreplace"],
        Distribution::Suse => &["zypper", "--non-interactive", "install"],
    }
}

/// What takes packages away again, which is left to a person.
pub fn remover(install: &[String]) -> &'static str {
    match install.first().map(String::as_str) {
        Some("dnf") => "dnf remove",
        Some("pacman") => "pacman -Rs",
        Some("emerge") => "emerge --deselect",
        Some("zypper") => "zypper remove",
        _ => "apt-get remove",
    }
}

/// What is missing for a guest of this domain. A TPM and UEFI are needed where its domain has them; for a guest that is still to
/// be made both are.
pub fn missing(facts: &Facts, domain: Option<&str>) -> Packages {
    let text = domain.and_then(|name| facts.domain(name)).and_then(|(_, text)| text.as_deref());
    let needs = |need: &Need| match (need, text) {
        (Need::Swtpm, Some(text)) => text.contains("<tpm"),
        (Need::Firmware, Some(text)) => text.contains("pflash") || text.contains("firmware='efi'"),
        _ => true,
    };
    let open = Need::ALL.into_iter().filter(|need| needs(need) && !need.is_there(facts.installed));
    let mut found = Packages::default();
    for need in open {
        found.programs.push(need.name());
        for package in facts.distribution.map(|of| need.packages(of)).unwrap_or_default().split_whitespace() {
            if !found.names.iter().any(|known| known == package) {
                found.names.push(package.to_owned());
            }
        }
    }
    if let Some(distribution) = facts.distribution.filter(|_| !found.names.is_empty()) {
        let words = installer(distribution).iter().map(|word| (*word).to_owned());
        found.command = words.chain(found.names.iter().cloned()).collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_guest_needs_is_installed() {
        let facts = |distribution, text: Option<&str>| Facts {
            distribution,
            installed: Installed { virsh: true, daemon: true, qemu: true, ..Installed::default() },
            domains: vec![("w".to_owned(), text.map(str::to_owned))],
            ..Facts::default()
        };
        let command = |distribution, text, domain| missing(&facts(distribution, text), domain).command.join(" ");
        let arch = Some(Distribution::Arch);
        assert_eq!(command(arch, Some("<domain/>"), Some("w")), "");
        assert_eq!(command(arch, Some("<tpm model='x'/>"), Some("w")), "pacman -S --needed --noconfirm swtpm");
        assert_eq!(command(arch, None, None), "pacman -S --needed --noconfirm edk2-ovmf swtpm");
        assert_eq!(command(Some(Distribution::Debian), Some("type='pflash'"), Some("w")), "apt-get install -y ovmf");
        let unknown = missing(&facts(None, None), None);
        assert_eq!((unknown.command.len(), unknown.programs.len()), (0, 2));
        let fresh = Facts { distribution: arch, ..Facts::default() };
        let all = missing(&fresh, None);
        assert_eq!(all.names.join(" "), "libvirt dnsmasq qemu-desktop edk2-ovmf swtpm");
        assert_eq!(remover(&all.command), "pacman -Rs");
    }
}
