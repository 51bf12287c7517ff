// SPDX-License-Identifier: LGPL-2.1-or-later
//! A libvirt domain that no `[guest]` section names, and that gets a configured card.

use crate::config::Config;
use crate::finding::{codes, Finding, Section};
use crate::host::domain::Domain;
use crate::host::{function, Host};
use crate::plan::idle;
use crate::plan::selection::Selection;
use crate::text::shell_command;

/// Why such a domain may not start: a driver of the host has a function of the card, and libvirt would unbind that from under
/// whatever uses it, or refuse a function that is not managed. What is bound to vfio, or to no driver, is nobody's loss; and
/// where vfio is switched off, it has no say.
pub fn refusal(config: &Config, selections: &[Selection<'_>], domain: &Domain, host: &Host) -> Option<Finding> {
    if idle(config, host).is_some() {
        return None;
    }
    for selection in selections {
        let Ok(selected) = &selection.selected else { continue };
        for device in domain.hostdevs.iter().filter(|device| selected.functions.contains(&device.address)) {
            let Some(function) = host.function(device.address) else { continue };
            let Some(driver) = function.driver.as_deref().filter(|driver| !function::is_vfio(driver)) else { continue };
            let gpu = &selection.gpu.name;
            let text = format!(
                "domain {} gets {} ({}) of [gpu {gpu}], which is bound to {driver}, and no [guest] section says how the host \
                 gives it away",
                domain.name,
                device.address,
                function.kind()
            );
            let finding = Finding::about(Section::Guest(domain.name.clone()), codes::DOMAIN_WITHOUT_SECTION, text);
            return Some(finding.hint(format!("write one: {}", command(&domain.name, gpu))));
        }
    }
    None
}

/// A command that writes the section. A domain's name need not be one that a section can have.
fn command(domain: &str, gpu: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    let name: String = domain.chars().map(|c| if plain(c) { c } else { '-' }).collect();
    let name = name.trim_start_matches(['.', '-']);
    let name = if name.is_empty() { "guest" } else { name };
    let mut lines = vec![format!("[guest {name}]"), format!("gpus = {gpu}")];
    if name != domain {
        lines.push(format!("domain = {domain}"));
    }
    format!("printf '%s\\n' {} >> /etc/vfio.conf", shell_command(&lines))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{machine, Case};
    use super::*;

    fn said(case: &Case) -> Option<String> {
        case.foreign(refusal).map(|finding| finding.sentence())
    }

    fn base() -> Case {
        let mut case = Case::new("[gpu big]\ndevice = 0000:09:00.0\nbind = guest\n", machine());
        case.domain(&[("0000:09:00.0", true), ("0000:09:00.1", true)]);
        case
    }

    #[test]
    fn a_card_that_the_host_has_is_not_taken_by_surprise() {
        let expected = "domain win10 gets 0000:09:00.0 (VGA display) of [gpu big], which is bound to amdgpu, and no [guest] section \
                        says how the host gives it away; write one: printf '%s\\n' \"[guest win10]\" \"gpus = big\" >> /etc/vfio.conf";
        assert_eq!(said(&base()).as_deref(), Some(expected));
        assert_eq!(base().foreign(refusal).unwrap().code, codes::DOMAIN_WITHOUT_SECTION);
        // Managed or not; the sound alone, too.
        for devices in [[("0000:09:00.0", false)], [("0000:09:00.1", true)]] {
            let mut case = base();
            case.domain(&devices);
            assert!(said(&case).is_some(), "{devices:?}");
        }
        let command = command("my \"win\"; 'vm'", "big");
        assert_eq!(
            command,
            "printf '%s\\n' \"[guest my--win----vm-]\" \"gpus = big\" 'domain = my \"win\"; '\\''vm'\\''' >> /etc/vfio.conf"
        );
    }

    #[test]
    fn what_costs_the_host_nothing_is_let_through() {
        let mut case = base();
        case.driver("0000:09:00.0", Some("vfio-pci"));
        case.driver("0000:09:00.1", None);
        assert_eq!(said(&case), None);
        let mut case = base();
        case.domain(&[("0000:05:00.0", true)]);
        assert_eq!(said(&case), None, "no section has it");
        let mut case = Case::new("[host]\nenable = no\n[gpu big]\ndevice = 0000:09:00.0\n", machine());
        case.domain(&[("0000:09:00.0", true)]);
        assert_eq!(said(&case), None, "'enable = no'");
        let mut case = base();
        case.host.words = crate::host::kernel_cmdline::KernelCmdline::parse("quiet vfio=off");
        assert_eq!(said(&case), None, "vfio=off");
    }
}
