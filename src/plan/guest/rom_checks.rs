// SPDX-License-Identifier: LGPL-2.1-or-later
//! What must be so of the option ROMs that a guest is to have: right for the card, in the domain or the command, readable.

use crate::config::{Gpu, Guest, Runner};
use crate::finding::codes;
use crate::host::apparmor;
use crate::host::domain::{Domain, HostDevice};
use crate::host::Host;
use crate::pci::Address;
use crate::plan::guest::{DomainState, GuestContext, RomFile};
use crate::plan::rom::function;
use crate::plan::rom::judge::{judge, Purpose};
use crate::plan::selection::Selection;
use crate::plan::Finding;
use crate::text::shell_word;

/// In a command: the path of the first card's ROM.
pub(super) const PLACE: &str = "{rom}";

/// Why the guest cannot start (errors), and what the user should know although it can (warnings).
pub(super) fn check(guest: &Guest, selections: &[Selection<'_>], host: &Host, context: &GuestContext) -> Vec<Finding> {
    let domain = match &context.domain {
        Some(DomainState::Known { domain, .. }) => Some(&**domain),
        _ => None,
    };
    let all = Roms { guest, host, context, domain };
    let mut findings = Vec::new();
    for selection in selections {
        if let Some(rom) = &selection.gpu.rom {
            findings.extend(all.configured(selection, &rom.value));
        }
    }
    let configured =
        |path: &String| selections.iter().any(|c| c.gpu.rom.as_ref().is_some_and(|rom| rom.value == *path));
    let others = domain.iter().flat_map(|domain| &domain.hostdevs);
    for (device, path) in
        others.filter_map(|device| Some((device, device.rom.as_ref()?))).filter(|(_, path)| !configured(path))
    {
        findings.extend(all.of_domain(device, path));
    }
    findings.extend(without(guest, selections));
    findings
}

/// Everything there is to judge by.
struct Roms<'a> {
    guest: &'a Guest,
    host: &'a Host,
    context: &'a GuestContext,
    domain: Option<&'a Domain>,
}

impl Roms<'_> {
    /// The ROM that a card's section names.
    fn configured(&self, selection: &Selection<'_>, path: &str) -> Vec<Finding> {
        let gpu = selection.gpu;
        let display = function(selection, self.host).map(|function| function.address);
        let mut findings: Vec<Finding> = self.used(gpu, display, path).into_iter().collect();
        let counts = findings.is_empty();
        for finding in self.judged(path, display) {
            // What the guest does not see keeps it from nothing.
            findings.push(if counts { finding } else { finding.warning() });
        }
        let at = gpu.rom.as_ref().map_or(&gpu.at, |rom| &rom.at);
        let of_card = |finding: Finding| {
            Finding::card(gpu, at, finding.code, finding.text.clone()).like(&finding).for_guest(self.guest)
        };
        findings.into_iter().map(of_card).collect()
    }

    /// A ROM that only the domain names.
    fn of_domain(&self, device: &HostDevice, path: &str) -> Vec<Finding> {
        let of_guest = |finding: Finding| Finding::guest(self.guest, finding.code, finding.text.clone()).like(&finding);
        self.judged(path, Some(device.address)).into_iter().map(of_guest).collect()
    }

    /// What is to be said of a file as the ROM of a function.
    fn judged(&self, path: &str, function: Option<Address>) -> Vec<Finding> {
        let Some(file) = self.context.roms.iter().find(|file| file.path == path) else { return Vec::new() };
        let card = function.and_then(|address| self.host.function(address)).map(|f| (f.vendor, f.device));
        let purpose = Purpose { card, firmware: self.domain.and_then(|domain| domain.firmware) };
        let named = |finding: Finding| Finding { text: format!("the option ROM {path} {}", finding.text), ..finding };
        let judged = judge(file.rom.as_ref().map_err(|why| *why), purpose).into_iter().map(named);
        judged.chain(self.domain.and_then(|_| unreadable(self.guest, file))).collect()
    }

    /// Whether the guest gets the ROM of a card's section: its domain names it, or its command.
    fn used(&self, gpu: &Gpu, display: Option<Address>, path: &str) -> Option<Finding> {
        let finding = |code, text: String| Finding::guest(self.guest, code, text).warning();
        if self.guest.runner == Runner::Command {
            let named = self.guest.command.iter().any(|word| word.contains(PLACE) || word.contains(path));
            let text = format!("'command' does not have the option ROM {path}");
            return (!named)
                .then(|| finding(codes::ROM_NOT_IN_COMMAND, text).hint("write romfile={rom} at its device"));
        }
        let device = self.domain?.hostdevs.iter().find(|device| Some(device.address) == display)?;
        let domain = &self.guest.domain;
        let way = format!("'vfio guest edit {}' writes it into the domain", self.guest.name);
        match &device.rom {
            Some(other) if other == path => None,
            Some(other) => {
                let text = format!("domain {domain} has the option ROM {other}, which counts, and 'rom' names {path}");
                Some(finding(codes::ROM_OTHER_IN_DOMAIN, text).hint(way))
            }
            None => {
                let text =
                    format!("domain {domain} does not have the option ROM {path}, so [gpu {}] shows its own", gpu.name);
                Some(finding(codes::ROM_NOT_IN_DOMAIN, text).hint(way))
            }
        }
    }
}

/// QEMU is kept from reading it by what confines the system's domains, or by owners and modes.
pub(super) fn unreadable(guest: &Guest, file: &RomFile) -> Option<Finding> {
    if !guest.uri.ends_with(":///system") {
        return None;
    }
    let (path, name) = (&file.path, file.path.rsplit('/').next().unwrap_or_default());
    if let Some(packages) = file.confined {
        let text = format!("the option ROM {path} cannot be read by QEMU: AppArmor's rules for domains do not have it");
        let hint = if packages {
            format!("move it to /var/lib/vfio/{name}, which the package's rules have")
        } else {
            format!("move it to {}/{name}, where QEMU may read", apparmor::ALLOWED)
        };
        return Some(Finding::guest(guest, codes::ROM_APPARMOR, text).hint(hint));
    }
    if let Some((place, user)) = &file.closed {
        let what = if place == path { "may not read it" } else { "may not enter its directory" };
        let text = format!("the option ROM {path} cannot be read by QEMU: '{user}', who runs QEMU, {what}");
        let hint = if place == path { format!("'chmod 644 {path}'") } else { format!("'chmod o+x {place}'") };
        return Some(Finding::guest(guest, codes::ROM_PERMISSIONS, text).hint(hint));
    }
    let label = file.label.as_ref()?;
    let text = format!("the option ROM {path} cannot be read by QEMU: SELinux forbids it for files of type {label}");
    let hint =
        format!("as root: semanage fcontext -a -t virt_content_t {} && restorecon -v {}", only(path), shell_word(path));
    Some(Finding::guest(guest, codes::ROM_SELINUX, text).hint(hint))
}

/// A path as semanage-fcontext(8) wants it, an expression that fits this path only, as a word for a shell.
fn only(path: &str) -> String {
    let mut expression = String::new();
    for c in path.chars() {
        if !c.is_alphanumeric() && !"/_- ".contains(c) {
            expression.push('\\');
        }
        expression.push(c);
    }
    shell_word(&expression).into_owned()
}

/// A command that asks for the ROM of a card that has none.
fn without(guest: &Guest, selections: &[Selection<'_>]) -> Option<Finding> {
    let asks = guest.runner == Runner::Command && guest.command.iter().any(|word| word.contains(PLACE));
    let gpu = selections.first().map(|selection| selection.gpu).filter(|gpu| asks && gpu.rom.is_none())?;
    let text = format!("'command' has {PLACE}, and [gpu {}] has no 'rom'", gpu.name);
    Some(Finding::guest(guest, codes::ROM_NOT_SET, text).hint("set 'rom' there, or take romfile= out of 'command'"))
}

#[cfg(test)]
#[path = "rom_checks_tests.rs"]
mod tests;
