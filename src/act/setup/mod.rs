// SPDX-License-Identifier: LGPL-2.1-or-later
//! Making the system ready for guests, and undoing it: a record in `/var/lib/vfio/setup`, synced, before each step.

mod context;
pub mod error;
mod steps;

pub use context::probe_context;
pub use error::SetupError;
pub use steps::{domains, text_of};

use super::files;
use super::journal::Journal;
use super::lock::{Lock, LockError};
use crate::act::backend::tools::{ToolError, Tools};
use crate::host::run::boot_counter;
use crate::journal;
use crate::plan::setup::{self, Record, SetupStep};
use crate::root::{Root, RUN, STATE};
use crate::text::shell_command;
use std::io;
use std::time::Duration;

/// A unit may take systemd's 90 s to start.
const DEADLINE: Duration = Duration::from_secs(100);
/// Packages have to be fetched, and an initramfs is built for each kernel.
const PACKAGES: Duration = Duration::from_secs(1800);
/// For another program of ours that does the same.
const PATIENCE: Duration = Duration::from_secs(120);
/// systemd disables more than it is told to, which is enabled again after that.
const ROUNDS: u32 = 3;

/// What was done, one JSON record a line.
pub fn path() -> String {
    format!("{STATE}/setup")
}

/// One at a time.
pub fn lock(root: &Root) -> Result<Lock, LockError> {
    Lock::take_within(root, &format!("{RUN}/setup-lock"), PATIENCE)
}

/// The records of what was done; none if nothing was.
pub fn records(root: &Root) -> Result<Vec<Record>, SetupError> {
    journal::read_all(root, &path()).map_err(SetupError::Unread)
}

fn run(tools: &dyn Tools, words: &[String], limit: Duration, progress: &mut dyn FnMut(&str)) -> Result<(), ToolError> {
    progress(&shell_command(words));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    tools.run(&words, limit).map(drop)
}

/// Writes down that a card of the host's is about to be bound to vfio by its own verb, so that an undo of all gives it back.
pub fn note_bind(root: &Root, gpu: &str) -> Result<(), SetupError> {
    let step = SetupStep::Bind { gpu: gpu.to_owned(), boot: boot_counter::current(root) };
    append(root, &Record { step, before: Vec::new(), made: Vec::new() })
}

/// Makes a step so; what is left to a person, a sentence each.
pub fn carry_out(
    root: &Root,
    tools: &dyn Tools,
    step: &SetupStep,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<String>, SetupError> {
    let made = if step.is_of_system() {
        of_system(root, tools, step, progress).map(|()| Vec::new())
    } else {
        of_machine(root, tools, step, progress)
    };
    made.map_err(|error| SetupError::Step { what: step.words(), error: Box::new(error) })
}

fn append(root: &Root, record: &Record) -> Result<(), SetupError> {
    Journal::open(root, &path()).and_then(|mut journal| journal.add(record)).map_err(SetupError::Journal)
}

fn of_machine(
    root: &Root,
    tools: &dyn Tools,
    step: &SetupStep,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<String>, SetupError> {
    append(root, &steps::record(root, step)?)?;
    match step {
        SetupStep::Install { command, .. } => run(tools, command, PACKAGES, progress)?,
        SetupStep::Images { commands } => {
            commands.iter().try_for_each(|command| run(tools, command, PACKAGES, progress))?;
        }
        SetupStep::Write { path, text } => steps::write(root, path, text)?,
        SetupStep::Aside { path } => steps::put_aside(root, path)?,
        SetupStep::Define { guest, wish } => steps::define(root, tools, guest, wish)?,
        SetupStep::Edit { guest } => steps::edit(root, tools, guest)?,
        SetupStep::Sync => return steps::bring_up_to_date(root, tools, progress),
        _ => {}
    }
    Ok(Vec::new())
}

fn of_system(
    root: &Root,
    tools: &dyn Tools,
    step: &SetupStep,
    progress: &mut dyn FnMut(&str),
) -> Result<(), SetupError> {
    let before = probe_context(root, tools)?;
    append(root, &before.record(step))?;
    // A step before it may have brought it about: libvirt starts the networks that it is to start.
    if !before.is_so(step) {
        setup::commands(step, &before).iter().try_for_each(|words| run(tools, words, DEADLINE, progress))?;
    }
    if probe_context(root, tools)?.is_so(step) {
        Ok(())
    } else {
        let commands: Vec<String> = setup::commands(step, &before).iter().map(|words| shell_command(words)).collect();
        Err(SetupError::NothingCame { commands: commands.join("; ") })
    }
}

/// Why nothing may be undone now: guests that run would lose their network, or who looks after them.
pub fn in_the_way(root: &Root, tools: &dyn Tools, records: &[Record]) -> Result<(), SetupError> {
    if !records.iter().any(setup::disturbs_guests) || !probe_context(root, tools)?.libvirt_answers() {
        return Ok(());
    }
    let words = setup::running_guests();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let names = tools.run(&words, DEADLINE)?;
    let names: Vec<&str> = names.split_whitespace().collect();
    match names.as_slice() {
        [] => Ok(()),
        names => Err(SetupError::GuestsRun { names: names.join(", ") }),
    }
}

/// Undoes the records from a number on that `which` means, the last first: what boots comes last of all, for it is made from the
/// configuration. What is undone is struck out at once, so that an undo that is killed goes on where it was. What cannot be
/// undone stays written down, with one sentence each.
pub fn undo(
    root: &Root,
    tools: &dyn Tools,
    from: usize,
    which: &dyn Fn(&SetupStep) -> bool,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<String>, SetupError> {
    let mut left: Vec<(usize, Record)> = records(root)?.into_iter().enumerate().collect();
    let is_meant = |(number, record): &&(usize, Record)| *number >= from && which(&record.step);
    let meant: Vec<(usize, Record)> = left.iter().rev().filter(is_meant).cloned().collect();
    let all: Vec<Record> = meant.iter().map(|(_, record)| record.clone()).collect();
    in_the_way(root, tools, &all)?;
    let (boots, others): (Vec<_>, Vec<_>) = meant.into_iter().partition(|(_, record)| record.step.is_of_boot());
    let (mut kept, mut problems): (Vec<Record>, Vec<String>) = (Vec::new(), Vec::new());
    for (number, record) in others.into_iter().chain(boots) {
        // Without libvirt nobody could put its network back.
        if setup::waits_for_network(&record, &kept) {
            kept.push(record);
            continue;
        }
        match undo_record(root, tools, &record, progress) {
            Ok(()) => {
                left.retain(|(other, _)| *other != number);
                save(root, &left).map_err(SetupError::Journal)?;
            }
            Err(error) => {
                problems.push(error.to_string());
                kept.push(record);
            }
        }
    }
    Ok(problems)
}

fn save(root: &Root, records: &[(usize, Record)]) -> io::Result<()> {
    if records.is_empty() {
        return files::remove(root, &path());
    }
    let line = |(_, record): &(usize, Record)| Ok(serde_json::to_string(record)? + "\n");
    let text = records.iter().map(line).collect::<io::Result<String>>()?;
    files::replace_private(root, &path(), text.as_bytes())
}

fn undo_record(
    root: &Root,
    tools: &dyn Tools,
    record: &Record,
    progress: &mut dyn FnMut(&str),
) -> Result<(), SetupError> {
    if !record.step.is_of_system() && !matches!(record.step, SetupStep::Install { .. }) {
        progress(&format!("undo: {}", record.step.words()));
    }
    match &record.step {
        SetupStep::Write { path, text } => return steps::unwrite(root, path, text, record),
        SetupStep::Aside { path } => return steps::put_back(root, path),
        SetupStep::Define { guest, .. } => return steps::undefine(root, tools, guest, progress),
        SetupStep::Edit { guest } => return steps::unedit(root, tools, guest),
        SetupStep::Images { commands } => {
            return Ok(commands.iter().try_for_each(|command| run(tools, command, PACKAGES, progress))?);
        }
        SetupStep::Sync => return steps::bring_up_to_date(root, tools, progress).map(drop),
        SetupStep::Bind { gpu, boot } => return steps::give_back(root, gpu, boot),
        _ => {}
    }
    let mut now = probe_context(root, tools)?;
    for _ in 0..ROUNDS {
        let commands = setup::undo(record, &now);
        if commands.is_empty() {
            return Ok(());
        }
        commands.iter().try_for_each(|words| run(tools, words, DEADLINE, progress))?;
        now = probe_context(root, tools)?;
    }
    match setup::undo(record, &now).first() {
        None => Ok(()),
        Some(words) => Err(SetupError::NothingCame { commands: shell_command(words) }),
    }
}
