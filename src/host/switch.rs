// SPDX-License-Identifier: LGPL-2.1-or-later
//! Cards with a switch of their own, whose functions are in slots of their own: Intel's Arc has its sound behind another
//! downstream port than its display.

use super::detail;
use super::function::{self, Function};
use crate::pci::Address;
use crate::root::{Root, PCI_DEVICES};

/// Deeper than any card is built.
const DEPTH: usize = 4;

/// Whether a display may have functions in other slots: it has outputs' sound nowhere in its own, and is below a bridge.
pub(super) fn may_have(display: &Function, slot: &[Function]) -> bool {
    // Bus 0 is the processor's own; 3D controllers have no sound.
    let plain = matches!(display.class >> 8, 0x0300 | 0x0380) && display.address.slot.bus != 0;
    plain && !display.is_virtual() && !slot.iter().any(|f| f.class >> 8 == 0x0403)
}

/// The functions of a display's card that are in other slots: all that is below the switch of the card, if there is nothing
/// but what graphics cards have, of the same maker, and no other display.
pub(super) fn behind(root: &Root, display: &Function) -> Vec<Function> {
    // The nearest bridge is the downstream port, the next the upstream port; above that is the port of the slot.
    let parents = detail::parents(root, display.address);
    let [_, upstream, _, ..] = parents[..] else { return Vec::new() };
    if function::read(root, upstream).is_none_or(|port| port.vendor != display.vendor) {
        return Vec::new();
    }
    let mut below = Vec::new();
    walk(root, upstream, DEPTH, &mut below);
    below.retain(|f| f.address.slot != display.address.slot);
    let goes_with = |f: &Function| f.vendor == display.vendor && matches!(f.class >> 8, 0x0403 | 0x0c03 | 0x0c80);
    if below.iter().all(goes_with) {
        below
    } else {
        Vec::new()
    }
}

/// All functions below a bridge that are none themselves.
fn walk(root: &Root, bridge: Address, depth: usize, found: &mut Vec<Function>) {
    let mut children = Vec::new();
    // A bridge that has gone meanwhile has nothing below it.
    let _ = root.for_each_name(&format!("{PCI_DEVICES}/{bridge}"), |name| children.extend(Address::from_sysfs(name)));
    for function in children.into_iter().filter_map(|address| function::read(root, address)) {
        if !function.is_bridge() {
            found.push(function);
        } else if depth > 0 {
            walk(root, function.address, depth - 1, found);
        }
    }
}
