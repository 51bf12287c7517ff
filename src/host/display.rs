// SPDX-License-Identifier: LGPL-2.1-or-later
//! Displays: DRM nodes with their connectors, and the firmware's framebuffer.
//!
//! In the initramfs and at generator time no DRM driver is loaded yet; what a card may show is judged by its PCI class
//! there ([`Function::has_outputs`]) and this list is empty.

use super::function::{attribute, Function};
use crate::pci::Address;
use crate::root::Root;

/// One display function with what drives it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Display {
    /// The PCI function.
    pub function: Address,
    /// The firmware showed its messages here.
    pub boot: bool,
    /// The firmware's framebuffer still lies on it: the kernel's console may be there.
    pub firmware_framebuffer: bool,
    /// The DRM node, `card0`.
    pub card: Option<String>,
    /// Its connectors.
    pub connectors: Vec<Connector>,
}

/// A socket for a monitor.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Connector {
    /// `DP-1`, `HDMI-A-1`.
    pub name: String,
    /// Whether a monitor is there.
    pub connected: bool,
}

/// The directories of a function's DRM cards, below the root.
pub fn cards(root: &Root, function: Address) -> Vec<String> {
    let drm = attribute(function, "drm");
    let names = root.list(&drm).unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with("card")).map(|name| format!("{drm}/{name}")).collect()
}

/// The directories of a function's sound cards, below the root.
pub fn sound(root: &Root, function: Address) -> Vec<String> {
    let sound = attribute(function, "sound");
    let names = root.list(&sound).unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with("card")).map(|name| format!("{sound}/{name}")).collect()
}

/// The displays among the functions.
pub(super) fn scan(root: &Root, functions: &[Function]) -> Vec<Display> {
    let iomem = root.read("proc/iomem").unwrap_or_default();
    let framebuffers = framebuffer_owners(&String::from_utf8_lossy(&iomem));
    functions
        .iter()
        .filter(|f| f.is_display())
        .map(|f| {
            let drm = attribute(f.address, "drm");
            let names = root.list(&drm).unwrap_or_default();
            let card = names.into_iter().find(|n| n.starts_with("card"));
            let connectors = card.as_ref().map(|card| connectors(root, &drm, card)).unwrap_or_default();
            Display {
                function: f.address,
                boot: f.boot_vga,
                firmware_framebuffer: framebuffers.contains(&f.address),
                card,
                connectors,
            }
        })
        .collect()
}

/// Connectors are directories `cardN-NAME` in the card's with a `status` (`drivers/gpu/drm/drm_sysfs.c`).
fn connectors(root: &Root, drm: &str, card: &str) -> Vec<Connector> {
    let names = root.list(&format!("{drm}/{card}")).unwrap_or_default();
    let connector = |entry: &String| {
        let name = entry.strip_prefix(card)?.strip_prefix('-')?;
        let status = root.read_text(&format!("{drm}/{card}/{entry}/status")).ok()?;
        Some(Connector { name: name.to_owned(), connected: status == "connected" })
    };
    names.iter().filter_map(connector).collect()
}

/// The functions in whose memory a firmware framebuffer lies: in `/proc/iomem` it is nested in the function's range
/// (`efifb`, `simplefb`, `vesafb`, and `BOOTFB` for a framebuffer that no driver has taken).
fn framebuffer_owners(iomem: &str) -> Vec<Address> {
    let mut owners = Vec::new();
    let mut above: Vec<(usize, Option<Address>)> = Vec::new();
    for line in iomem.lines() {
        let depth = line.len() - line.trim_start().len();
        let Some((_, name)) = line.split_once(" : ") else { continue };
        above.retain(|(d, _)| *d < depth);
        if matches!(name, "efifb" | "simplefb" | "vesafb" | "BOOTFB" | "efidrm" | "vesadrm") {
            owners.extend(above.iter().rev().find_map(|(_, owner)| *owner));
        }
        above.push((depth, Address::from_sysfs(name.as_bytes())));
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_framebuffer_belongs_to_the_innermost_function() {
        let iomem = "c0000000-dfffffff : PCI Bus 0000:00\n  c0000000-cfffffff : PCI Bus 0000:03\n    \
                     c0000000-cfffffff : 0000:03:00.0\n      c0000000-c02fffff : BOOTFB\n  \
                     d0000000-d0ffffff : 0000:00:02.0\n";
        assert_eq!(framebuffer_owners(iomem), Address::from_sysfs(b"0000:03:00.0").into_iter().collect::<Vec<_>>());
        assert_eq!(framebuffer_owners("efifb\n : efifb\n"), []);
    }
}
