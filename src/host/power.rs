// SPDX-License-Identifier: LGPL-2.1-or-later
//! What functions and the ports above them are allowed: to be without power, to sleep while nobody uses them
//! (`drivers/pci/pci-sysfs.c`, `drivers/base/power/sysfs.c`).

use super::detail;
use super::function::attribute;
use crate::pci::Address;
use crate::root::Root;

/// What keeps a function awake: no power state from which only the platform wakes it, no sleep while nobody uses it.
pub const AWAKE: [(&str, &str); 2] = [("d3cold_allowed", "0"), ("power/control", "on")];

/// The functions with the ports above them, from the root down: nobody wakes behind a port that sleeps.
pub fn with_ports(root: &Root, functions: &[Address]) -> Vec<Address> {
    let mut all: Vec<Address> = Vec::new();
    for function in functions {
        let ports = detail::parents(root, *function).into_iter().rev();
        for address in ports.chain([*function]) {
            if !all.contains(&address) {
                all.push(address);
            }
        }
    }
    all
}

/// What functions or ports are allowed now: which, attribute, value. What has no such attribute is left out.
pub fn allowed(root: &Root, all: &[Address]) -> Vec<(Address, &'static str, String)> {
    let names = |function: &Address| AWAKE.map(|(name, _)| (*function, name));
    let all = all.iter().flat_map(names);
    all.filter_map(|(function, name)| Some((function, name, root.read_text(&attribute(function, name)).ok()?)))
        .collect()
}

/// Whether a function may sleep.
pub fn may_sleep(root: &Root, function: Address) -> bool {
    allowed(root, &[function]).iter().any(|(_, name, value)| !AWAKE.contains(&(name, value)))
}
