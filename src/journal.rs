// SPDX-License-Identifier: LGPL-2.1-or-later
//! The journal: what a card was before each change, on disk before the change is made. Here it is read; `act::journal` writes
//! it.
//!
//! One file a card, `/run/vfio/journal/NAME`, one JSON record a line, synced one by one. It is gone after a reboot, as
//! everything that it could undo is.

use crate::host::function;
use crate::host::reset::RESET_METHOD;
use crate::pci::Address;
use crate::plan::Step;
use crate::root::{Root, RUN};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};

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

/// `vendor:device` of what is at an address now.
pub fn ids(root: &Root, address: Address) -> Option<String> {
    let id = |name: &str| {
        let text = root.read_text(&function::attribute(address, name)).ok()?;
        Some(text.trim_start_matches("0x").to_owned())
    };
    Some(format!("{}:{}", id("vendor")?, id("device")?))
}

impl Record {
    /// The function that the record is about.
    pub fn function(&self) -> Option<Address> {
        self.step.function()
    }
}

/// What is in a journal; it has no limit, for every record of it may be needed.
pub(crate) fn bytes(root: &Root, path: &str) -> io::Result<Vec<u8>> {
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
