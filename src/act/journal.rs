// SPDX-License-Identifier: LGPL-2.1-or-later
//! Writing the journal (`crate::journal`): a record of what is there, before it is changed.

use crate::act::card::{framebuffer, power};
use crate::act::files;
use crate::host::{bars, detail, function};
use crate::journal::{bytes, ids, Record};
use crate::pci::Address;
use crate::plan::Step;
use crate::root::{Root, PCI_BUS};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write};

impl Record {
    /// What is there now, before `step`.
    pub fn before(root: &Root, step: &Step) -> Record {
        let function = step.function();
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
                bridge = detail::parents(root, *function).first().copied();
                driver_override = function::driver_override(root, *function);
            }
            Step::Set { function, attribute, .. } => {
                before = root.read_text(&function::attribute(*function, attribute)).ok();
            }
            Step::Awake { function } => before = Some(power::allowed(root, &[*function])),
            Step::Autoprobe { .. } => before = root.read_text(&format!("{PCI_BUS}/drivers_autoprobe")).ok(),
            Step::Resize { function, bar, .. } => {
                before = bars::size(root, *function, *bar).map(|size| size.to_string());
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
