// SPDX-License-Identifier: LGPL-2.1-or-later
//! The packages that are missing, and the command by which the system's own manager installs them.

use super::answers::Answers;
use super::facts::{Facts, Installed};
use crate::host::software::Distribution;
use crate::plan::packages::Program;

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

/// What a guest needs, in the order in which it is told.
const NEEDED: [Program; 6] =
    [Program::Virsh, Program::Daemon, Program::Qemu, Program::Uefi, Program::Swtpm, Program::VirtInstall];

/// Which guest they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For<'a> {
    /// One with this domain, which is there.
    Domain(&'a str),
    /// One that is made.
    New,
    /// None yet.
    Nobody,
}

impl<'a> For<'a> {
    /// The guest of these answers.
    pub fn of(answers: &'a Answers) -> For<'a> {
        match &answers.domain {
            Some(domain) if answers.has_domain => For::Domain(domain),
            Some(_) if answers.new.is_some() => For::New,
            _ => For::Nobody,
        }
    }
}

fn is_there(program: Program, installed: Installed) -> bool {
    match program {
        Program::Virsh => installed.virsh,
        Program::Daemon => installed.daemon,
        Program::Qemu => installed.qemu,
        Program::Uefi => installed.firmware,
        Program::Swtpm => installed.swtpm,
        Program::VirtInstall => installed.virt_install,
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

/// What is missing for a guest. A TPM and UEFI are needed where its domain has them; for a guest that is still to be made both
/// are.
pub fn missing(facts: &Facts, guest: For<'_>) -> Packages {
    let text = match guest {
        For::Domain(name) => facts.domain(name).and_then(|(_, text)| text.as_deref()),
        For::New | For::Nobody => None,
    };
    let needs = |program: &Program| match (program, text) {
        (Program::VirtInstall, _) => guest == For::New,
        (Program::Swtpm, Some(text)) => text.contains("<tpm"),
        (Program::Uefi, Some(text)) => text.contains("pflash") || text.contains("firmware='efi'"),
        _ => true,
    };
    let open = NEEDED.into_iter().filter(|program| needs(program) && !is_there(*program, facts.installed));
    let mut found = Packages::default();
    for program in open {
        found.programs.push(program.name());
        for package in facts.distribution.map(|of| program.packages(of)).unwrap_or_default().split_whitespace() {
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
        let command = |distribution, text, guest| missing(&facts(distribution, text), guest).command.join(" ");
        let arch = Some(Distribution::Arch);
        assert_eq!(command(arch, Some("<domain/>"), For::Domain("w")), "");
        let (there, debian) = (For::Domain("w"), Some(Distribution::Debian));
        assert_eq!(command(arch, Some("<tpm model='x'/>"), there), "pacman -S --needed --noconfirm swtpm");
        assert_eq!(command(arch, None, For::Nobody), "pacman -S --needed --noconfirm edk2-ovmf swtpm");
        assert_eq!(command(debian, Some("type='pflash'"), there), "apt-get install -y ovmf");
        assert_eq!(command(debian, None, For::New), "apt-get install -y ovmf swtpm swtpm-tools virtinst");
        let unknown = missing(&facts(None, None), For::Nobody);
        assert_eq!((unknown.command.len(), unknown.programs.len()), (0, 2));
        let fresh = Facts { distribution: arch, ..Facts::default() };
        let all = missing(&fresh, For::Nobody);
        assert_eq!(all.names.join(" "), "libvirt dnsmasq qemu-desktop edk2-ovmf swtpm");
        assert_eq!(remover(&all.command), "pacman -Rs");
    }
}
