// SPDX-License-Identifier: LGPL-2.1-or-later
//! A guest from start to end: the hand-over, the supervision, the give-back.
//!
//! What was done for a guest is in its journal, `/run/vfio/guests/NAME/journal`; what was done to its cards in theirs
//! (`act::journal`). Giving back reads both backwards and needs no configuration. A program that hands over, supervises or gives
//! back holds the guest's own lock: the unit's program for as long as the guest runs, libvirt's hook for one call.

pub(crate) mod account;
mod acl;
#[cfg(test)]
mod answers;
pub mod error;
pub mod give_back;
pub mod hand_over;
mod isolation;
mod monitor;
mod needs;
pub(crate) mod next_start;
mod pages;
pub mod probe;
pub mod program;
pub mod progress;
mod roms;
pub mod runner;
pub mod services;
mod shared_memory;
pub mod start;
mod stays_up;

use crate::act::files;
use crate::act::journal::Journal;
use crate::act::lock::{Lock, LockError};
use crate::journal;
use crate::plan::guest::GuestStep;
use crate::root::{Root, RUN};
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;

/// One step, and what was there before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestRecord {
    /// The step.
    pub step: GuestStep,
    /// What was there: whether a console was bound.
    pub before: Option<String>,
}

/// The unit that supervises a guest.
pub fn unit(guest: &str) -> String {
    format!("vfio-guest@{guest}.service")
}

/// Where the state of a guest is for as long as it has cards.
pub fn directory(guest: &str) -> String {
    format!("{RUN}/guests/{guest}")
}

/// The path of a guest's journal.
pub fn journal_path(guest: &str) -> String {
    format!("{}/journal", directory(guest))
}

/// The journal of what was done to the BARs of a card that was with vfio already.
fn sizes_path(guest: &str, gpu: &str) -> String {
    format!("{}/{gpu}.sizes", directory(guest))
}

/// The records of a guest, in order; none if it has nothing.
pub fn records(root: &Root, guest: &str) -> io::Result<Vec<GuestRecord>> {
    journal::read_all(root, &journal_path(guest))
}

/// The guests that have a journal.
pub fn with_journal(root: &Root) -> Vec<String> {
    let names = root.list(&format!("{RUN}/guests")).unwrap_or_default();
    names.into_iter().filter(|name| root.exists(&journal_path(name))).collect()
}

/// The guest that was handed cards for this libvirt domain.
pub fn of_domain(root: &Root, domain: &str) -> Option<String> {
    let starts = |r: &GuestRecord| matches!(&r.step, GuestStep::StartDomain { domain: d, .. } if d == domain);
    with_journal(root).into_iter().find(|guest| records(root, guest).is_ok_and(|r| r.iter().any(starts)))
}

pub use crate::host::run::claims::{claims, owner};

/// The file that says that the guest has ended: its supervisor saw it.
fn ended_path(guest: &str) -> String {
    format!("{}/ended", directory(guest))
}

/// Remembers that the guest has ended, so that nobody has to ask libvirt again.
pub fn has_ended(root: &Root, guest: &str) -> io::Result<()> {
    files::replace(root, &ended_path(guest), b"")
}

/// What is known of the guest's end.
pub fn end_of(root: &Root, guest: &str) -> give_back::End {
    if root.exists(&ended_path(guest)) {
        give_back::End::Certain
    } else {
        give_back::End::Unknown
    }
}

/// The file in which libvirt's hook asks the unit to supervise a guest that runs, and not to start one.
fn adoption_path(guest: &str) -> String {
    format!("{RUN}/guest-locks/{guest}.adopt")
}

/// Asks for a supervisor, and nothing more.
pub fn ask_for_supervisor(root: &Root, guest: &str) -> io::Result<()> {
    files::replace(root, &adoption_path(guest), b"")
}

/// Whether only a supervisor was asked for; once.
pub fn only_supervise(root: &Root, guest: &str) -> bool {
    let asked = root.exists(&adoption_path(guest));
    if asked {
        // If it stays, the next start does nothing and says so: annoying, not harmful.
        if let Err(error) = files::remove(root, &adoption_path(guest)) {
            log::warn!("{error}");
        }
    }
    asked
}

/// The lock of a guest. `None` if another program has it for longer than this.
pub fn lock(root: &Root, guest: &str, patience: Duration) -> Result<Option<Lock>, LockError> {
    match Lock::take_within(root, &format!("{RUN}/guest-locks/{guest}"), patience) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Busy) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Adds a record to a guest's journal.
fn append_record(root: &Root, guest: &str, record: &GuestRecord) -> io::Result<()> {
    Journal::open(root, &journal_path(guest))?.add(record)
}

/// Forgets a guest: it has nothing left.
fn forget(root: &Root, guest: &str) -> io::Result<()> {
    for name in root.list(&directory(guest)).unwrap_or_default() {
        files::remove(root, &format!("{}/{name}", directory(guest)))?;
    }
    files::remove_dir(root, &directory(guest))
}
