// SPDX-License-Identifier: LGPL-2.1-or-later
//! Resizable BARs.
//!
//! A BAR must fit where the others are: in the window that `.kernel/windows` gives for the function or a bridge above
//! it, in which all are laid out anew by falling size; or, where the tree says nothing, in its place as it is. What a
//! kernel can do beyond this (moving bridges' windows) and the ways in which it can fail to are not modelled.

use super::device::Device;
use super::number;
use super::tree::Tree;
use crate::root::PCI_DEVICES;
use rustix::io::Errno;
use std::io;

/// `IORESOURCE_PREFETCH | IORESOURCE_MEM_64`.
const PREFETCHABLE_64: u64 = 0x10_2000;

/// A line of `resource`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Region {
    start: u64,
    size: u64,
    flags: u64,
}

/// A BAR that a window holds: the function's index, the BAR's, and how large it shall be.
struct Tenant {
    function: usize,
    bar: usize,
    size: u64,
}

fn regions(tree: &Tree<'_>, device: &Device) -> io::Result<Vec<Region>> {
    let text = tree.root.read_text(&device.file("resource"))?;
    let hex = |word: Option<&str>| u64::from_str_radix(word?.strip_prefix("0x")?, 16).ok();
    let region = |line: &str| {
        let mut words = line.split_whitespace();
        let (start, end, flags) = (hex(words.next())?, hex(words.next())?, hex(words.next())?);
        let size = if end > start { end - start + 1 } else { 0 };
        Some(Region { start, size, flags })
    };
    text.lines().map(|line| region(line).ok_or(Errno::IO.into())).collect()
}

fn write_regions(tree: &Tree<'_>, device: &Device, regions: &[Region]) -> io::Result<()> {
    let show =
        |r: &Region| format!("{:#018x} {:#018x} {:#018x}\n", r.start, (r.start + r.size).saturating_sub(1), r.flags);
    tree.put(&device.file("resource"), &regions.iter().map(show).collect::<String>())
}

/// `resourceN_resize`: the value is the number of the bit in the attribute's list of sizes, 2^(value+20) bytes.
pub(super) fn resize(tree: &Tree<'_>, device: &Device, bar: &str, value: &str) -> io::Result<()> {
    let invalid = || io::Error::from(Errno::INVAL);
    let bar: usize = bar.parse().map_err(|_| invalid())?;
    let bit = number(value)?;
    if device.driver(tree).is_some() {
        return Err(Errno::BUSY.into());
    }
    let sizes = tree.root.read_text(&device.file(&format!("resource{bar}_resize")))?;
    let sizes = u64::from_str_radix(&sizes, 16).map_err(|_| invalid())?;
    if bit > 43 || sizes >> bit & 1 == 0 {
        return Err(invalid());
    }
    let size = 1u64 << (bit + 20);
    let mut own = regions(tree, device)?;
    let Some(region) = own.get(bar).copied() else { return Err(invalid()) };
    if region.size == size {
        return Ok(());
    }
    match window(tree, device)? {
        Some((holder, bytes, base)) => lay_out(tree, &holder, device, (bar, size), bytes, base),
        None => {
            let end = region.start.checked_add(size).ok_or(Errno::NOSPC)?;
            let free =
                |other: &Region| other.size == 0 || other.start >= end || other.start + other.size <= region.start;
            let mut others = Device::all(tree);
            others.retain(|other| other.name != device.name && !other.is_bridge(tree));
            let mut clear = region.start % size == 0 && own.iter().enumerate().all(|(n, r)| n == bar || free(r));
            for other in &others {
                clear = clear && regions(tree, other)?.iter().all(free);
            }
            if !clear {
                return Err(Errno::NOSPC.into());
            }
            own[bar].size = size;
            write_regions(tree, device, &own)
        }
    }
}

/// The nearest window around a function: whose it is, its size and its base.
fn window(tree: &Tree<'_>, device: &Device) -> io::Result<Option<(String, u64, u64)>> {
    let parse = |word: Option<&String>| word.map_or(Err(Errno::INVAL.into()), |word| number(word));
    for holder in device.path.rsplit('/') {
        if let Some(words) = tree.fact("windows", holder)? {
            return Ok(Some((holder.to_owned(), parse(words.first())?, parse(words.get(1))?)));
        }
    }
    Ok(None)
}

/// Lays out every 64-bit prefetchable BAR below `holder`, the largest first, with one of them in a new size.
fn lay_out(
    tree: &Tree<'_>,
    holder: &str,
    device: &Device,
    (bar, size): (usize, u64),
    bytes: u64,
    base: u64,
) -> io::Result<()> {
    let below = Device::all(tree).into_iter().filter(|d| !d.is_bridge(tree) && d.path.split('/').any(|p| p == holder));
    let functions: Vec<Device> = below.collect();
    let before = functions.iter().map(|function| regions(tree, function)).collect::<io::Result<Vec<_>>>()?;
    let mut tenants = Vec::new();
    for (function, regions) in before.iter().enumerate() {
        let bars = regions.iter().enumerate().take(6);
        for (n, region) in bars.filter(|(_, r)| r.size > 0 && r.flags & PREFETCHABLE_64 == PREFETCHABLE_64) {
            let resized = functions[function].name == device.name && n == bar;
            tenants.push(Tenant { function, bar: n, size: if resized { size } else { region.size } });
        }
    }
    tenants.sort_by_key(|tenant| (std::cmp::Reverse(tenant.size), tenant.function, tenant.bar));
    let mut after = before.clone();
    let mut next = base;
    for tenant in &tenants {
        // Sizes are powers of two and fall, so that after the first every place is aligned.
        let start = next.checked_next_multiple_of(tenant.size).ok_or(Errno::NOSPC)?;
        next = start.checked_add(tenant.size).ok_or(Errno::NOSPC)?;
        let region = &mut after[tenant.function][tenant.bar];
        (region.start, region.size) = (start, tenant.size);
    }
    if next > base.saturating_add(bytes) {
        return Err(Errno::NOSPC.into());
    }
    // What a driver uses cannot move: the window is not released.
    for ((function, new), old) in functions.iter().zip(&after).zip(&before) {
        if new != old
            && function.name != device.name
            && tree.root.exists(&format!("{PCI_DEVICES}/{}/driver", function.name))
        {
            return Err(Errno::NOSPC.into());
        }
    }
    for ((function, new), old) in functions.iter().zip(&after).zip(&before) {
        if new != old {
            write_regions(tree, function, new)?;
        }
    }
    Ok(())
}
