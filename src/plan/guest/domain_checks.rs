// SPDX-License-Identifier: LGPL-2.1-or-later
//! What must be so of the libvirt domain: there, not running, given just the configured cards.

use super::{Remark, Surroundings};
use crate::config::Guest;
use crate::host::Host;
use crate::pci::Address;

/// Why the domain cannot start, and what the user should know although it can: refusals, warnings. `functions` are all
/// functions of the configured cards; `others` those of cards that other `[gpu]` sections name, with the section.
pub(super) fn check(
    _guest: &Guest,
    _functions: &[Address],
    _others: &[(Address, String)],
    _host: &Host,
    _around: &Surroundings,
) -> (Vec<Remark>, Vec<Remark>) {
    (Vec::new(), Vec::new())
}
