// SPDX-License-Identifier: LGPL-2.1-or-later
//! Undo: the journal read backwards. It needs no configuration, and may be run again after any crash of its own:
//! every record is compared with what is there now.

use crate::act::backend::kernel::{Kernel, KernelError};
use crate::act::card::error::FunctionError;
use crate::act::card::reenumerate;
use crate::act::card::writes::{
    comes_back, nobody_holds, probe, probe_newcomers, rescan, set_override, unbind, wait_until, Resized,
};
use crate::act::card::{framebuffer, power, resize};
use crate::host::bars;
use crate::host::function::{self, attribute};
use crate::host::reset::RESET_METHOD;
use crate::journal::{ids, Record};
use crate::pci::Address;
use crate::plan::Step;
use crate::root::{Root, PCI_BUS, PCI_DEVICES, PCI_DRIVERS};
use rustix::io::Errno;

/// Undoes records, the last first, and goes on past what cannot be undone. Gives one sentence for each of those. Functions
/// that the kernel still works on are added to `hanging`: a further write to one would hang as well. `free` are those that
/// nobody held a moment ago: looking through all processes once a card is enough.
pub fn undo(
    root: &Root,
    kernel: &dyn Kernel,
    records: &[Record],
    free: &[Address],
    hanging: &mut Vec<Address>,
) -> Vec<String> {
    let mut problems = Vec::new();
    // What their drivers did not take back when their unbinding was undone.
    let mut refused: Vec<Address> = Vec::new();
    for (n, record) in records.iter().enumerate().rev() {
        if let Some(function) = record.function() {
            if hanging.contains(&function) {
                continue;
            }
            if let Some((now, then)) = other_device(root, record, function) {
                problems.push(format!("{function} is {now} now, not {then}: it is left alone"));
                continue;
            }
        }
        log::debug!("undo: {}", record.step);
        let lost = |f: &Address| bars::loss(root, *f).is_some();
        if let Some(f) = record.function().filter(|f| !is_reenumerated(record) && !is_probe(record) && lost(f)) {
            // What is re-enumerated gets new addresses, and a BAR that found none may find one when another has its former size.
            if !records[..n].iter().any(|earlier| is_reenumerated(earlier) && earlier.function() == Some(f)) {
                let loss = keep_away(root, kernel, f);
                problems.extend(loss.filter(|loss| !problems.contains(loss)));
            }
            continue;
        }
        let again = !record.function().is_some_and(|f| refused.contains(&f));
        if let Err(error) = undo_record(root, kernel, record, free, again) {
            refused.extend(record.function());
            if error.is_timeout() {
                hanging.extend(record.function());
            }
            problems.push(format!("undoing '{}': {error}", record.step));
        }
    }
    for record in records.iter().filter(|record| is_reenumerated(record)) {
        let Some(function) = record.function().filter(|f| other_device(root, record, *f).is_none()) else { continue };
        // Where the kernel still works on it, a loss is said and nothing is written.
        let hangs = hanging.contains(&function);
        let loss = if hangs { bars::loss(root, function) } else { keep_away(root, kernel, function) };
        problems.extend(loss.filter(|loss| !problems.contains(loss)));
    }
    problems
}

/// What is at the place of a function now and what was recorded there, where it is not the same device.
fn other_device(root: &Root, record: &Record, function: Address) -> Option<(String, String)> {
    let (now, then) = (ids(root, function)?, record.ids.clone()?);
    (now != then).then_some((now, then))
}

fn is_probe(record: &Record) -> bool {
    matches!(record.step, Step::Probe { .. })
}

/// Whether its function was taken off the bus and found again.
fn is_reenumerated(record: &Record) -> bool {
    matches!(record.step, Step::Resize { below: Some(_), .. })
}

/// A function without a place for one of its BARs keeps away from every driver, whatever had it before, and no size is
/// written to it: only a reboot helps.
fn keep_away(root: &Root, kernel: &dyn Kernel, function: Address) -> Option<String> {
    const NO_DRIVER: &str = "none";
    let mut loss = bars::loss(root, function)?;
    if function::driver_override(root, function).as_deref() != Some(NO_DRIVER) {
        if let Err(error) = set_override(kernel, function, Some(NO_DRIVER)) {
            loss += &format!(" (and no override keeps drivers away: {error})");
        }
    }
    // One that was re-enumerated may be bound to the driver that came first.
    if let Some(driver) = function::driver(root, function) {
        if let Err(error) = free_and_unbind(root, kernel, function, &driver) {
            loss += &format!(" (and {driver} has it: {error})");
        }
    }
    Some(loss)
}

/// Takes a function that nobody holds from its driver.
fn free_and_unbind(root: &Root, kernel: &dyn Kernel, function: Address, driver: &str) -> Result<(), FunctionError> {
    nobody_holds(root, function)?;
    Ok(unbind(root, kernel, function, driver)?)
}

/// Brings back what was before one record. `homing`: whether its function may still find its driver.
fn undo_record(
    root: &Root,
    kernel: &dyn Kernel,
    record: &Record,
    free: &[Address],
    homing: bool,
) -> Result<(), FunctionError> {
    let there = |f: &Address| root.exists(&format!("{PCI_DEVICES}/{f}"));
    let let_go = |f: &Address| if free.contains(f) { Ok(()) } else { nobody_holds(root, *f) };
    match &record.step {
        Step::Override { function, driver } if there(function) => {
            // A module that is loaded takes at once what waits for it: then no record says that the function was bound.
            let now = function::driver(root, *function);
            if let Some(now) = now.filter(|now| driver.as_ref() == Some(now) && record.driver.as_ref() != Some(now)) {
                unbind(root, kernel, *function, &now)?;
            }
            if function::driver_override(root, *function) != record.before {
                set_override(kernel, *function, record.before.as_deref())?;
            }
            // Its driver's module was unloaded after the override was written: then no other record says who had it.
            match record.driver.as_deref() {
                Some(driver) if homing && function::driver(root, *function).is_none() => {
                    bind_back(root, kernel, *function, driver, record)
                }
                _ => Ok(()),
            }
        }
        Step::Probe { function, driver } if there(function) => match function::driver(root, *function) {
            Some(now) if now == *driver => {
                let_go(function)?;
                Ok(unbind(root, kernel, *function, driver)?)
            }
            _ => Ok(()),
        },
        Step::Set { function, attribute, .. } if there(function) => {
            Ok(set_back(root, kernel, *function, attribute, record)?)
        }
        Step::Resize { function, bar, below: Some(bridge), .. } => {
            let resized = Resized { function: *function, bar: *bar };
            reenumerate::restore_size(root, kernel, resized, *bridge, record.before.as_deref())
        }
        Step::Resize { function, bar, .. } if there(function) => {
            match function::driver(root, *function) {
                // It was not let go when its binding was undone.
                Some(driver) if function::is_vfio(&driver) => {
                    let_go(function)?;
                    unbind(root, kernel, *function, &driver)?;
                }
                // A host driver has made the BAR as large as it wants it.
                Some(_) => return Ok(()),
                None => {}
            }
            resize::restore_size(root, kernel, Resized { function: *function, bar: *bar }, record.before.as_deref())
        }
        Step::Awake { function } if there(function) => {
            Ok(power::let_sleep(root, kernel, record.before.as_deref().unwrap_or_default())?)
        }
        Step::Unbind { function, driver } if there(function) => bind_back(root, kernel, *function, driver, record),
        Step::Evict { function } => {
            framebuffer::bind_back(root, kernel, *function, record.before.as_deref());
            Ok(())
        }
        Step::Remove { function } => put_back(root, kernel, *function, record),
        Step::Autoprobe { .. } => {
            let path = format!("{PCI_BUS}/drivers_autoprobe");
            let Some(before) = record.before.as_deref() else { return Ok(()) };
            if root.read_text(&path).ok().as_deref() != Some(before) {
                kernel.write(&path, before)?;
                if before == "1" {
                    probe_newcomers(root, kernel);
                }
            }
            Ok(())
        }
        // A module that is loaded harms nobody, and others may use it by now; a device that is gone has nothing to undo.
        _ => Ok(()),
    }
}

/// Writes what an attribute was.
fn set_back(
    root: &Root,
    kernel: &dyn Kernel,
    function: Address,
    name: &str,
    record: &Record,
) -> Result<(), KernelError> {
    let path = attribute(function, name);
    let Some(before) = record.before.as_deref() else { return Ok(()) };
    if root.read_text(&path).ok().as_deref() == Some(before) {
        return Ok(());
    }
    match kernel.write(&path, before) {
        // The list that a function has from its enumeration may hold a method that it has no more: `bus`, since another
        // function has come to its bus, or that of a module that is gone.
        Err(error) if error.errno() == Some(Errno::INVAL) && name == RESET_METHOD => kernel.write(&path, "default"),
        other => other,
    }
}

/// Finds a removed function again and brings back its driver and its override. What a rescan let in meanwhile goes,
/// if nobody holds the function; where no driver had it and any could have, the driver that came may stay.
fn put_back(root: &Root, kernel: &dyn Kernel, function: Address, record: &Record) -> Result<(), FunctionError> {
    let there = |f: &Address| root.exists(&format!("{PCI_DEVICES}/{f}"));
    if !there(&function) {
        rescan(kernel, record.bridge.filter(there))?;
        comes_back(root, function)?;
    }
    let free = record.before.is_none() && record.driver_override.is_none();
    if let Some(other) = function::driver(root, function).filter(|now| record.before.as_ref() != Some(now) && !free) {
        free_and_unbind(root, kernel, function, &other)?;
    }
    if let Some(driver) = &record.before {
        bind_back(root, kernel, function, driver, record)?;
    }
    if function::driver_override(root, function) != record.driver_override {
        set_override(kernel, function, record.driver_override.as_deref())?;
    }
    Ok(())
}

/// Gives a function back to the driver that had it. The override lets only that driver in meanwhile: no other can be
/// faster.
fn bind_back(
    root: &Root,
    kernel: &dyn Kernel,
    function: Address,
    driver: &str,
    record: &Record,
) -> Result<(), FunctionError> {
    match function::driver(root, function) {
        Some(now) if now == driver => return Ok(()),
        // Our override let it in, when its module was loaded.
        Some(now) if function::is_vfio(&now) && function::driver_override(root, function).as_ref() == Some(&now) => {
            unbind(root, kernel, function, &now)?;
        }
        // An undo that was cut short had come as far as the host's driver: what lies between is over.
        Some(_) if function::is_vfio(driver) => return Ok(()),
        Some(now) => return Err(FunctionError::BoundTo(now)),
        None => {}
    }
    if !root.exists(&format!("{PCI_DRIVERS}/{driver}")) {
        kernel.modprobe(record.module.as_deref().unwrap_or(driver))?;
    }
    let before = function::driver_override(root, function);
    set_override(kernel, function, Some(driver))?;
    let bound = probe(kernel, function);
    let taken = bound.is_ok() && wait_until(|| function::driver(root, function).is_some());
    set_override(kernel, function, before.as_deref())?;
    bound?;
    if taken {
        Ok(())
    } else {
        Err(FunctionError::NotBound(driver.to_owned()))
    }
}

/// Gives functions that no driver has to the host: whichever driver fits is loaded and asked.
///
/// What was bound before any host driver came (at boot) has no driver to go back to in the journal; this finds it one.
pub fn give_to_host(root: &Root, kernel: &dyn Kernel, functions: &[Address]) {
    for address in functions {
        if !root.exists(&format!("{PCI_DEVICES}/{address}"))
            || function::driver(root, *address).is_some()
            || function::driver_override(root, *address).is_some()
            || bars::lost(root, *address).is_some()
        {
            continue;
        }
        // A function for which no module fits stays without a driver, as it would after a boot without us.
        let modalias = root.read_text(&attribute(*address, "modalias")).unwrap_or_default();
        if !modalias.is_empty() && kernel.modprobe(&modalias).is_err() {
            log::debug!("{address}: no module for {modalias}");
        }
        if function::driver(root, *address).is_none() {
            if let Err(error) = probe(kernel, *address) {
                log::warn!("{address}: no host driver binds it: {error}");
            }
        }
    }
}
