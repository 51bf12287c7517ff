// SPDX-License-Identifier: LGPL-2.1-or-later
//! One card from plan to status: carry it out or bring everything back, and leave word of how it ended.

use super::execute::{execute, StepError};
use super::journal::{self, Journal};
use super::kernel::{kernel_for, Kernel};
use super::{files, state, undo};
use crate::host::status::{Outcome, Status};
use crate::host::{function, holders};
use crate::pci::Address;
use crate::plan::Plan;
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

/// Carries out a plan for one card and writes its status. The caller holds the [`super::lock::Lock`].
pub fn carry_out(root: &Root, plan: &Plan, done: Outcome, on_failure: OnFailure) -> Status {
    let mut status =
        Status { gpu: plan.gpu.clone(), outcome: done, why: Vec::new(), functions: plan.functions.clone() };
    if !plan.refusals.is_empty() {
        status.outcome = Outcome::Refused;
        status.why = plan.refusals.iter().map(ToString::to_string).collect();
    } else if let Err((outcome, why)) = attempt(root, plan, on_failure) {
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

/// Executes; on failure brings back, and says what failed and what could not be brought back.
fn attempt(root: &Root, plan: &Plan, on_failure: OnFailure) -> Result<(), (Outcome, Vec<String>)> {
    if plan.steps.is_empty() {
        return Ok(());
    }
    let kernel = kernel_for(root);
    let name = |error: io::Error| (Outcome::Failed, vec![format!("[gpu {}] the journal: {error}", plan.gpu)]);
    let earlier = journal::read(root, &plan.gpu).map_err(name)?.len();
    let mut open = Journal::open(root, &plan.gpu).map_err(name)?;
    let Err(error) = execute(root, kernel.as_ref(), &mut open, plan) else { return Ok(()) };
    drop(open);

    let mut why = vec![format!("[gpu {}] {error}", plan.gpu)];
    let mut records = journal::read(root, &plan.gpu).map_err(name)?;
    // While the kernel still works on a function, a further write to it would hang as well.
    let stuck = if error.is_timeout() { records.last().and_then(journal::Record::function) } else { None };
    let whole = on_failure == OnFailure::GiveToHost || earlier == 0;
    if !whole {
        records.drain(..earlier);
    }
    if let Some(stuck) = stuck {
        records.retain(|r| r.function() != Some(stuck));
        why.push(format!("{stuck} is left as it is: the kernel still works on it; if it does not come back, reboot"));
    }
    let problems = bring_back(root, kernel.as_ref(), &plan.gpu, &records, on_failure == OnFailure::GiveToHost);
    let clean = problems.is_empty() && stuck.is_none() && !matches!(error, StepError::Journal { .. });
    why.extend(problems);
    if clean && whole {
        why.extend(forget(root, &plan.gpu));
    }
    Err((if clean { Outcome::Failed } else { Outcome::Stuck }, why))
}

fn bring_back(root: &Root, kernel: &dyn Kernel, gpu: &str, records: &[journal::Record], to_host: bool) -> Vec<String> {
    let problems = undo::undo(root, kernel, records);
    if to_host {
        undo::give_to_host(root, kernel, &functions(records));
    }
    problems.into_iter().map(|p| format!("[gpu {gpu}] {p}")).collect()
}

/// The functions that records are about, in order of first mention.
fn functions(records: &[journal::Record]) -> Vec<Address> {
    let mut functions: Vec<Address> = Vec::new();
    for function in records.iter().filter_map(journal::Record::function) {
        if !functions.contains(&function) {
            functions.push(function);
        }
    }
    functions
}

/// Removes a card's journal: there is nothing left to undo.
fn forget(root: &Root, gpu: &str) -> Option<String> {
    let error = files::remove(root, &journal::path(gpu)).err()?;
    Some(format!("[gpu {gpu}] the journal cannot be removed: {error}"))
}

fn leave_status(root: &Root, status: &Status) {
    if let Err(error) = state::write_status(root, status) {
        log::warn!("the status of [gpu {}] cannot be written: {error}", status.gpu);
    }
}

/// Gives a card back to the host, from its journal alone. `None` if there is nothing to undo.
pub fn restore(root: &Root, gpu: &str) -> io::Result<Option<Status>> {
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
    if let Some((function, holder)) = held.iter().find_map(|(f, holders)| Some((f, holders.first()?))) {
        status.outcome = Outcome::Refused;
        status.why = vec![format!("[gpu {gpu}] {function} is in use: {holder}; shut the guest down first")];
    } else {
        let kernel = kernel_for(root);
        status.why = bring_back(root, kernel.as_ref(), gpu, &records, true);
        if status.why.is_empty() {
            status.why.extend(forget(root, gpu));
        }
        if !status.why.is_empty() {
            status.outcome = Outcome::Stuck;
        }
    }
    leave_status(root, &status);
    Ok(Some(status))
}
