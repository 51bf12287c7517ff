// SPDX-License-Identifier: LGPL-2.1-or-later
//! What must be so of the libvirt domain: there, not running, given just the configured cards.

use super::checks::{edit, show};
use crate::config::Guest;
use crate::host::domain::{Domain, HostDevice};
use crate::host::{function, Function, Host};
use crate::pci::Address;
use crate::plan::guest::{DomainState, Surroundings};
use crate::plan::select::{Choice, Chosen};
use crate::plan::Remark;

/// Why the domain cannot start, and what the user should know although it can: refusals, warnings. `choices` are those of
/// the guest's own sections; `others` the functions of cards that other `[gpu]` sections name, with the section.
pub(super) fn check(
    guest: &Guest,
    choices: &[Choice<'_>],
    others: &[(Address, String)],
    host: &Host,
    around: &Surroundings,
) -> (Vec<Remark>, Vec<Remark>) {
    let domain = match &around.domain {
        None => return (Vec::new(), Vec::new()),
        Some(DomainState::Unknown(why)) => return (vec![unknown(guest, why)], Vec::new()),
        Some(DomainState::Known { state, domain }) => match is_on(guest, state) {
            Some(remark) => return (vec![remark], Vec::new()),
            None => domain,
        },
    };
    let (mut refusals, mut warnings) = (Vec::new(), Vec::new());
    let cards: Vec<(&str, &Chosen)> =
        choices.iter().filter_map(|c| Some((c.gpu.name.as_str(), c.chosen.as_ref().ok()?))).collect();
    for (name, chosen) in &cards {
        match not_in(guest, name, chosen, domain, host) {
            Some(Missing::All(remark)) => refusals.push(remark),
            Some(Missing::Some(remark)) => warnings.push(remark),
            None => {}
        }
    }
    let mut seen: Vec<Address> = Vec::new();
    for device in &domain.hostdevs {
        let ours = cards.iter().any(|(_, chosen)| chosen.functions.contains(&device.address));
        if ours || seen.contains(&device.address) {
            continue;
        }
        seen.push(device.address);
        match besides(guest, &cards, others, device, host) {
            Some(Besides::Refused(remark)) => refusals.push(remark),
            Some(Besides::Odd(remark)) => warnings.push(remark),
            None => {}
        }
    }
    (refusals, warnings)
}

/// libvirt does not know the domain, or we do not understand it.
fn unknown(guest: &Guest, why: &str) -> Remark {
    let way = match why.starts_with("its XML ") {
        true => format!("; {}", edit(guest)),
        false => String::new(),
    };
    Remark::new(guest, format!("cannot start domain {}: {why}{way}", guest.domain))
}

/// The domain is anything but shut off.
fn is_on(guest: &Guest, state: &str) -> Option<Remark> {
    let (domain, uri) = (&guest.domain, &guest.uri);
    let text = match state {
        "shut off" => return None,
        "running" | "idle" => {
            format!("domain {domain} is {state} already; shut it down first ('virsh -c {uri} shutdown {domain}')")
        }
        "in shutdown" => format!("domain {domain} is '{state}'; wait until it is off"),
        _ => format!("domain {domain} is '{state}'; end it first ('virsh -c {uri} destroy {domain}')"),
    };
    Some(Remark::new(guest, text))
}

/// What a domain does not get of a card.
enum Missing {
    All(Remark),
    Some(Remark),
}

/// A card that the domain does not get, or not whole. What 'also' names is lost to the host, whoever uses it.
fn not_in(guest: &Guest, name: &str, chosen: &Chosen, domain: &Domain, host: &Host) -> Option<Missing> {
    let of_card = &chosen.card;
    let gets = |address: &&Address| domain.hostdevs.iter().any(|device| device.address == **address);
    let missing: Vec<&Address> = of_card.iter().filter(|address| !gets(address)).collect();
    let shown = |a: &&Address| host.function(**a).map_or_else(|| a.to_string(), |f| format!("{a} ({})", f.kind()));
    let list = missing.iter().map(shown).collect::<Vec<_>>().join(", ");
    let remark = |text: String| Remark::at(guest, &guest.gpus.at, text);
    let domain = &guest.domain;
    if missing.is_empty() {
        None
    } else if missing.len() == of_card.len() {
        let text =
            format!("domain {domain} gets nothing of [gpu {name}]; {}: add {list} as PCI host device", edit(guest));
        Some(Missing::All(remark(text)))
    } else {
        let text =
            format!("domain {domain} does not get {list} of [gpu {name}], which the host loses too; {}", edit(guest));
        Some(Missing::Some(remark(text)))
    }
}

/// What to think of a function that the domain gets besides the cards.
enum Besides {
    Refused(Remark),
    Odd(Remark),
}

fn besides(
    guest: &Guest,
    cards: &[(&str, &Chosen)],
    others: &[(Address, String)],
    device: &HostDevice,
    host: &Host,
) -> Option<Besides> {
    let (address, domain, edit) = (device.address, &guest.domain, edit(guest));
    let refused = |text: String| Some(Besides::Refused(Remark::at(guest, &guest.gpus.at, text)));
    let Some(function) = host.function(address) else {
        return refused(format!("domain {domain} gets {address}, but nothing is there; {edit}"));
    };
    let shown = show(function);
    if let Some((_, gpu)) = others.iter().find(|(other, _)| *other == address) {
        return refused(format!(
            "domain {domain} also gets {shown}, which belongs to [gpu {gpu}]; add '{gpu}' to 'gpus' or {edit}"
        ));
    }
    if function.is_bridge() {
        return refused(format!("domain {domain} also gets {shown}, and a bridge is never given to a guest; {edit}"));
    }
    if let Some((_, mount)) = host.holders.iter().find(|(held, holder)| *held == address && holder.is_mount()) {
        return refused(format!("domain {domain} also gets {shown}, but {mount}; unmount it first or {edit}"));
    }
    if function.driver.as_deref().is_some_and(function::is_vfio) {
        return None;
    }
    let card = cards.iter().find(|(_, chosen)| chosen.slot == address.slot).map(|(name, _)| name);
    let whose = match card {
        Some(name) => format!("of which 'functions' of [gpu {name}] says nothing; add it there or {edit}"),
        None if is_shown_on(function) => format!("which is the host's; name it in a [gpu] section or {edit}"),
        None if !device.managed => {
            format!("which is not on vfio, and not managed either; write managed='yes' there: {edit}")
        }
        None => "which libvirt itself takes from the host; see that nothing there needs it".to_owned(),
    };
    let text = format!("domain {domain} also gets {shown}, {whose}");
    if !device.managed || card.is_none() && is_shown_on(function) {
        return refused(text);
    }
    // Nobody misses what no driver has.
    function.driver.as_ref()?;
    Some(Besides::Odd(Remark::at(guest, &guest.gpus.at, text)))
}

/// A display that a host driver has.
fn is_shown_on(function: &Function) -> bool {
    function.is_display() && function.driver.as_deref().is_some_and(|driver| driver != "pci-stub")
}

#[cfg(test)]
#[path = "domain_checks_tests.rs"]
mod tests;
