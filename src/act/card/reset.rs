// SPDX-License-Identifier: LGPL-2.1-or-later
//! Resetting a card now. The methods that are used for it are journalled and given back like every other change.

use crate::act::backend::kernel_for;
use crate::act::card::error::FunctionError;
use crate::act::card::{execute, undo};
use crate::act::journal::Journal;
use crate::act::{files, state};
use crate::host::function::attribute;
use crate::host::reset::{MODULE, RESET_METHOD};
use crate::journal::{self, Record};
use crate::pci::Address;
use crate::plan::reset_now::ResetPlan;
use crate::plan::Step;
use crate::root::Root;
use serde::Serialize;

/// What became of one function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The function.
    pub function: Address,
    /// By which methods it was reset, the first that applied; empty if it was not.
    pub methods: Vec<String>,
    /// Why it was not reset, or not well, if so.
    pub problem: Option<String>,
}

/// Resets the functions of a plan that nothing forbids, in its order. The caller holds the [`crate::act::lock::Lock`].
pub fn reset(root: &Root, plan: &ResetPlan) -> Result<Vec<Done>, FunctionError> {
    let kernel = kernel_for(root);
    if plan.load {
        kernel.modprobe(MODULE)?;
    }
    let path = journal::path(&plan.gpu);
    let earlier = journal::read(root, &plan.gpu)?.len();
    let mut journal = Journal::open(root, &path)?;
    let (mut done, mut clean, mut hanging) = (Vec::new(), true, Vec::new());
    for (function, desired) in &plan.functions {
        let mut records = Vec::new();
        let shown = || root.read_text(&attribute(*function, RESET_METHOD)).unwrap_or_default();
        let mut attempt = || -> Result<Vec<String>, String> {
            if let Some(value) = desired.as_ref().filter(|value| **value != shown()) {
                let step = Step::Set { function: *function, attribute: RESET_METHOD.to_owned(), value: value.clone() };
                let record = Record::before(root, &step);
                journal.add(&record).map_err(|error| format!("the journal cannot be written: {error}"))?;
                records.push(record);
                execute::execute_step(root, kernel.as_ref(), &step).map_err(|error| error.to_string())?;
            }
            let methods = shown();
            kernel
                .write(&attribute(*function, "reset"), "1")
                .map_err(|error| format!("{function} was not reset ({methods}): {error}"))?;
            Ok(methods.split(' ').map(str::to_owned).collect())
        };
        let result = attempt();
        let dead = state::dead(root, &plan.gpu, &[*function]);
        let stop = dead.is_some();
        let (methods, mut problem) = result.map_or_else(|why| (Vec::new(), Some(why)), |methods| (methods, None));
        // Worse than any answer of the kernel's.
        problem = dead.or(problem);
        let problems = if stop { Vec::new() } else { undo::undo(root, kernel.as_ref(), &records, &[], &mut hanging) };
        clean &= problems.is_empty() && (!stop || records.is_empty());
        problem = problem.or_else(|| problems.into_iter().next());
        done.push(Done { function: *function, methods, problem });
        if stop {
            break;
        }
    }
    drop(journal);
    if clean && earlier == 0 {
        files::remove(root, &path)?;
    }
    Ok(done)
}
