// SPDX-License-Identifier: LGPL-2.1-or-later
//! One card from plan to status: carry it out or bring everything back, and leave word of how it ended.

pub mod error;
pub mod execute;
pub(crate) mod framebuffer;
pub mod power;
mod reenumerate;
pub mod reset;
mod resize;
pub mod undo;
pub(crate) mod writes;

use crate::act::backend::kernel::Kernel;
use crate::act::backend::kernel_for;
use crate::act::card::error::StepError;
use crate::act::card::execute::execute;
use crate::act::journal::Journal;
use crate::act::{files, state};
use crate::host::run::card_status::{self, Outcome, Status};
use crate::host::{function, holders};
use crate::journal::{self, Record};
use crate::pci::Address;
use crate::plan::{Finding, Plan};
use crate::root::Root;
use std::io;

/// What is brought back when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// What this plan did: the card is as it was a moment ago.
    UndoPlan,
    /// Everything the journal knows, and the host gets the card: at boot, where no one is there to ask.
    GiveToHost,
}

/// Carries out a plan for one card and writes its status. The caller holds the [`crate::act::lock::Lock`].
pub fn carry_out(root: &Root, plan: &Plan, done: Outcome, on_failure: OnFailure) -> Status {
    carry_out_in(root, plan, done, on_failure, None)
}

/// The same with a journal other than the card's.
pub fn carry_out_in(root: &Root, plan: &Plan, done: Outcome, on_failure: OnFailure, journal: Option<String>) -> Status {
    let path = journal.unwrap_or_else(|| journal::path(&plan.gpu));
    let mut status =
        Status { gpu: plan.gpu.clone(), outcome: done, why: Vec::new(), functions: plan.functions.clone() };
    if let Err(error) = adopt(root, plan) {
        log::warn!("[gpu {}] what udev wrote cannot be journalled: {error}", plan.gpu);
    }
    // What is only reserved is kept from the host's drivers too.
    let dead = if done == Outcome::Reserved { None } else { state::dead(root, &plan.gpu, &plan.functions) };
    if !plan.refusals.is_empty() {
        status.outcome = Outcome::Refused;
        status.why = plan.refusals.iter().map(Finding::line).collect();
    } else if let Some(why) = dead {
        status.outcome = Outcome::Refused;
        status.why = vec![format!("[gpu {}] {why}", plan.gpu)];
    } else if let Err((outcome, why)) = attempt(root, plan, on_failure, &path) {
        status.outcome = outcome;
        status.why = why;
    }
    leave_status(root, &status);
    if status.outcome == Outcome::Bound {
        if let Err(error) = state::set_given_back(root, &plan.gpu, false) {
            log::warn!("/run/vfio/given-back/{} cannot be removed: {error}", plan.gpu);
        }
    }
    status
}

/// Records the overrides that our udev rule wrote, so that they are undone as if we had written them here.
fn adopt(root: &Root, plan: &Plan) -> io::Result<()> {
    for function in &plan.functions {
        let written = function::override_by_udev(root, *function);
        let Some(driver) = written.filter(|d| function::driver_override(root, *function).as_ref() == Some(d)) else {
            continue;
        };
        let overrides = |r: &Record| matches!(r.step, crate::plan::Step::Override { .. });
        let known = |r: &Record| overrides(r) && r.function() == Some(*function);
        if !journal::read(root, &plan.gpu)?.iter().any(known) {
            Journal::open(root, &journal::path(&plan.gpu))?.add(&Record::adopted(root, *function, driver))?;
        }
    }
    Ok(())
}

/// Executes; on failure brings back, and says what failed and what could not be brought back.
fn attempt(root: &Root, plan: &Plan, on_failure: OnFailure, path: &str) -> Result<(), (Outcome, Vec<String>)> {
    if plan.steps.is_empty() {
        return Ok(());
    }
    let kernel = kernel_for(root);
    let name = |error: io::Error| (Outcome::Failed, vec![format!("[gpu {}] the journal: {error}", plan.gpu)]);
    let earlier = journal::read_all::<Record>(root, path).map_err(name)?.len();
    let mut open = Journal::open(root, path).map_err(name)?;
    let Err(error) = execute(root, kernel.as_ref(), &mut open, plan) else { return Ok(()) };
    drop(open);

    let mut why = vec![format!("[gpu {}] {error}", plan.gpu)];
    let mut records: Vec<Record> = journal::read_all(root, path).map_err(name)?;
    // While the kernel still works on a function, a further write to it would hang as well.
    let stuck = if error.is_timeout() { records.last().and_then(Record::function) } else { None };
    let whole = on_failure == OnFailure::GiveToHost || earlier == 0;
    if !whole {
        records.drain(..earlier);
    }
    if let Some(stuck) = stuck {
        records.retain(|r| r.function() != Some(stuck));
        why.push(format!("{stuck} is left as it is: the kernel still works on it; if it does not come back, reboot"));
    }
    let to_host = on_failure == OnFailure::GiveToHost;
    let problems = bring_back(root, kernel.as_ref(), &plan.gpu, &records, &[], to_host, &mut Vec::new());
    let clean = problems.is_empty() && stuck.is_none() && !matches!(error, StepError::Journal { .. });
    why.extend(problems);
    if clean && whole {
        why.extend(forget(root, &plan.gpu, path));
    }
    Err((if clean { Outcome::Failed } else { Outcome::Stuck }, why))
}

fn bring_back(
    root: &Root,
    kernel: &dyn Kernel,
    gpu: &str,
    records: &[Record],
    free: &[Address],
    to_host: bool,
    hanging: &mut Vec<Address>,
) -> Vec<String> {
    let problems = undo::undo(root, kernel, records, free, hanging);
    if to_host {
        undo::give_to_host(root, kernel, &functions(records));
    }
    problems.into_iter().map(|p| format!("[gpu {gpu}] {p}")).collect()
}

/// The functions that records are about, in order of first mention.
fn functions(records: &[Record]) -> Vec<Address> {
    let mut functions: Vec<Address> = Vec::new();
    for function in records.iter().filter_map(Record::function) {
        if !functions.contains(&function) {
            functions.push(function);
        }
    }
    functions
}

/// Removes a card's journal: there is nothing left to undo.
fn forget(root: &Root, gpu: &str, path: &str) -> Option<String> {
    let error = files::remove(root, path).err()?;
    Some(format!("[gpu {gpu}] the journal cannot be removed: {error}"))
}

fn leave_status(root: &Root, status: &Status) {
    if let Err(error) = state::write_status(root, status) {
        log::warn!("the status of [gpu {}] cannot be written: {error}", status.gpu);
    }
}

/// Cards that are only reserved: their journals hold overrides and nothing else. Each with its functions.
pub fn reserved(root: &Root) -> Vec<(String, Vec<Address>)> {
    let names = root.list(&journal::directory()).unwrap_or_default();
    let reserved = |name: String| {
        let records = journal::read(root, &name).ok()?;
        let only = records.iter().all(|r| matches!(r.step, crate::plan::Step::Override { .. }));
        only.then(|| (name, functions(&records)))
    };
    names.into_iter().filter_map(reserved).collect()
}

/// Undoes a card's journal and loads nothing; what could not be undone, a sentence each.
pub fn release(root: &Root, gpu: &str) -> Vec<String> {
    let records = match journal::read(root, gpu) {
        Ok(records) => records,
        Err(error) => return vec![format!("[gpu {gpu}] the journal cannot be read: {error}")],
    };
    let mut problems = bring_back(root, kernel_for(root).as_ref(), gpu, &records, &[], false, &mut Vec::new());
    if problems.is_empty() {
        problems.extend(forget(root, gpu, &journal::path(gpu)));
        if let Err(error) = files::remove(root, &card_status::path(gpu)) {
            problems.push(format!("[gpu {gpu}] the status cannot be removed: {error}"));
        }
    }
    problems
}

/// Undoes what was done to the BARs of a card that stays with vfio, from the journal of just that; what could not be undone, a
/// sentence each.
pub fn undo_sizes(root: &Root, gpu: &str, path: &str) -> io::Result<Vec<String>> {
    let records: Vec<Record> = journal::read_all(root, path)?;
    let functions = functions(&records);
    let held = holders::find(root, &functions);
    if let Some((function, holder)) = held.first() {
        return Ok(vec![format!("[gpu {gpu}] {function} is in use: {holder}")]);
    }
    let kernel = kernel_for(root);
    let mut problems = bring_back(root, kernel.as_ref(), gpu, &records, &functions, false, &mut Vec::new());
    if problems.is_empty() {
        problems.extend(forget(root, gpu, path));
    }
    Ok(problems)
}

/// Gives a card back to the host, from its journal alone. `None` if there is nothing to undo.
/// Functions that the kernel still works on, and that must not be touched again, are added to `hanging`.
pub fn restore(root: &Root, gpu: &str, hanging: &mut Vec<Address>) -> io::Result<Option<Status>> {
    let records = journal::read(root, gpu)?;
    if records.is_empty() {
        // A program that died over its first record leaves a journal without any.
        files::remove(root, &journal::path(gpu))?;
        return Ok(None);
    }
    let functions = functions(&records);
    let mut status = Status { gpu: gpu.to_owned(), outcome: Outcome::Restored, why: Vec::new(), functions };
    let on_vfio: Vec<Address> = status
        .functions
        .iter()
        .copied()
        .filter(|f| function::driver(root, *f).is_some_and(|d| function::is_vfio(&d)))
        .collect();
    let held = holders::find(root, &on_vfio);
    if let Some((function, holder)) = held.first() {
        status.outcome = Outcome::Refused;
        status.why = vec![format!("[gpu {gpu}] {function} is in use: {holder}; shut the guest down first")];
    } else if let Some(why) = state::dead(root, gpu, &status.functions) {
        status.outcome = Outcome::Refused;
        status.why = vec![format!("[gpu {gpu}] {why}")];
    } else {
        let kernel = kernel_for(root);
        status.why = bring_back(root, kernel.as_ref(), gpu, &records, &on_vfio, true, hanging);
        if status.why.is_empty() {
            status.why.extend(forget(root, gpu, &journal::path(gpu)));
        }
        if !status.why.is_empty() {
            status.outcome = Outcome::Stuck;
        }
    }
    leave_status(root, &status);
    Ok(Some(status))
}
