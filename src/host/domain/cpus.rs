// SPDX-License-Identifier: LGPL-2.1-or-later
//! CPUs of the host to which parts of a domain are bound.

use super::limits::MOST_BOUND;
use super::needs::{Domain, Pin};
use super::xml::{attribute, child, clip, is, number_set};
use roxmltree::Node;

/// The elements, and the attribute by which each of several is told.
const PINS: [(&str, &str); 4] = [("vcpupin", "vcpu"), ("emulatorpin", ""), ("iothreadpin", "iothread"), ("vcpu", "")];

/// Whether the guest's addresses are as wide as the processor's: it has the host's own, and nothing limits them (formatdomain,
/// "CPU model and topology", `maxphysaddr`).
pub(super) fn has_wide_addresses(domain: Node<'_, '_>) -> bool {
    let Some(cpu) = child(domain, "cpu") else { return false };
    let limited = child(cpu, "maxphysaddr")
        .is_some_and(|width| width.attribute("limit").is_some() || width.attribute("bits").is_some());
    matches!(cpu.attribute("mode"), Some("host-passthrough" | "maximum")) && !limited
}

/// What `<cputune>` binds, and `<vcpu cpuset=...>`.
pub(super) fn pins(domain: Node<'_, '_>, found: &mut Domain) -> Result<(), String> {
    let tuned = child(domain, "cputune").into_iter().flat_map(|tune| tune.children());
    for part in tuned.chain(child(domain, "vcpu")) {
        let Some((what, key)) = PINS.into_iter().find(|(name, _)| is(part, name)) else { continue };
        let Some(cpus) = attribute(part, "cpuset") else { continue };
        let cpus = number_set(&cpus)
            .ok_or_else(|| format!("its XML has a {what} to '{}', which is not a list of CPUs", clip(&cpus)))?;
        if found.pins.len() == MOST_BOUND {
            return Err(format!("its XML binds more than {MOST_BOUND} of its parts to CPUs"));
        }
        found.pins.push(Pin { what, number: part.attribute(key).map(str::to_owned), cpus });
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::host::domain::tests::domain;

    #[test]
    fn the_cpus_of_the_vcpus_are_read() {
        let tune = "<cputune><vcpupin vcpu='0' cpuset='4,12'/><vcpupin vcpu='1' cpuset='5-7,^6'/>\
                    <emulatorpin cpuset='0-3'/></cputune>";
        assert_eq!(domain(tune).unwrap().vcpu_cpus(), [4, 5, 7, 12]);
        assert_eq!(domain("<vcpu placement='static' cpuset='1-2'>2</vcpu>").unwrap().vcpu_cpus(), [1, 2]);
        assert!(domain("<vcpu>2</vcpu>").unwrap().vcpu_cpus().is_empty());
        let error = domain("<vcpu cpuset='0-9999'>2</vcpu>").unwrap_err();
        assert_eq!(error, "its XML has a vcpu to '0-9999', which is not a list of CPUs");
    }
}
