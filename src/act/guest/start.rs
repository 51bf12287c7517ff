// SPDX-License-Identifier: LGPL-2.1-or-later
//! From a guest's name to its plan: what the unit, libvirt's hook and `vfio guest plan` share.

use crate::act::backend::tools::Tools;
use crate::act::guest::probe::{probe_context, Source};
use crate::config::{Config, Guest};
use crate::host::{holders, Depth, Host};
use crate::plan::boot;
use crate::plan::guest::{self, GuestPlan};
use crate::root::Root;
use crate::survey;

/// The section of a guest, or why there is none: a sentence.
pub fn section<'c>(config: &'c Config, name: &str) -> Result<&'c Guest, String> {
    if let Some(guest) = config.guest(name) {
        return Ok(guest);
    }
    if let Some(disabled) = config.disabled_section("guest", name) {
        return Err(disabled.why.to_string());
    }
    let names: Vec<&str> = config.guests.iter().map(|g| g.name.as_str()).collect();
    Err(if names.is_empty() {
        format!("[guest {name}] is not in the configuration, which has no [guest] section")
    } else {
        format!("[guest {name}] is not in the configuration; there is {}", names.join(", "))
    })
}

/// Looks at the machine and makes the plan.
pub fn plan(root: &Root, tools: &dyn Tools, config: &Config, guest: &Guest, source: Source<'_>) -> GuestPlan {
    plan_on(root, tools, config, guest, source, Host::scan(root, Depth::Full))
}

/// The same on a machine that was looked at already, at `Depth::Full`.
pub fn plan_on(
    root: &Root,
    tools: &dyn Tools,
    config: &Config,
    guest: &Guest,
    source: Source<'_>,
    host: Host,
) -> GuestPlan {
    let (selections, mut host) = survey::of_guest_on(root, config, guest, host);
    let functions = boot::functions(&selections);
    host.find_holders_of_bound(root, &functions);
    holders::name_users(root, &mut host.holders);
    let context = probe_context(root, tools, guest, &selections, &host, source);
    guest::plan(config, guest, &selections, &host, &context)
}
