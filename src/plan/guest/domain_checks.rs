// SPDX-License-Identifier: LGPL-2.1-or-later
//! What must be so of the libvirt domain: there, not running, given just the configured cards.

use super::checks::{edit, show};
use super::needs;
use crate::config::Guest;
use crate::finding::codes;
use crate::host::domain::{Domain, HostDevice};
use crate::host::{function, Function, Host};
use crate::pci::Address;
use crate::plan::definition;
use crate::plan::guest::{DomainState, GuestContext};
use crate::plan::selection::{Selected, Selection};
use crate::plan::{group, usage, Finding};
use crate::text::shell_word;

/// Why the domain cannot start (errors), and what the user should know although it can (warnings). `selections` are those of
/// the guest's own sections; `others` the functions of cards that other `[gpu]` sections name, with the section.
pub(super) fn check(
    guest: &Guest,
    selections: &[Selection<'_>],
    others: &[(Address, String)],
    host: &Host,
    context: &GuestContext,
) -> Vec<Finding> {
    let domain = match &context.domain {
        None => return Vec::new(),
        Some(DomainState::Unknown(why)) => return vec![unknown(guest, why)],
        Some(DomainState::Known { state, domain }) => match is_on(guest, state) {
            Some(finding) => return vec![finding],
            None => domain,
        },
    };
    let cards: Vec<(&str, &Selected)> =
        selections.iter().filter_map(|c| Some((c.gpu.name.as_str(), c.selected.as_ref().ok()?))).collect();
    let missing = cards.iter().filter_map(|(name, selected)| not_in(guest, name, selected, domain, host));
    let mut findings: Vec<Finding> = missing.collect();
    let mut seen: Vec<Address> = Vec::new();
    for device in &domain.hostdevs {
        let ours = cards.iter().any(|(_, selected)| selected.functions.contains(&device.address));
        if ours || seen.contains(&device.address) {
            continue;
        }
        seen.push(device.address);
        findings.extend(besides(guest, &cards, others, device, host));
    }
    findings.extend(groups(guest, &cards, domain, host));
    findings.extend(needs::check(guest, domain, &context.host));
    findings.extend(definition::lacking(guest, &context.definition));
    findings
}

/// libvirt does not know the domain, or its XML cannot be understood.
fn unknown(guest: &Guest, why: &str) -> Finding {
    let text = format!("cannot start domain {}: {why}", guest.domain);
    if why.starts_with("its XML ") {
        Finding::guest(guest, codes::DOMAIN_XML, text).hint(edit(guest))
    } else {
        Finding::guest(guest, codes::DOMAIN_UNKNOWN, text)
    }
}

/// The domain is anything but shut off.
fn is_on(guest: &Guest, state: &str) -> Option<Finding> {
    let domain = &guest.domain;
    let virsh = |verb: &str| format!("'virsh -c {} {verb} {}'", shell_word(&guest.uri), shell_word(domain));
    let (text, hint) = match state {
        "shut off" => return None,
        "running" | "idle" => {
            (format!("domain {domain} is already {state}"), format!("shut it down first ({})", virsh("shutdown")))
        }
        "in shutdown" => (format!("domain {domain} is '{state}'"), "wait until it is off".to_owned()),
        _ => (format!("domain {domain} is '{state}'"), format!("end it first ({})", virsh("destroy"))),
    };
    Some(Finding::guest(guest, codes::DOMAIN_NOT_SHUT_OFF, text).hint(hint))
}

/// A card that the domain does not get (an error), or not whole (a warning). What 'also' names is lost to the host, whatever
/// uses it.
fn not_in(guest: &Guest, name: &str, selected: &Selected, domain: &Domain, host: &Host) -> Option<Finding> {
    let of_card = &selected.card;
    let gets = |address: &&Address| domain.hostdevs.iter().any(|device| device.assigned && device.address == **address);
    let missing: Vec<&Address> = of_card.iter().filter(|address| !gets(address)).collect();
    let shown = |a: &&Address| host.function(**a).map_or_else(|| a.to_string(), |f| format!("{a} ({})", f.kind()));
    let list = missing.iter().map(shown).collect::<Vec<_>>().join(", ");
    let devices = &domain.hostdevs;
    let domain = &guest.domain;
    if missing.is_empty() {
        None
    } else if missing.len() == of_card.len() {
        let text = format!("domain {domain} gets no function of [gpu {name}]");
        let devices = if missing.len() == 1 { "a PCI host device" } else { "PCI host devices" };
        let finding = Finding::guest_at(guest, &guest.gpus.at, codes::DOMAIN_LACKS_CARD, text);
        Some(finding.hint(format!("'vfio guest edit {}' adds {list} as {devices}", guest.name)))
    } else if missing.iter().any(|a| is_display(a, host)) && !of_card.iter().any(|a| gets(&a) && is_display(a, host)) {
        let text = format!("domain {domain} does not get {list} of [gpu {name}], and so no picture");
        let unassigned = |a: &&&Address| devices.iter().any(|device| device.address == ***a && !device.assigned);
        let way = if missing.iter().any(|a| unassigned(&a)) {
            format!("remove <address type='unassigned'/> there: {}", edit(guest))
        } else {
            format!("'vfio guest edit {}' adds it", guest.name)
        };
        Some(Finding::guest_at(guest, &guest.gpus.at, codes::DOMAIN_LACKS_DISPLAY, text).hint(way))
    } else {
        let text = format!("domain {domain} does not get {list} of [gpu {name}], which the host loses too");
        let finding = Finding::guest_at(guest, &guest.gpus.at, codes::DOMAIN_LACKS_FUNCTION, text);
        Some(finding.hint(format!("'vfio guest edit {}' adds it", guest.name)).warning())
    }
}

fn is_display(address: &Address, host: &Host) -> bool {
    host.function(*address).is_some_and(Function::is_display)
}

/// Groups of devices that the domain gets besides the cards, and in which a function stays with a driver of the host: QEMU is
/// refused such a group. What libvirt itself moves to vfio before does not matter.
fn groups(guest: &Guest, cards: &[(&str, &Selected)], domain: &Domain, host: &Host) -> Vec<Finding> {
    let ours = |address: Address| cards.iter().any(|(_, selected)| selected.functions.contains(&address));
    let of = |address: Address| host.function(address).and_then(|function| function.group);
    let judged: Vec<u32> = cards.iter().flat_map(|(_, selected)| &selected.functions).filter_map(|a| of(*a)).collect();
    let moved = |address: Address| domain.hostdevs.iter().any(|device| device.managed && device.address == address);
    let (mut seen, mut findings) = (judged, Vec::new());
    for device in domain.hostdevs.iter().filter(|device| !ours(device.address)) {
        let Some(number) = of(device.address).filter(|number| !seen.contains(number)) else { continue };
        seen.push(number);
        // Of the device itself it is said elsewhere.
        let members = host.group(number).filter(|f| f.address != device.address && !moved(f.address));
        let Some(kept) = group::blockers(members).into_iter().find_map(|b| host.function(b.function)) else { continue };
        let text = format!(
            "domain {} also gets {}, and {} shares IOMMU group {number} and keeps the group from guests",
            guest.domain,
            device.address,
            show(kept)
        );
        findings.push(Finding::guest_at(guest, &guest.gpus.at, codes::GROUP_NOT_VIABLE, text).hint(edit(guest)));
    }
    findings
}

/// What is to be said of a device that the domain gets besides the cards.
fn besides(
    guest: &Guest,
    cards: &[(&str, &Selected)],
    others: &[(Address, String)],
    device: &HostDevice,
    host: &Host,
) -> Option<Finding> {
    let (address, domain, edit) = (device.address, &guest.domain, edit(guest));
    let finding = |code, text: String| Finding::guest_at(guest, &guest.gpus.at, code, text);
    let Some(function) = host.function(address) else {
        let text = format!("domain {domain} gets {address}, but nothing is there");
        return Some(finding(codes::DOMAIN_DEVICE_ABSENT, text).hint(edit));
    };
    let also = format!("domain {domain} also gets {}", show(function));
    if let Some((_, gpu)) = others.iter().find(|(other, _)| *other == address) {
        let finding = finding(codes::DOMAIN_GETS_OTHER_CARD, format!("{also}, which belongs to [gpu {gpu}]"));
        return Some(finding.hint(format!("add '{gpu}' to 'gpus' or {edit}")));
    }
    if function.is_bridge() {
        let text = format!("{also}, and a bridge is never given to a guest");
        return Some(finding(codes::BRIDGE_IS_NEVER_GIVEN, text).hint(edit));
    }
    if let Some((_, mount)) = host.holders.iter().find(|(held, holder)| *held == address && holder.is_mount()) {
        let finding = finding(codes::HOST_DATA_ON_DEVICE, format!("{also}, but {mount}"));
        return Some(finding.hint(format!("unmount it first or {edit}")));
    }
    if let Some(data) = usage::data(host, address) {
        let finding = finding(codes::HOST_DATA_ON_DEVICE, format!("{also}, which {data}"));
        return Some(finding.hint(format!("unmount it first or {edit}")));
    }
    if function.driver.as_deref().is_some_and(function::is_vfio) {
        return None;
    }
    let card = cards.iter().find(|(_, selected)| selected.slot == address.slot).map(|(name, _)| name);
    if let Some(name) = card {
        let text = format!("{also}, which 'functions' of [gpu {name}] does not list");
        let finding = finding(codes::DOMAIN_GETS_UNLISTED_FUNCTION, text).hint(format!("add it there or {edit}"));
        return weighed(finding, function, device);
    }
    if is_shown_on(function) {
        let finding = finding(codes::DOMAIN_GETS_HOST_DISPLAY, format!("{also}, which is the host's"));
        return Some(finding.hint(format!("name it in a [gpu] section or {edit}")));
    }
    if !device.managed {
        let finding =
            finding(codes::HOSTDEV_NOT_MANAGED, format!("{also}, which is neither bound to vfio nor managed"));
        return Some(finding.hint(format!("write managed='yes' there: {edit}")));
    }
    let text = format!("{also}, which libvirt itself unbinds from the host's driver");
    let finding = finding(codes::DOMAIN_GETS_HOST_DEVICE, text).hint("make sure that the host does not need it");
    weighed(finding, function, device)
}

/// An error about a device that libvirt does not bind to vfio; a warning about one that it unbinds from a driver of the host;
/// nothing about one that no driver has, for the host does not miss that.
fn weighed(finding: Finding, function: &Function, device: &HostDevice) -> Option<Finding> {
    match (device.managed, &function.driver) {
        (false, _) => Some(finding),
        (true, Some(_)) => Some(finding.warning()),
        (true, None) => None,
    }
}

/// A display that a host driver has.
fn is_shown_on(function: &Function) -> bool {
    function.is_display() && function.driver.as_deref().is_some_and(|driver| driver != "pci-stub")
}

#[cfg(test)]
#[path = "domain_checks_tests.rs"]
mod tests;
