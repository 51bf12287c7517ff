// SPDX-License-Identifier: LGPL-2.1-or-later
//! The steps of `vfio setup` beside services and groups: files, what others have left, the guest's domain, what boots.

use super::error::SetupError;
use crate::act::backend::tools::Tools;
use crate::act::boot::{boot_files, sync};
use crate::act::card;
use crate::act::definition::error::DefinitionError;
use crate::act::definition::{self, new, Probed};
use crate::act::files;
use crate::act::guest::start;
use crate::act::lock::Lock;
use crate::config::{self, Config, Guest};
use crate::host::run::boot_counter;
use crate::host::run::card_status::Outcome;
use crate::host::run::sync_report::SyncOutcome;
use crate::plan::definition::new_domain::Wish;
use crate::plan::setup::{Record, SetupStep, ASIDE};
use crate::plan::Finding;
use crate::root::{Root, STATE};
use std::io;
use std::time::Duration;

/// For a question to libvirt, whose daemon may have to start first.
const ASK: Duration = Duration::from_secs(30);

/// What is in a file of the configuration; `None` if it is not there.
pub fn text_of(root: &Root, path: &str) -> io::Result<Option<String>> {
    Ok(boot_files::read(root, path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The record of a step, as it is written down before it is made.
pub(super) fn record(root: &Root, step: &SetupStep) -> io::Result<Record> {
    let (mut before, mut made) = (Vec::new(), Vec::new());
    if let SetupStep::Write { path, .. } = step {
        before.extend(text_of(root, path)?);
        let above = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
        made.extend(above.filter(|directory| !root.exists(directory)));
    }
    Ok(Record { step: step.clone(), before, made })
}

/// Makes a file say what it is to say.
pub(super) fn write(root: &Root, path: &str, text: &str) -> io::Result<()> {
    if text_of(root, path)?.as_deref() == Some(text) {
        return Ok(());
    }
    files::replace(root, path, text.as_bytes())
}

/// Makes it what it was, unless somebody has changed it since.
pub(super) fn unwrite(root: &Root, path: &str, text: &str, record: &Record) -> Result<(), SetupError> {
    let (now, before) = (text_of(root, path)?, record.before.first());
    match now.as_ref() {
        None => {}
        now if now == before => {}
        Some(now) if now == text => match before {
            Some(before) => files::replace(root, path, before.as_bytes())?,
            None => files::remove(root, path)?,
        },
        Some(_) => return Err(SetupError::ChangedSince { path: path.to_owned() }),
    }
    // What a program that was killed has left of it.
    files::remove_temporaries(root, path)?;
    for directory in record.made.iter().rev() {
        match files::remove_dir(root, directory) {
            // Somebody else has something in it by now.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => break,
            other => other?,
        }
    }
    Ok(())
}

/// Gives a thing the other name.
pub(super) fn put_aside(root: &Root, path: &str) -> Result<(), SetupError> {
    rename(root, path, &format!("{path}{ASIDE}"))
}

/// Gives it its own name again.
pub(super) fn put_back(root: &Root, path: &str) -> Result<(), SetupError> {
    rename(root, &format!("{path}{ASIDE}"), path)
}

fn rename(root: &Root, from: &str, to: &str) -> Result<(), SetupError> {
    if !root.exists(from) {
        return Ok(());
    }
    if root.exists(to) {
        return Err(SetupError::InTheWay { path: to.to_owned() });
    }
    Ok(files::rename(root, from, to)?)
}

fn of_guest<T>(
    root: &Root,
    tools: &dyn Tools,
    name: &str,
    act: impl FnOnce(&Guest, &Probed) -> Result<T, SetupError>,
) -> Result<T, SetupError> {
    let config: Config = config::load(root);
    let guest = start::section(&config, name).map_err(SetupError::Guest)?;
    let probed = definition::probe(root, tools, &config, guest)?;
    act(guest, &probed)
}

fn refused(refusals: &[Finding]) -> Result<(), SetupError> {
    refusals.first().map_or(Ok(()), |finding| Err(SetupError::Guest(finding.sentence())))
}

/// Makes a guest's domain. One that a run which was killed has made already is ours, and stays.
pub(super) fn define(root: &Root, tools: &dyn Tools, name: &str, wish: &Wish) -> Result<(), SetupError> {
    let config = config::load(root);
    let guest = start::section(&config, name).map_err(SetupError::Guest)?;
    if new::is_made(root, tools, guest)? {
        return Ok(());
    }
    match new::probe(root, tools, &config, guest, wish)? {
        Ok(new) => Ok(new::carry_out(root, tools, &new)?),
        Err(refusals) => refused(&refusals),
    }
}

/// Removes it again, and what of it no guest has written to; what stays is told.
pub(super) fn undefine(
    root: &Root,
    tools: &dyn Tools,
    name: &str,
    progress: &mut dyn FnMut(&str),
) -> Result<(), SetupError> {
    if !root.holds_anything(&format!("{STATE}/domains")) {
        return Ok(());
    }
    let config = config::load(root);
    let guest = start::section(&config, name).map_err(SetupError::Guest)?;
    let undoing = new::plan_undo(root, tools, guest)?;
    if !undoing.is_ours() {
        return Ok(());
    }
    refused(&undoing.refusals)?;
    new::undo(root, tools, guest, &undoing)?;
    undoing.keeps.iter().for_each(|path| progress(&format!("{path} stays: remove it when it is not needed")));
    Ok(())
}

/// Brings a guest's domain to what its section says.
pub(super) fn edit(root: &Root, tools: &dyn Tools, name: &str) -> Result<(), SetupError> {
    of_guest(root, tools, name, |guest, probed| {
        let plan = definition::plan(guest, probed, false)?;
        refused(&plan.refusals)?;
        if plan.changes.is_empty() {
            return Ok(());
        }
        Ok(definition::carry_out(root, tools, guest, probed, &plan, false)?)
    })
}

/// Takes that back. A domain that is gone, or that nothing was done to, has nothing of ours.
pub(super) fn unedit(root: &Root, tools: &dyn Tools, name: &str) -> Result<(), SetupError> {
    let config = config::load(root);
    match config.guest(name) {
        Some(guest) if !domains(tools, &guest.uri)?.contains(&guest.domain) => return Ok(()),
        None if !root.holds_anything(&format!("{STATE}/domains")) => return Ok(()),
        _ => {}
    }
    of_guest(root, tools, name, |guest, probed| {
        let undone = match definition::plan_undo(root, guest, probed) {
            Err(DefinitionError::NothingKept { .. }) => return Ok(()),
            other => other?,
        };
        refused(&definition::refuse_undo(guest, probed, &undone))?;
        Ok(definition::undo(root, tools, guest, probed, &undone)?)
    })
}

/// The domains that libvirt has.
pub fn domains(tools: &dyn Tools, uri: &str) -> Result<Vec<String>, SetupError> {
    let text = tools.run(&["virsh", "--connect", uri, "list", "--all", "--name"], ASK)?;
    Ok(text.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// Gives the host a card that was bound in this boot. What the boot itself has bound stays.
pub(super) fn give_back(root: &Root, gpu: &str, boot: &str) -> Result<(), SetupError> {
    if boot != boot_counter::current(root) {
        return Ok(());
    }
    let _lock = Lock::take(root).map_err(|error| SetupError::Card(error.sentence()))?;
    match card::restore(root, gpu, &mut Vec::new())? {
        Some(status) if status.outcome != Outcome::Restored => Err(SetupError::Card(status.why.join("; "))),
        _ => Ok(()),
    }
}

/// Brings boot entries and images up to date; what is left to a person, a sentence each.
pub(super) fn bring_up_to_date(
    root: &Root,
    tools: &dyn Tools,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<String>, SetupError> {
    let report = sync::run(root, tools, progress).map_err(|error| SetupError::Boot(error.to_string()))?;
    match report.outcome {
        SyncOutcome::Nothing | SyncOutcome::Done | SyncOutcome::Noted => Ok(report.why),
        SyncOutcome::Refused | SyncOutcome::Failed => Err(SetupError::Boot(report.why.join("; "))),
    }
}
