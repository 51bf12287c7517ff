// SPDX-License-Identifier: LGPL-2.1-or-later
//! Giving a BAR another size, and the former one back.
//!
//! The kernel's yes is not enough, nor is its no: what it moved, it may have lost. So the BARs of the function and of all
//! functions whose windows may move with it are read before and after, and what had a place must have one.

use crate::act::backend::kernel::{Kernel, KernelError};
use crate::act::card::error::{FunctionError, StepError};
use crate::act::card::reenumerate;
use crate::act::card::writes::Resized;
use crate::act::files;
use crate::host::bars::{self, show_size, Bar};
use crate::host::bridge_window;
use crate::host::function::{self, attribute};
use crate::pci::Address;
use crate::plan::Step;
use crate::root::Root;
use rustix::io::Errno;
use std::fmt::Write;
use std::io;

/// What the kernel means by an errno that leaves everything as it was, where it does mean something (`resource_resize_store`
/// in `drivers/pci/pci-sysfs.c`, and what that calls).
fn meaning(error: &KernelError) -> Option<&'static str> {
    /// The kernel's own ENOTSUPP, which strerror(3) does not know.
    const NOTSUPP: i32 = 524;
    match error.errno()? {
        Errno::NOSPC => Some("the bridge window has no free space for it"),
        Errno::NOENT => Some("the window of its bridge cannot move: something else has an address in it"),
        Errno::INVAL => Some("the kernel does not take this size"),
        errno if errno.raw_os_error() == NOTSUPP => Some("the firmware forbids moving BARs (preserve_config)"),
        _ => None,
    }
}

/// The BARs that have a place, of a function and all that may be moved with it: each with its size.
fn placed_bars(root: &Root, function: Address) -> Vec<(Address, u8, u64)> {
    let of = |f: Address| bars::placed(root, f).into_iter().map(move |(bar, size)| (f, bar, size));
    bridge_window::neighbours(root, function).into_iter().flat_map(of).collect()
}

/// The BARs that have a place, of all functions but those below a bridge: with the place.
fn bars_outside(root: &Root, bridge: Address) -> Vec<(Address, u8, u64, u64)> {
    let below = bridge_window::with_all_below(root, bridge);
    let of = |f: Address| {
        let placed = bars::read(root, f).0.into_iter().filter(Bar::is_placed);
        placed.map(move |bar| (f, bar.index, bar.start, bar.size))
    };
    function::addresses(root).into_iter().filter(|f| !below.contains(f)).flat_map(of).collect()
}

/// Whether a BAR is where it was, or its function is not there any more.
fn is_there(root: &Root, (function, bar, start, size): &(Address, u8, u64, u64)) -> bool {
    let same = |b: Bar| (b.start, b.size) == (*start, *size);
    !root.exists(&attribute(*function, "resource")) || bars::bar(root, *function, *bar).is_some_and(same)
}

/// Writes down what all these functions have, before the first of them is resized in this boot.
fn record_sizes(root: &Root, function: Address) -> io::Result<()> {
    for neighbour in bridge_window::neighbours(root, function) {
        if bars::remembered(root, neighbour).is_none() {
            let mut text = root.read_text(&attribute(neighbour, "modalias")).unwrap_or_default();
            text.push('\n');
            for (bar, size) in bars::placed(root, neighbour) {
                // Writing to a text does not fail.
                let _ = writeln!(text, "{bar} {size}");
            }
            files::replace(root, &bars::remembered_path(neighbour), text.as_bytes())?;
        }
    }
    Ok(())
}

/// Asks for a size, 2^(value+20) bytes.
fn write(kernel: &dyn Kernel, resized: Resized, size: u64) -> Result<(), KernelError> {
    let Resized { function, bar } = resized;
    let value = size.trailing_zeros().saturating_sub(20);
    kernel.write(&attribute(function, &format!("resource{bar}_resize")), &value.to_string())
}

/// Gives a BAR a size, or the next smaller one that comes about, or what it had. An error leaves it as it was, or without a
/// place: then no size brought it back.
pub(crate) fn resize_bar(
    root: &Root,
    kernel: &dyn Kernel,
    step: &Step,
    resized: Resized,
    desired: u64,
    below: Option<Address>,
) -> Result<(), StepError> {
    let Resized { function, bar } = resized;
    let not_so = |found: &str| StepError::NotSo { step: step.clone(), found: found.to_owned() };
    let failed = |source: FunctionError| StepError::Kernel { step: step.clone(), source: Box::new(source) };
    let kernel_error = |source: KernelError| failed(source.into());
    let Some(now) = bars::bar(root, function, bar) else { return Err(not_so("it has no such BAR")) };
    record_sizes(root, function).map_err(|source| StepError::Journal { step: step.clone(), source })?;
    let before = placed_bars(root, function);
    let rest = || before.iter().filter(|(f, b, _)| (*f, *b) != (function, bar));
    // Whether all that had a place has it still, with its size, and this BAR has one, with that size.
    let is_so = |size: u64| {
        let after = placed_bars(root, function);
        after.contains(&(function, bar, size)) && rest().all(|other| after.contains(other))
    };
    let sizes = now.sizes.iter().rev().copied().filter(|s| *s == desired || (*s < desired && *s > now.size));
    if let Some(bridge) = below {
        let bars_outside = bars_outside(root, bridge);
        let find = |size: u64| {
            reenumerate::reenumerate(root, kernel, resized, size, bridge).map_err(failed)?;
            // Nothing that we could write brings that back.
            match bars_outside.iter().find(|bar| !is_there(root, bar)) {
                Some((other, bar, ..)) => {
                    Err(not_so(&format!("BAR {bar} of {other} has lost its place to {function}; reboot")))
                }
                None => Ok(is_so(size)),
            }
        };
        for size in sizes.filter(|size| *size != now.size || !now.is_placed()) {
            if find(size)? {
                if size != desired {
                    let (desired, size) = (show_size(desired), show_size(size));
                    log::warn!("{function}: BAR {bar} is {size} now, not {desired}: the kernel finds no place for it");
                }
                return Ok(());
            }
            // The bridge has lost its window to that. Where it has none and there is no room again, the kernel takes the windows of
            // all other ports, whatever uses the devices in them (`pci_assign_unassigned_bridge_resources` in
            // `drivers/pci/setup-bus.c` releases around the bridge that fails): first it gets the one it had.
            if !now.is_placed() || !find(now.size)? {
                break;
            }
        }
        if is_so(now.size) {
            if now.size != desired {
                let (desired, size) = (show_size(desired), show_size(now.size));
                log::warn!("{function}: BAR {bar} is {size} now, not {desired}: the kernel finds no place for it");
            }
            return Ok(());
        }
        return Err(not_so(
            &bars::loss(root, function).unwrap_or_else(|| "a BAR has another size than before".to_owned()),
        ));
    }
    let mut why = "";
    for size in sizes {
        let written = write(kernel, resized, size);
        if matches!(&written, Err(error) if error.is_timeout()) {
            return written.map_err(kernel_error);
        }
        if is_so(size) {
            if size != desired {
                let (desired, size) = (show_size(desired), show_size(size));
                log::warn!("{function}: BAR {bar} is {size} now, not {desired}: {why}");
            }
            return Ok(());
        }
        // Kernels keep what they had freed of the attributes of a BAR that is gone, and use it at the next write (6.12.107: an
        // oops). Nor was a size ever seen to bring it back.
        if let Some(loss) = bars::loss(root, function) {
            return Err(not_so(&loss));
        }
        let untouched = placed_bars(root, function) == before;
        match &written {
            Ok(()) => why = "the kernel finds no place for it",
            Err(error) => match meaning(error) {
                Some(text) => why = text,
                None if untouched && now.is_placed() => return written.map_err(kernel_error),
                // 6.1 says EBUSY of a BAR that never had a place.
                None => why = "the kernel does not take it",
            },
        }
        // Only for want of room is it worth while to ask for less.
        if untouched && !matches!(&written, Err(error) if error.errno() == Some(Errno::NOSPC)) {
            break;
        }
    }
    if placed_bars(root, function) != before {
        log::warn!("{function}: BAR {bar} gets {} again: {why}", show_size(now.size));
        write(kernel, resized, now.size).map_err(kernel_error)?;
    }
    match bars::loss(root, function) {
        Some(loss) => Err(not_so(&loss)),
        None if placed_bars(root, function) == before => {
            log::warn!("{function}: BAR {bar} stays at {}: {why}", show_size(now.size));
            Ok(())
        }
        None => Err(not_so("another BAR has lost its place or its size; reboot")),
    }
}

/// Gives a BAR the size that it had. It is tried twice, for then its function goes back to a driver that keeps it as it is.
pub(crate) fn restore_size(
    root: &Root,
    kernel: &dyn Kernel,
    resized: Resized,
    before: Option<&str>,
) -> Result<(), FunctionError> {
    let Resized { function, bar } = resized;
    let Some(size) = before.and_then(|text| text.parse::<u64>().ok()) else { return Ok(()) };
    let is_so = || {
        let placed = |b: Bar| b.size == size && (b.is_placed() || bars::lost(root, function).is_none());
        bars::bar(root, function, bar).is_some_and(placed)
    };
    let mut written = Ok(());
    for _ in 0..2 {
        if is_so() || bars::loss(root, function).is_some() {
            break;
        }
        written = write(kernel, resized, size);
        if matches!(&written, Err(error) if error.is_timeout()) {
            break;
        }
    }
    match bars::loss(root, function) {
        _ if is_so() => Ok(()),
        Some(loss) => Err(FunctionError::NoPlace(loss)),
        None => {
            written?;
            Err(FunctionError::OtherSize(size))
        }
    }
}
