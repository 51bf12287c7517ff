// SPDX-License-Identifier: LGPL-2.1-or-later
//! Why a domain may not be changed now, whatever is to be changed.

use crate::config::{Guest, Runner};
use crate::finding::{codes, Finding};
use crate::host::libvirt::DomainInfo;
use crate::plan::definition::{Definition, CARDS};

/// What forbids a change: the domain is not off, would forget it, or would go on with its former devices.
pub fn refusals(guest: &Guest, info: &DomainInfo) -> Vec<Finding> {
    let (domain, uri) = (&guest.domain, &guest.uri);
    let mut found = Vec::new();
    if guest.runner == Runner::Command {
        let text = "is a command and has no libvirt domain";
        found.push(Finding::guest(guest, codes::GUEST_HAS_NO_DOMAIN, text).hint("change 'command'"));
        return found;
    }
    if !info.persistent {
        let text = format!("domain {domain} is transient: libvirt forgets it when it ends");
        found.push(Finding::guest(guest, codes::DOMAIN_TRANSIENT, text).hint("define it first ('virsh define')"));
    }
    if info.state != "shut off" {
        let text = format!("domain {domain} is '{}', and only one that is off is changed", info.state);
        let hint = format!("shut it down first ('virsh -c {uri} shutdown {domain}')");
        found.push(Finding::guest(guest, codes::DOMAIN_NOT_SHUT_OFF, text).hint(hint));
    }
    if info.saved {
        let text = format!("domain {domain} has a saved state, and its next start would go on with the former devices");
        let hint =
            format!("start it and shut it down, or drop that state ('virsh -c {uri} managedsave-remove {domain}')");
        found.push(Finding::guest(guest, codes::DOMAIN_HAS_SAVED_STATE, text).hint(hint));
    }
    found
}

/// Only what was made by us is unmade.
pub fn not_ours(guest: &Guest) -> Finding {
    let text = format!("domain {} was not made by 'vfio guest define': there is nothing to undo", guest.domain);
    let hint = format!("'vfio guest edit {} --undo' takes back changes", guest.name);
    Finding::guest(guest, codes::DOMAIN_NOT_OURS, text).hint(hint)
}

/// What vfio changed was changed by somebody else since: an undo would take that from them, or leave half of ours.
pub fn changed_since(guest: &Guest, elements: &[String]) -> Option<Finding> {
    let (domain, uri) = (&guest.domain, &guest.uri);
    if elements.is_empty() {
        return None;
    }
    let text = format!("domain {domain}: somebody else has changed what vfio had changed: {}", elements.join(", "));
    let hint = format!("change that by hand ('virsh -c {uri} edit {domain}'), then undo the rest");
    Some(Finding::guest(guest, codes::DOMAIN_CHANGED_SINCE, text).hint(hint))
}

/// What the section asks for and the domain lacks: a start does not change it. Of the cards themselves other checks speak.
pub fn lacking(guest: &Guest, definition: &Definition) -> Vec<Finding> {
    let domain = &guest.domain;
    let mut found: Vec<Finding> = Vec::new();
    for change in definition.changes.iter().filter(|change| change.key != CARDS) {
        let text = format!("domain {domain} lacks what '{}' asks for: {}", change.key, change.why);
        let finding = Finding::guest(guest, codes::DOMAIN_LACKS_SETTING, text);
        found.push(finding.hint(format!("'vfio guest edit {}' changes that", guest.name)).warning());
    }
    let refused = definition.refusals.iter().chain(&definition.warnings);
    found.extend(refused.map(|finding| finding.clone().warning()));
    found
}
