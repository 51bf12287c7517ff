// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where a card's own option ROM is read from, and what forbids it.

use crate::finding::codes;
use crate::host::function::is_vfio;
use crate::host::rom::source::{Source, Sources};
use crate::host::{Function, Host};
use crate::plan::Finding;

/// AMD's, whose cards the firmware's table VFCT is for.
const AMD: u16 = 0x1002;
/// What the kernel says where it finds no ROM (`pci_map_rom`).
const EIO: i32 = 5;

/// The sources to try, in order: the one that was asked for, or all that are there. `gpu` is the section's name.
///
/// # Errors
/// None of them may be read, and the way that works.
pub fn sources(
    gpu: &str,
    function: &Function,
    host: &Host,
    there: &Sources,
    from: Option<Source>,
    force: bool,
) -> Result<Vec<Source>, Finding> {
    let sysfs = || not_by_sysfs(gpu, function, host, there, force);
    let lacks = |what: &str| {
        let text = format!("has no option ROM in {what}");
        let hint = "docs/ROM.md lists other sources";
        Some(Finding::card_named(gpu, codes::ROM_NO_SOURCE, text).hint(hint))
    };
    let why_not = |source| match source {
        Source::Sysfs => sysfs(),
        Source::Vfct if function.vendor != AMD || there.vfct.is_none() => lacks("the firmware's table VFCT"),
        Source::Debugfs if there.debugfs.is_none() => lacks("debugfs"),
        Source::Vfct | Source::Debugfs => None,
    };
    if let Some(source) = from {
        return why_not(source).map_or(Ok(vec![source]), Err);
    }
    let all = [Source::Sysfs, Source::Vfct, Source::Debugfs];
    let found: Vec<Source> = all.into_iter().filter(|source| why_not(*source).is_none()).collect();
    // What the card itself lacks is the reason that helps.
    match (found.is_empty(), sysfs()) {
        (true, Some(finding)) => Err(finding),
        _ => Ok(found),
    }
}

/// Why the card itself cannot be asked.
fn not_by_sysfs(gpu: &str, function: &Function, host: &Host, there: &Sources, force: bool) -> Option<Finding> {
    let address = function.address;
    let finding = |code, text: String, hint: String| Some(Finding::card_named(gpu, code, text).hint(hint));
    if !there.attribute {
        let text = format!("{address} has no option ROM that can be read (no ROM BAR)");
        return finding(codes::ROM_NO_SOURCE, text, "docs/ROM.md lists other sources".to_owned());
    }
    if there.shadow {
        let text = format!("the option ROM of {address} shows a copy in memory that the firmware made, not the card's");
        let hint = "make another display the boot display, or get the ROM from the board's vendor";
        return finding(codes::ROM_SHADOW, text, hint.to_owned());
    }
    if force {
        return None;
    }
    let held = host.holders.iter().find(|(held, holder)| *held == address && holder.node.starts_with("/dev/vfio/"));
    if let Some((_, holder)) = held {
        let text = format!("{address} is in use by a guest: {holder}");
        return finding(codes::ROM_CARD_IN_USE, text, "shut that guest down first".to_owned());
    }
    let driver = function.driver.as_deref().filter(|driver| !is_vfio(driver) && *driver != "pci-stub")?;
    let text = format!("{address} is bound to {driver}, and reading the option ROM may switch off the card's memory");
    let hint = format!("'vfio bind {gpu}' first, or --force");
    finding(codes::ROM_CARD_IN_USE, text, hint)
}

/// What there is to say of a source that could not be read.
pub fn unreadable(gpu: &str, function: &Function, source: Source, why: &str, errno: Option<i32>) -> Finding {
    let text = format!("the option ROM of {} cannot be read by {}: {why}", function.address, source.word());
    let finding = Finding::card_named(gpu, codes::ROM_NOT_READABLE, text);
    finding.hint(match (source, errno) {
        (Source::Sysfs, Some(EIO)) => {
            "the kernel found no ROM there: its messages (dmesg) say what it found, docs/ROM.md what that means"
        }
        _ => "docs/ROM.md lists other sources",
    })
}

/// A table that has the ROM for another address.
pub fn elsewhere(gpu: &str, function: &Function, there: &Sources) -> Option<Finding> {
    let text = format!("the firmware's table VFCT has the option ROM of {} for another address", function.ids());
    let hint = format!("compare the subsystem, if the machine has several of these cards ({})", function.address);
    let finding = || Finding::card_named(gpu, codes::ROM_OTHER_ADDRESS, text).hint(hint).warning();
    (there.vfct == Some(false)).then(finding)
}
