// SPDX-License-Identifier: LGPL-2.1-or-later
//! The journal: what a card was before each change, on disk before the change is made.
//!
//! One file a card, `/run/vfio/journal/NAME`, one JSON record a line, synced one by one. It is gone after a reboot, as
//! everything that it could undo is.

use super::{files, framebuffer, power, resize};
use crate::host::function;
use crate::host::reset::RESET_METHOD;
use crate::pci::Address;
use crate::plan::Step;
use crate::root::{Root, PCI_BUS, RUN};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};

/// One step, and what was there before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The step.
    pub step: Step,
    /// `vendor:device` of its function, so that undo never touches another card that took its place.
    pub ids: Option<String>,
    /// What was there: the override, an attribute's value, the state of autoprobe, the driver of a removed function, the
    /// bytes of a BAR, the driver, device and memory of a framebuffer.
    pub before: Option<String>,
    /// The module of the driver that had the function, to load again if it is gone.
    pub module: Option<String>,
    /// The bridge above a removed function, below which it is found again.
    pub bridge: Option<Address>,
    /// The override of a removed function, which is lost with it.
    pub driver_override: Option<String>,
    /// The driver that a function had when its override was written.
    pub driver: Option<String>,
}

/// Where the journals are, one file a card.
pub fn directory() -> String {
    format!("{RUN}/journal")
}

/// The path of a card's journal.
pub fn path(gpu: &str) -> String {
    format!("{}/{gpu}", directory())
}

/// The function that a step is about.
fn function_of(step: &Step) -> Option<Address> {
    match step {
        Step::Override { function, .. }
        | Step::Unbind { function, .. }
        | Step::Probe { function, .. }
        | Step::Set { function, .. }
        | Step::Free { function }
        | Step::Awake { function }
        | Step::Evict { function }
        | Step::Resize { function, .. }
        | Step::Remove { function } => Some(*function),
        Step::Load { .. } | Step::Autoprobe { .. } | Step::Rescan { .. } => None,
    }
}

/// `vendor:device` of what is at an address now.
pub(super) fn ids(root: &Root, address: Address) -> Option<String> {
    let id = |name: &str| {
        let text = root.read_text(&function::attribute(address, name)).ok()?;
        Some(text.trim_start_matches("0x").to_owned())
    };
    Some(format!("{}:{}", id("vendor")?, id("device")?))
}

impl Record {
    /// What is there now, before `step`.
    pub fn before(root: &Root, step: &Step) -> Record {
        let function = function_of(step);
        let (mut before, mut module, mut bridge) = (None, None, None);
        let (mut driver_override, mut driver) = (None, None);
        match step {
            Step::Override { function, .. } => {
                before = function::driver_override(root, *function);
                driver = function::driver(root, *function);
                module = function::driver_module(root, *function);
            }
            Step::Unbind { function, .. } => module = function::driver_module(root, *function),
            Step::Remove { function } => {
                before = function::driver(root, *function);
                module = function::driver_module(root, *function);
                bridge = function::parents(root, *function).first().copied();
                driver_override = function::driver_override(root, *function);
            }
            Step::Set { function, attribute, .. } => {
                before = root.read_text(&function::attribute(*function, attribute)).ok();
            }
            Step::Awake { function } => before = Some(power::allowed(root, &[*function])),
            Step::Autoprobe { .. } => before = root.read_text(&format!("{PCI_BUS}/drivers_autoprobe")).ok(),
            Step::Resize { function, bar, .. } => {
                before = resize::size(root, *function, *bar).map(|size| size.to_string());
            }
            Step::Evict { function } => before = framebuffer::before(root, *function),
            Step::Load { .. } | Step::Probe { .. } | Step::Free { .. } | Step::Rescan { .. } => {}
        }
        let ids = function.and_then(|f| ids(root, f));
        Record { step: step.clone(), ids, before, module, bridge, driver_override, driver }
    }

    /// A change that was made for us before any journal was open: udev writes the override of a card that is plugged in.
    pub fn adopted(root: &Root, function: Address, driver: String) -> Record {
        let step = Step::Override { function, driver: Some(driver) };
        let ids = ids(root, function);
        Record { step, ids, driver: None, before: None, module: None, bridge: None, driver_override: None }
    }

    /// The function that the record is about.
    pub fn function(&self) -> Option<Address> {
        function_of(&self.step)
    }
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    file: File,
}

impl Journal {
    /// Opens a journal to add to it. A line that a crash cut off is cut away: nothing can be added to it.
    pub fn open(root: &Root, path: &str) -> io::Result<Journal> {
        let bytes = bytes(root, path)?;
        let file = files::append(root, path)?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64)?;
        }
        Ok(Journal { file })
    }

    /// Adds a record. When this returns, it survives the program.
    pub fn add<R: Serialize>(&mut self, record: &R) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_all()
    }
}

/// What is in a journal; it has no limit, for every record of it may be needed.
fn bytes(root: &Root, path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match root.open_file(path) {
        Ok(mut file) => file.read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(bytes)
}

/// All records of a card, in order.
pub fn read(root: &Root, gpu: &str) -> io::Result<Vec<Record>> {
    read_all(root, &path(gpu))
}

/// The reset methods that a card's functions showed before we wrote others.
pub fn reset_before(root: &Root, gpu: &str) -> Vec<(Address, Vec<String>)> {
    let before = |record: Record| match (record.step, record.before) {
        (Step::Set { function, attribute, .. }, Some(methods)) if attribute == RESET_METHOD => {
            Some((function, methods.split_ascii_whitespace().map(str::to_owned).collect()))
        }
        _ => None,
    };
    read(root, gpu).unwrap_or_default().into_iter().filter_map(before).collect()
}

/// All records of a journal, in order. A last line that was cut off by a crash describes a change that was never made.
pub fn read_all<R: DeserializeOwned>(root: &Root, path: &str) -> io::Result<Vec<R>> {
    let bytes = bytes(root, path)?;
    let mut records = Vec::new();
    let mut lines = bytes.split_inclusive(|b| *b == b'\n').peekable();
    while let Some(line) = lines.next() {
        match serde_json::from_slice(line) {
            Ok(record) => records.push(record),
            Err(_) if lines.peek().is_none() => {}
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
    Ok(records)
}
