// SPDX-License-Identifier: LGPL-2.1-or-later
//! Tools of boot loaders whose exit code does not decide, and what they have made.

use crate::act::backend::complaint::first_error;
use crate::act::backend::tools::{Ran, ToolError, Tools};
use crate::host::boot::{BootFile, BootSystem, Content, Role};
use crate::plan::cmdline::outcome;
use crate::root::Root;
use std::collections::BTreeMap;
use std::time::Duration;

/// Runs a tool.
pub(super) fn attempt(tools: &dyn Tools, command: &[String], deadline: Duration) -> Result<Ran, ToolError> {
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    tools.attempt(&command, deadline)
}

/// The error of a tool that failed, with the first error that it printed.
pub(super) fn failed(command: &[String], ran: &Ran) -> ToolError {
    let last = || ran.printed.lines().map(str::trim).rfind(|line| !line.is_empty());
    let line = first_error(&ran.printed).or_else(last).unwrap_or("it failed");
    ToolError::Failed { program: command.first().cloned().unwrap_or_default(), line: line.to_owned() }
}

/// Which file it is and when it was written: another one, if a tool has made it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    number: u64,
    size: i64,
    written: (i64, u64),
}

impl Mark {
    /// Of a file; `None` if it is not there.
    pub(super) fn of(root: &Root, path: &str) -> Option<Mark> {
        let stat = root.stat(path).ok()?;
        Some(Mark { number: stat.st_ino, size: stat.st_size, written: (stat.st_mtime, stat.st_mtime_nsec) })
    }
}

/// What decides instead of exit codes ([`outcome::decides`]), as it was before the tools ran.
#[derive(Debug)]
pub(super) struct Made(BTreeMap<String, (Option<Mark>, Option<Content>)>);

fn made(system: &BootSystem) -> impl Iterator<Item = &BootFile> {
    let decide = system.loaders.iter().filter(|loader| outcome::decides(loader.kind));
    decide.flat_map(|loader| &loader.boot_files).filter(|boot_file| boot_file.role == Role::Generated)
}

impl Made {
    /// Looks at it.
    pub(super) fn look(root: &Root) -> Made {
        let system = BootSystem::scan(root);
        let one = |file: &BootFile| (file.path.clone(), (Mark::of(root, &file.path), file.content.clone()));
        Made(made(&system).map(one).collect())
    }

    /// Leaves out of a system what no tool has made again, if it has made others: the kernel may be gone.
    pub(super) fn leave_out_old(&self, root: &Root, system: &mut BootSystem) {
        let is_old =
            |file: &BootFile| self.0.get(&file.path).is_some_and(|(before, _)| *before == Mark::of(root, &file.path));
        if made(system).all(is_old) {
            return;
        }
        for loader in system.loaders.iter_mut().filter(|loader| outcome::decides(loader.kind)) {
            loader.boot_files.retain(|file| file.role != Role::Generated || !is_old(file));
        }
    }

    /// Whether all of it says what it said before. Of what there is none of, no.
    pub(super) fn is_as_before(&self, root: &Root) -> bool {
        let says = |made: &Made| -> Vec<(String, Option<Content>)> {
            made.0.iter().map(|(path, (_, text))| (path.clone(), text.clone())).collect()
        };
        !self.0.is_empty() && says(self) == says(&Made::look(root))
    }
}
