// SPDX-License-Identifier: LGPL-2.1-or-later
//! The rest of what sysfs says of one function; read for looking, not in the boot path.

use crate::host::bars::{self, Bar};
use crate::host::function::{attribute, driver_module};
use crate::pci::Address;
use crate::root::{Root, PCI_DEVICES};
use serde::Serialize;

/// The rest of what sysfs says of one function; read for looking, not in the boot path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// The module of its driver.
    pub driver_module: Option<String>,
    /// Header type without the multifunction bit: 0 endpoint, 1 bridge (PCI Local Bus Specification 6.2.1).
    pub header_type: Option<u8>,
    /// D0, D3hot, D3cold, unknown.
    pub power_state: Option<String>,
    /// The NUMA node; `None` where there is only one.
    pub numa_node: Option<u32>,
    /// Bridges above it, the nearest first, the root port last.
    pub parents: Vec<Address>,
    /// Base address registers that are in use.
    pub bars: Vec<Bar>,
    /// The option ROM's size in bytes, where there is a ROM BAR or a shadow.
    pub rom: Option<u64>,
}

/// Looks at one function closely.
pub fn detail(root: &Root, address: Address) -> Detail {
    let text = |name: &str| root.read_text(&attribute(address, name)).ok();
    let mut config = [0; 64];
    let header_type =
        root.read_into(&attribute(address, "config"), &mut config).ok().and_then(|c| c.get(0x0e).copied());
    let (bars, rom) = bars::read(root, address);
    Detail {
        driver_module: driver_module(root, address),
        header_type: header_type.map(|h| h & 0x7f),
        power_state: text("power_state"),
        numa_node: text("numa_node").and_then(|n| n.parse().ok()),
        parents: parents(root, address),
        bars,
        rom,
    }
}

/// The bridges above a function, from its place in the device tree.
pub fn parents(root: &Root, address: Address) -> Vec<Address> {
    let Ok(place) = root.read_link(&format!("{PCI_DEVICES}/{address}")) else { return Vec::new() };
    let mut parents: Vec<Address> = place
        .components()
        .filter_map(|part| Address::from_sysfs(part.as_os_str().as_encoded_bytes()))
        .filter(|parent| *parent != address)
        .collect();
    parents.reverse();
    parents
}
