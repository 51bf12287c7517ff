// SPDX-License-Identifier: LGPL-2.1-or-later
//! Looking at the machine as far as a decision at boot needs it, and deciding: what the doors of the boot path share.

use crate::config::Config;
use crate::host::{Depth, Host};
use crate::plan::select::Choice;
use crate::plan::{bind, boot};
use crate::root::Root;

/// The sections bound at boot, each with its functions or why it is refused, and the machine as far as it was looked at:
/// near the cards if all of them are chosen by address and nothing is refused, else whole.
pub fn choices<'c>(root: &Root, config: &'c Config) -> (Vec<Choice<'c>>, Host) {
    if let Some(slots) = boot::slots_by_address(config) {
        let host = Host::scan_near(root, &slots);
        let choices = boot::choices(config, &host);
        if choices.iter().all(|c| c.chosen.is_ok()) {
            return (choices, host);
        }
    }
    let host = Host::scan(root, Depth::Boot);
    (boot::choices(config, &host), host)
}

/// The same with what the IOMMU forbids refused as well, after the closer look that this needs.
pub fn admitted<'c>(root: &Root, config: &'c Config, depth: Depth) -> (Vec<Choice<'c>>, Host) {
    let (mut choices, mut host) = match depth {
        Depth::Boot => choices(root, config),
        Depth::Full => {
            let host = Host::scan(root, Depth::Full);
            (boot::choices(config, &host), host)
        }
    };
    host.look_closer(root, boot::functions(&choices));
    host.find_variants(root, &bind::asks_for_variants(&choices));
    boot::admit(&mut choices, &host);
    (choices, host)
}
