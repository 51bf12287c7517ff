// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where a function's resizable BARs can be placed.
//!
//! The kernel moves the windows of the bridges above a function for it, from the nearest on, but no window in which
//! anything else has a place (`drivers/pci/setup-bus.c`, `pci_reassign_bridge_resources`). So what counts is what is free
//! around the last window that can move: in the next bridge's, or on the root bus.

use crate::host::bars::{self, places, Bar};
use crate::host::detail;
use crate::host::function::attribute;
use crate::pci::Address;
use crate::root::{Root, PCI_DEVICES};

/// `IORESOURCE_MEM_64`.
const MEM_64: u64 = 0x10_0000;
/// `IORESOURCE_PREFETCH`.
const PREFETCH: u64 = 0x2000;
/// The type that BARs share which are placed together: `IORESOURCE_MEM` and these.
const TYPE: u64 = 0x200 | PREFETCH | MEM_64;

/// The resizable BARs of a function, and what they can have.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct BridgeWindow {
    /// All BARs of the function.
    pub bars: Vec<Bar>,
    /// Number and size of its BARs before any was resized in this boot.
    pub firmware: Vec<(u8, u64)>,
    /// What else has a place in the window of the nearest bridge, which cannot move then: the bridge and the other.
    pub pinned: Option<(Address, Address)>,
    /// What is free, start and bytes, the present places of the function included; `None` if it is not known.
    pub free: Option<Vec<(u64, u64)>>,
    /// The bridge in whose window that is; `None` for the root bus.
    pub within: Option<Address>,
    /// The highest bridge below which there is nothing but the card.
    pub alone_below: Option<Address>,
}

impl BridgeWindow {
    /// The BARs that are placed together with a resizable one.
    pub fn together(&self) -> impl Iterator<Item = &Bar> {
        let kind = self.bars.iter().find(|b| !b.sizes.is_empty() && b.is_placed()).map_or(TYPE, |b| b.flags & TYPE);
        self.bars.iter().filter(move |b| !b.sizes.is_empty() || b.flags & TYPE == kind)
    }
}

/// Looks at a function; `None` if it has no resizable BAR.
pub fn read_window(root: &Root, function: Address) -> Option<BridgeWindow> {
    let (bars, _) = bars::read(root, function);
    if bars.iter().all(|bar| bar.sizes.is_empty()) {
        return None;
    }
    let now = || bars.iter().filter(|bar| bar.is_placed()).map(|bar| (bar.index, bar.size)).collect();
    let firmware = bars::remembered(root, function).unwrap_or_else(now);
    let mut bridge_window = BridgeWindow { bars, firmware, ..BridgeWindow::default() };
    let kind = bridge_window.together().next().map_or(TYPE, |bar| bar.flags);
    let mut moving: Vec<(u64, u64)> =
        bridge_window.together().filter(|b| b.is_placed()).map(|b| (b.start, b.start + b.size - 1)).collect();
    let parents = detail::parents(root, function);
    for bridge in &parents {
        let lines = places(root, *bridge);
        // The last four are the bridge's windows: ports, memory, prefetchable memory, and one for CardBus.
        let windows = &lines[lines.len().saturating_sub(4)..];
        let around = |w: &&(u64, u64)| moving.first().is_some_and(|m| inside(*m, **w));
        // Without a window it is not known what the kernel will do.
        let Some(window) = windows.iter().find(around).copied() else { return Some(bridge_window) };
        let mut taken = Vec::new();
        let mut other = None;
        for child in children(root, *bridge).into_iter().filter(|child| *child != function) {
            for place in places(root, child).into_iter().filter(|p| inside(*p, window) && !moving.contains(p)) {
                other = other.or(Some(child));
                taken.push(place);
            }
        }
        if let Some(other) = other {
            bridge_window.pinned = (Some(bridge) == parents.first()).then_some((*bridge, other));
            bridge_window.free = Some(gaps(&[window], &taken));
            bridge_window.within = Some(*bridge);
            return Some(bridge_window);
        }
        moving = vec![window];
    }
    // Only a 64-bit prefetchable window of a bridge can be above 4G, and only a 64-bit BAR.
    let high = kind & MEM_64 != 0 && (kind & PREFETCH != 0 || parents.is_empty());
    let limit = if high { u64::MAX } else { u64::from(u32::MAX) };
    bridge_window.free = on_root_bus(root, function, &moving).map(|mut free| {
        free.retain(|(start, _)| *start <= limit);
        free
    });
    Some(bridge_window)
}

/// Whether a place lies in a window.
fn inside((start, end): (u64, u64), (from, to): (u64, u64)) -> bool {
    end > 0 && start >= from && end <= to
}

/// The functions directly below a bridge.
pub fn children(root: &Root, bridge: Address) -> Vec<Address> {
    let names = root.list(&format!("{PCI_DEVICES}/{bridge}")).unwrap_or_default();
    names.iter().filter_map(|name| Address::from_sysfs(name.as_bytes())).collect()
}

/// A function and all below it, parents first.
pub fn with_all_below(root: &Root, address: Address) -> Vec<Address> {
    let mut found = vec![address];
    let mut next = 0;
    while next < found.len() {
        found.extend(children(root, found[next]));
        next += 1;
    }
    found
}

/// The highest bridge above a function below which there is nothing but bridges and these functions.
pub fn alone_below(root: &Root, function: Address, functions: &[Address]) -> Option<Address> {
    let is_bridge =
        |f: &Address| root.read_text(&attribute(*f, "class")).is_ok_and(|class| class.starts_with("0x0604"));
    let is_ours = |f: &Address| functions.contains(f) || is_bridge(f);
    let parents = detail::parents(root, function);
    parents.into_iter().take_while(|bridge| with_all_below(root, *bridge).iter().all(is_ours)).last()
}

/// All functions that the kernel may move together with a function: those below the same port of the root bus.
pub fn neighbours(root: &Root, function: Address) -> Vec<Address> {
    with_all_below(root, detail::parents(root, function).last().copied().unwrap_or(function))
}

/// What is free between some places in windows: start and bytes.
fn gaps(windows: &[(u64, u64)], taken: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut free = Vec::new();
    for window in windows.iter().copied() {
        let (mut from, to) = window;
        // The places are few, so the next one is looked for among all of them.
        while from <= to {
            let next = taken.iter().filter(|place| inside(**place, window) && place.1 >= from).min();
            let (start, end) = next.copied().unwrap_or((to.saturating_add(1), to));
            if start > from {
                free.push((from, start - from));
            }
            from = end.saturating_add(1);
            if end == u64::MAX {
                break;
            }
        }
    }
    free
}

/// What is free on the root bus, by /proc/iomem, where `moving` is taken away. `None` to who may not see addresses.
fn on_root_bus(root: &Root, function: Address, moving: &[(u64, u64)]) -> Option<Vec<(u64, u64)>> {
    let link = root.read_link(&format!("{PCI_DEVICES}/{function}")).ok()?;
    let bus = link.components().find_map(|part| part.as_os_str().to_str()?.strip_prefix("pci").map(str::to_owned))?;
    let name = format!("PCI Bus {bus}");
    let text = root.read_text("proc/iomem").ok()?;
    let (mut windows, mut taken) = (Vec::new(), Vec::new());
    // The depth of the window that is being read.
    let mut within = None;
    for line in text.lines() {
        let depth = line.bytes().take_while(|b| *b == b' ').count();
        let Some((range, what)) = line.trim_start().split_once(" : ") else { continue };
        let Some((start, end)) = range.split_once('-') else { continue };
        let number = |text| u64::from_str_radix(text, 16).ok();
        let (Some(start), Some(end)) = (number(start), number(end)) else { continue };
        if within.is_some_and(|d| depth == d + 2) && !moving.contains(&(start, end)) {
            taken.push((start, end));
        } else if within.is_none_or(|d| depth <= d) {
            within = (what == name).then_some(depth);
            if within.is_some() && end > 0 {
                windows.push((start, end));
            }
        }
    }
    (!windows.is_empty()).then(|| gaps(&windows, &taken))
}

#[cfg(test)]
#[path = "bridge_window_tests.rs"]
mod tests;
