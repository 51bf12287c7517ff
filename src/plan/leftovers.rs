// SPDX-License-Identifier: LGPL-2.1-or-later
//! What to do about what other ways of passing cards through have left, so that two programs never fight over a card.

use crate::config::{Bind, Config};
use crate::finding::codes::{self, Code};
use crate::finding::{Finding, Part, Severity};
use crate::host::leftovers::{Leftover, LeftoverKind};
use crate::pci::Address;

/// Drivers of the host that a card which comes back needs. Those that a distribution's other driver replaces as a matter of
/// course (nouveau, radeon) are none of them.
pub(super) const DRIVERS: [&str; 6] = ["amdgpu", "i915", "xe", "nvidia", "nvidia_drm", "snd_hda_intel"];

/// A finding of each that touches what the configuration is about. `functions` are those of its cards.
pub fn findings(leftovers: &[Leftover], config: &Config, functions: &[Address]) -> Vec<Finding> {
    if config.gpus.is_empty() {
        return Vec::new();
    }
    leftovers.iter().filter_map(|leftover| finding(leftover, config, functions)).collect()
}

fn finding(leftover: &Leftover, config: &Config, functions: &[Address]) -> Option<Finding> {
    let place = match leftover.line {
        0 => leftover.path.clone(),
        line => format!("{}:{line}", leftover.path),
    };
    let found = |severity, code: Code, text: String, todo: String| {
        Some(Finding::check(Part::System, "leftovers", severity, code, format!("{place}: {text}")).hint(todo))
    };
    match &leftover.kind {
        LeftoverKind::DomainScripts(domain) => {
            let ours = config.guests.iter().any(|guest| guest.domain == *domain);
            let severity = if ours { Severity::Warning } else { Severity::Note };
            let text = format!("scripts that a hook runs when domain {domain} starts or ends");
            found(
                severity,
                codes::LEFTOVER_HOOK,
                text,
                "remove the scripts that unbind or bind cards: vfio does that".to_owned(),
            )
        }
        LeftoverKind::HookScript => {
            let text = "a hook of libvirt that calls virsh or binds devices, beside that of vfio".to_owned();
            found(Severity::Warning, codes::LEFTOVER_HOOK, text, "remove it, or what it does to cards".to_owned())
        }
        LeftoverKind::DeviceIds(ids) => {
            let text = format!("vfio-pci takes every device of {ids}, whatever the configuration says");
            let todo = "remove the ids: vfio reserves each card by its address".to_owned();
            found(Severity::Warning, codes::LEFTOVER_IDS, text, todo)
        }
        LeftoverKind::Blacklist(module) => {
            let comes_back = config.gpus.iter().any(|gpu| gpu.bind == Bind::Guest);
            if !comes_back || !DRIVERS.contains(&module.as_str()) {
                return None;
            }
            let text =
                format!("the driver {module} is never loaded, so the host cannot use a card again after a guest");
            found(
                Severity::Warning,
                codes::LEFTOVER_BLACKLIST,
                text,
                "remove the line if that driver is the card's".to_owned(),
            )
        }
        LeftoverKind::Override(address) => {
            if !functions.contains(address) {
                return None;
            }
            let text = format!("driverctl chooses the driver of {address} at every boot");
            found(
                Severity::Warning,
                codes::LEFTOVER_OVERRIDE,
                text,
                format!("run 'driverctl unset-override {address}'"),
            )
        }
        LeftoverKind::Rule("reset_method") => {
            let text = "a udev rule chooses how a card is reset".to_owned();
            found(
                Severity::Note,
                codes::LEFTOVER_RULE,
                text,
                "remove it, and use 'reset' in the [gpu] section".to_owned(),
            )
        }
        LeftoverKind::Rule(attribute) => {
            let text = format!("a udev rule writes {attribute}");
            let todo = format!(
                "run 'vfio rebar adopt {}', write what it prints into the configuration, and remove the rule",
                leftover.path
            );
            found(Severity::Note, codes::LEFTOVER_RULE, text, todo)
        }
        LeftoverKind::Switcher => {
            let text = "supergfxctl may bind the card to vfio by itself".to_owned();
            let todo = "set vfio_enable to false there, and restart supergfxd".to_owned();
            found(Severity::Warning, codes::LEFTOVER_SWITCHER, text, todo)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_what_touches_the_configuration_is_told() {
        let text = b"[gpu big]\ndevice = 0000:03:00.0\nbind = guest\n[guest win10]\ngpus = big\n";
        let config = crate::config::parse_files(&[("/etc/vfio.conf", text)]);
        let address = |text: &str| text.parse::<Address>().unwrap();
        let functions = [address("0000:03:00.0")];
        let said = |kind: LeftoverKind, config: &Config| {
            let leftover = Leftover { path: "/x".to_owned(), line: 3, kind };
            findings(&[leftover], config, &functions).first().map(|finding| (finding.severity, finding.code))
        };
        for (kind, expected) in [
            (LeftoverKind::DomainScripts("win10".to_owned()), Some((Severity::Warning, codes::LEFTOVER_HOOK))),
            (LeftoverKind::DomainScripts("other".to_owned()), Some((Severity::Note, codes::LEFTOVER_HOOK))),
            (LeftoverKind::HookScript, Some((Severity::Warning, codes::LEFTOVER_HOOK))),
            (LeftoverKind::DeviceIds("1002:73bf".to_owned()), Some((Severity::Warning, codes::LEFTOVER_IDS))),
            (LeftoverKind::Blacklist("amdgpu".to_owned()), Some((Severity::Warning, codes::LEFTOVER_BLACKLIST))),
            (LeftoverKind::Blacklist("nouveau".to_owned()), None),
            (LeftoverKind::Override(address("0000:03:00.0")), Some((Severity::Warning, codes::LEFTOVER_OVERRIDE))),
            (LeftoverKind::Override(address("0000:05:00.0")), None),
            (LeftoverKind::Rule("resourceN_resize"), Some((Severity::Note, codes::LEFTOVER_RULE))),
            (LeftoverKind::Rule("reset_method"), Some((Severity::Note, codes::LEFTOVER_RULE))),
            (LeftoverKind::Switcher, Some((Severity::Warning, codes::LEFTOVER_SWITCHER))),
        ] {
            assert_eq!(said(kind.clone(), &config), expected, "{kind:?}");
            assert_eq!(said(kind, &Config::default()), None);
        }
        let boot = crate::config::parse_files(&[("/etc/vfio.conf", b"[gpu big]\ndevice = 0000:03:00.0\n")]);
        assert_eq!(said(LeftoverKind::Blacklist("amdgpu".to_owned()), &boot), None);
    }
}
