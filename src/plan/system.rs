// SPDX-License-Identifier: LGPL-2.1-or-later
//! What guests need of the system: programs with the packages that have them, libvirt that runs and calls our hook, a clock.

use crate::config::{Config, Runner};
use crate::finding::codes::{self, Code};
use crate::finding::{Finding, Part, Severity};
use crate::host::software::Distribution;
use crate::pci::Address;
use crate::plan::packages::Program;

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct SystemFacts {
    /// The distribution; `None` if its packages are not known.
    pub distribution: Option<Distribution>,
    /// Whether virsh is there.
    pub virsh: bool,
    /// Whether QEMU is there.
    pub qemu: bool,
    /// Whether swtpm is there.
    pub swtpm: bool,
    /// What is still to be done for libvirt and its network: commands.
    pub setup: Vec<String>,
    /// Whether libvirt's daemon was started before our hook was there.
    pub hook_unseen: bool,
    /// The clock that the kernel uses.
    pub clock: Option<String>,
    /// The user who asks through sudo, and the groups for guests that the user is not in.
    pub outside: Option<(String, Vec<String>)>,
    /// Functions of cards that are bound to vfio and may sleep, with the name of the section.
    pub sleepers: Vec<(Address, String)>,
}

/// A finding of each that is not as guests need it. Without a guest nothing is needed.
pub fn findings(facts: &SystemFacts, config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |id, severity, code: Code, text: String, todo: &str| {
        found.push(Finding::check(Part::System, id, severity, code, text).hint(todo));
    };
    let libvirt = config.guests.iter().any(|guest| guest.runner == Runner::Libvirt);
    let tpm = config.guests.iter().any(|guest| guest.definition.tpm == Some(true));
    for (program, needed, there) in [
        (Program::Virsh, libvirt, facts.virsh),
        (Program::Qemu, libvirt, facts.qemu),
        (Program::Swtpm, tpm, facts.swtpm),
    ] {
        if needed && !there {
            let (text, todo) = program.missing(facts.distribution);
            add("programs", Severity::Error, codes::PROGRAM_MISSING, text, &todo);
        }
    }
    if libvirt && facts.virsh && !facts.setup.is_empty() {
        let text = format!("libvirt is not ready for guests: {}", facts.setup.join("; "));
        add("services", Severity::Warning, codes::LIBVIRT_NOT_READY, text, "run 'vfio setup --services'");
    }
    if libvirt && facts.hook_unseen {
        let text =
            "libvirt's daemon was started before the hook of vfio was installed, and does not call it".to_owned();
        let todo = "restart libvirtd or virtqemud, whichever runs: guests go on running";
        add("hook", Severity::Warning, codes::HOOK_NOT_SEEN, text, todo);
    }
    let slow = |clock: &&str| matches!(*clock, "hpet" | "acpi_pm" | "jiffies" | "pit");
    if let Some(clock) = facts.clock.as_deref().filter(slow).filter(|_| !config.guests.is_empty()) {
        let text = format!("the kernel uses the clock '{clock}' instead of the processor's, which slows guests down");
        let todo = "look for what the kernel has said of 'tsc'; update the firmware, or boot with 'tsc=reliable'";
        add("clock", Severity::Warning, codes::CLOCK_SLOW, text, todo);
    }
    if let Some((user, groups)) = facts.outside.as_ref().filter(|_| libvirt) {
        let text = format!("{user} is not in {}, which may manage guests without being root", groups.join(", "));
        let todo = "run 'vfio setup --services'; it counts from the next login on";
        add("groups", Severity::Note, codes::USER_NOT_IN_GROUPS, text, todo);
    }
    for (function, gpu) in &facts.sleepers {
        let text = format!("[gpu {gpu}] {function} is bound to vfio and may sleep, from which not every card wakes up");
        add("power", Severity::Warning, codes::CARD_MAY_SLEEP, text, &format!("run 'vfio bind {gpu}'"));
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const GUEST: &[u8] = b"[gpu big]\ndevice = 0000:03:00.0\n[guest win10]\ngpus = big\ntpm = yes\n";

    fn all_there() -> SystemFacts {
        SystemFacts { virsh: true, qemu: true, swtpm: true, clock: Some("tsc".to_owned()), ..SystemFacts::default() }
    }

    #[test]
    fn each_trouble_is_told_with_what_to_do() {
        let config = crate::config::parse_files(&[("/etc/vfio.conf", GUEST)]);
        let none = crate::config::parse_files(&[("/etc/vfio.conf", b"[gpu big]\ndevice = 0000:03:00.0\n")]);
        let arch = Some(Distribution::Arch);
        let sleeper = ("0000:03:00.0".parse().unwrap(), "big".to_owned());
        for (facts, code, word) in [
            (
                SystemFacts { virsh: false, distribution: Some(Distribution::Debian), ..all_there() },
                codes::PROGRAM_MISSING,
                "libvirt-clients",
            ),
            (SystemFacts { qemu: false, distribution: arch, ..all_there() }, codes::PROGRAM_MISSING, "qemu-desktop"),
            (SystemFacts { swtpm: false, ..all_there() }, codes::PROGRAM_MISSING, "the package that has swtpm"),
            (
                SystemFacts { setup: vec!["systemctl start libvirtd".to_owned()], ..all_there() },
                codes::LIBVIRT_NOT_READY,
                "vfio setup",
            ),
            (SystemFacts { hook_unseen: true, ..all_there() }, codes::HOOK_NOT_SEEN, "restart"),
            (SystemFacts { clock: Some("hpet".to_owned()), ..all_there() }, codes::CLOCK_SLOW, "tsc"),
            (SystemFacts { sleepers: vec![sleeper], ..all_there() }, codes::CARD_MAY_SLEEP, "vfio bind big"),
        ] {
            let found = findings(&facts, &config);
            let hint = found[0].hint.as_deref().unwrap();
            assert!(found.len() == 1 && found[0].code == code && hint.contains(word), "{found:?}");
            // Without a guest only what cards themselves do counts.
            assert_eq!(findings(&facts, &none).len(), usize::from(code == codes::CARD_MAY_SLEEP), "{code}");
        }
        assert_eq!(findings(&all_there(), &config), []);
    }
}
