// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is to be put right before the next start of a domain that is being defined: the definition itself does not need it, so
//! these are warnings.

use super::{needs, rom_checks, traps, HostSide, RomFile};
use crate::config::Guest;
use crate::finding::{codes, Finding};
use crate::host::domain::Domain;
use crate::plan::definition::request::Card;
use crate::plan::list::listed;
use crate::text::shell_word;

/// What was looked at.
#[derive(Debug, Clone, Default)]
pub struct NextStart {
    /// What the domain will need of the host.
    pub host: HostSide,
    /// The option ROMs that it names.
    pub roms: Vec<RomFile>,
    /// Users who are logged in with a desktop, each with the groups that a guest's user is in and this one is not.
    pub outsiders: Vec<(String, Vec<&'static str>)>,
}

/// Networks that are not active, parts of QEMU that are not installed, option ROMs that QEMU may not read, and a user who may not use the guest.
pub fn check(guest: &Guest, domain: &Domain, cards: &[Card], found: &NextStart) -> Vec<Finding> {
    let mut findings = needs::of_definition(guest, domain, &found.host);
    findings.extend(found.roms.iter().filter_map(|file| rom_checks::unreadable(guest, file)));
    findings.extend(traps::unseen(guest, domain, cards));
    findings.extend(found.outsiders.iter().map(|(user, groups)| outsider(guest, user, groups)));
    findings.into_iter().map(Finding::warning).collect()
}

/// Who may not manage guests, or not open the memory of Looking Glass.
fn outsider(guest: &Guest, user: &str, groups: &[&str]) -> Finding {
    let noun = if groups.len() == 1 { "group" } else { "groups" };
    let names: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    let text = format!("{user}, who is logged in with a desktop, is not in the {noun} {}", listed(&names));
    let hint =
        format!("'vfio setup --services --user {}' adds them; it counts from the next login on", shell_word(user));
    Finding::guest(guest, codes::USER_NOT_IN_GROUP, text).hint(hint)
}

#[cfg(test)]
#[path = "next_start_tests.rs"]
mod tests;
