// SPDX-License-Identifier: LGPL-2.1-or-later
//! Resizable BARs.
//!
//! The BARs of a function must fit beside what else is in the window that `.kernel/windows` gives for a bridge above it, or
//! for the function itself, where they are laid out again by falling size; where the tree says nothing, in their place as it
//! is. Other functions' BARs in the window keep their places.
//!
//! `.kernel/resize` says what kernel it is, a word a line, with what follows it:
//!
//! - `rollback none`: what fails leaves the function's BARs of that kind without a place, and they never get one again.
//!   Otherwise nothing is changed (6.12.107, 6.19).
//! - `placeless BYTES`: this size and larger ones come about, but without a place.
//!   A write to any BAR of a function that has lost one ends in a hang: the kernel uses what it had freed (6.12.107).
//! - `pinned`: nothing is resized, ENOENT, while another function has a place in the window right above (6.1). Otherwise what fits
//!   beside it comes about (6.12.107, 7.3.4).
//! - `preserve`: the host bridge keeps what the firmware placed, ENOTSUPP. `privileged`: EPERM (7.3 without CAP_SYS_ADMIN).
//!
//! A function that is found by a rescan has the sizes that its registers in configuration space hold, which the kernel writes
//! too when it resizes. If that finds no place twice in a row, all other ports lose their windows, with what is in them.

use crate::device::Device;
use crate::parse::number;
use crate::tree::Tree;
use rustix::io::Errno;
use std::io;
use vfio_suite::host::bars;
use vfio_suite::host::reset::is_locked_down;
use vfio_suite::pci::Address;

/// The kernel's own ENOTSUPP, which is not an errno of programs.
const NOTSUPP: Errno = Errno::from_raw_os_error(524);

/// Flags of a 64-bit prefetchable BAR that is placed again.
const PLACED: u64 = 0x14_220c;

/// `IORESOURCE_PREFETCH | IORESOURCE_MEM_64`.
const PREFETCHABLE_64: u64 = 0x10_2000;

/// A line of `resource`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Region {
    start: u64,
    size: u64,
    flags: u64,
}

/// A BAR that has no place.
const NOWHERE: Region = Region { start: 0, size: 0, flags: 0 };

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

/// What the tree says after a word in `.kernel/resize`; `None` if the word is not there.
fn said(tree: &Tree<'_>, word: &str) -> io::Result<Option<String>> {
    Ok(tree.fact("resize", word)?.map(|rest| rest.concat()))
}

/// `resourceN_resize`: the value is the number of the bit in the attribute's list of sizes, 2^(value+20) bytes.
pub(crate) fn resize(tree: &Tree<'_>, device: &Device, bar: &str, value: &str) -> io::Result<()> {
    let invalid = || io::Error::from(Errno::INVAL);
    let bar: usize = bar.parse().map_err(|_| invalid())?;
    if said(tree, "privileged")?.is_some() {
        return Err(Errno::PERM.into());
    }
    let bit = number(value)?;
    if device.driver(tree).is_some() {
        return Err(Errno::BUSY.into());
    }
    if said(tree, "preserve")?.is_some() {
        return Err(NOTSUPP.into());
    }
    let sizes = tree.root.read_text(&device.file(&format!("resource{bar}_resize")))?;
    let sizes = u64::from_str_radix(&sizes, 16).map_err(|_| invalid())?;
    if bit > 43 || sizes >> bit & 1 == 0 {
        return Err(invalid());
    }
    let size = 1u64 << (bit + 20);
    let before = regions(tree, device)?;
    let Some(region) = before.get(bar).copied() else { return Err(invalid()) };
    let rollback = said(tree, "rollback")?;
    if tree.root.exists(&format!(".kernel/oops-{}", device.name)) {
        return Err(io::ErrorKind::TimedOut.into());
    }
    if region.size == size && region.start != 0 {
        return Ok(());
    }
    let mut own = before.clone();
    own[bar] = Region { size, flags: PLACED, ..region };
    let placeless = said(tree, "placeless")?.map(|bytes| number(&bytes)).transpose()?;
    if placeless.is_some_and(|least| size >= least) {
        own[bar] = NOWHERE;
        tree.put(&format!(".kernel/oops-{}", device.name), "")?;
        return write_regions(tree, device, &own);
    }
    let placed = match window(tree, device)? {
        Some((holder, bytes, base)) => lay_out(tree, &holder, device, &mut own, (base, bytes)),
        None => stay(tree, device, &own, bar),
    };
    if placed.is_err() && rollback.is_some() {
        let lost = |r: &Region| if r.flags == region.flags { NOWHERE } else { *r };
        own = before.iter().map(lost).collect();
        write_regions(tree, device, &own)?;
        tree.put(&format!(".kernel/oops-{}", device.name), "")?;
        return placed;
    }
    placed.and_then(|()| write_regions(tree, device, &own))?;
    let address = Address::from_sysfs(device.name.as_bytes()).ok_or_else(invalid)?;
    match bars::size_register(tree.root, address, bar as u8) {
        Some(place) => configure(tree, device, place, bit as u8),
        None => Ok(()),
    }
}

/// `config@PLACE`: a byte of configuration space (`pci_write_config()`), which a kernel under lockdown lets nobody write.
pub(crate) fn write_config(tree: &Tree<'_>, device: &Device, attribute: &str, value: &str) -> io::Result<()> {
    if is_locked_down(tree.root) {
        return Err(Errno::PERM.into());
    }
    let place = attribute.split_once('@').and_then(|(_, place)| place.parse::<usize>().ok()).ok_or(Errno::INVAL)?;
    let byte = u8::from_str_radix(value.trim_end(), 16).map_err(|_| Errno::INVAL)?;
    configure(tree, device, place, byte)
}

/// Changes a byte of configuration space.
fn configure(tree: &Tree<'_>, device: &Device, place: usize, byte: u8) -> io::Result<()> {
    let file = device.file("config");
    let mut config = tree.root.read(&file)?;
    *config.get_mut(place).ok_or(Errno::INVAL)? = byte;
    tree.put(&file, &config)
}

/// A function that is found: where the registers of its BARs hold other sizes than it had, all BARs of the kind are placed
/// again, or none of them.
pub(crate) fn found(tree: &Tree<'_>, device: &Device) -> io::Result<()> {
    let Some(address) = Address::from_sysfs(device.name.as_bytes()) else { return Ok(()) };
    let config = tree.root.read(&device.file("config")).unwrap_or_default();
    let mut own = regions(tree, device)?;
    let movable = |r: &Region| r.flags & PREFETCHABLE_64 == PREFETCHABLE_64;
    let had_window = own.iter().any(|r| r.start > 0 && movable(r));
    let mut changed = false;
    for (n, region) in own.iter_mut().enumerate().take(6) {
        let Some(place) = bars::size_register(tree.root, address, n as u8) else { continue };
        let size = 1u64 << (config.get(place).map_or(0, |byte| byte & 0x3f) + 20);
        if region.size != size {
            *region = Region { size, flags: PLACED, start: region.start };
            changed = true;
        }
    }
    if !changed {
        return Ok(());
    }
    let placed = match window(tree, device)? {
        Some((holder, bytes, base)) => lay_out(tree, &holder, device, &mut own, (base, bytes)),
        None => Err(Errno::NOSPC.into()),
    };
    if placed.is_err() {
        own.iter_mut().filter(|region| region.flags == PLACED).for_each(|region| *region = NOWHERE);
    }
    if placed.is_err() && !had_window {
        for other in Device::all(tree).iter().filter(|other| other.bus() != device.bus() && !other.is_bridge(tree)) {
            let mut theirs = regions(tree, other)?;
            theirs.iter_mut().filter(|r| movable(r)).for_each(|region| *region = NOWHERE);
            write_regions(tree, other, &theirs)?;
        }
    }
    write_regions(tree, device, &own)
}

/// Whether a BAR has room in its place as it is.
fn stay(tree: &Tree<'_>, device: &Device, own: &[Region], bar: usize) -> io::Result<()> {
    let Region { start, size, .. } = own[bar];
    let end = start.checked_add(size).ok_or(Errno::NOSPC)?;
    let free = |other: &Region| other.size == 0 || other.start >= end || other.start + other.size <= start;
    let mut clear = start > 0 && start % size == 0 && own.iter().enumerate().all(|(n, r)| n == bar || free(r));
    for other in Device::all(tree).iter().filter(|other| other.name != device.name && !other.is_bridge(tree)) {
        clear = clear && regions(tree, other)?.iter().all(free);
    }
    if clear {
        Ok(())
    } else {
        Err(Errno::NOSPC.into())
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

/// Places the 64-bit prefetchable BARs of a function in the window of `holder`, the largest first, beside those of the other
/// functions there.
fn lay_out(
    tree: &Tree<'_>,
    holder: &str,
    device: &Device,
    own: &mut [Region],
    (base, bytes): (u64, u64),
) -> io::Result<()> {
    let end = base.saturating_add(bytes);
    let moves = |r: &Region| r.size > 0 && r.flags & PREFETCHABLE_64 == PREFETCHABLE_64;
    let mut taken: Vec<(u64, u64)> = Vec::new();
    let below =
        |d: &&Device| d.name != device.name && !d.is_bridge(tree) && d.path.split('/').any(|part| part == holder);
    for other in Device::all(tree).iter().filter(below) {
        let regions = regions(tree, other)?;
        taken
            .extend(regions.iter().filter(|r| moves(r) && r.start >= base && r.start < end).map(|r| (r.start, r.size)));
    }
    if !taken.is_empty() && device.bus().ends_with(holder) && said(tree, "pinned")?.is_some() {
        return Err(Errno::NOENT.into());
    }
    let mut order: Vec<usize> = (0..own.len().min(6)).filter(|n| moves(&own[*n])).collect();
    order.sort_by_key(|n| (std::cmp::Reverse(own[*n].size), *n));
    for n in order {
        let size = own[n].size;
        let mut start = base.checked_next_multiple_of(size).ok_or(Errno::NOSPC)?;
        while let Some((other, bytes)) = taken.iter().find(|(s, b)| start < s + b && start + size > *s) {
            start = (other + bytes).checked_next_multiple_of(size).ok_or(Errno::NOSPC)?;
        }
        if start.checked_add(size).is_none_or(|to| to > end) {
            return Err(Errno::NOSPC.into());
        }
        own[n].start = start;
        taken.push((start, size));
    }
    Ok(())
}
