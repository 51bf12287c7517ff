// SPDX-License-Identifier: LGPL-2.1-or-later
//! Programs of the system that give the answers of a test.

#![allow(clippy::unwrap_used)]

use crate::act::backend::tools::{Signal, ToolError, Tools};
use crate::host::process::Process;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

/// Answers in turn; every answer is asked for.
#[derive(Debug)]
pub(super) struct Answers(Mutex<Vec<Result<&'static str, io::ErrorKind>>>);

impl Answers {
    /// These, the first of them first.
    pub(super) fn new(answers: &[Result<&'static str, io::ErrorKind>]) -> Answers {
        Answers(Mutex::new(answers.iter().rev().copied().collect()))
    }

    /// Whether every answer was asked for.
    pub(super) fn all_given(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

impl Tools for Answers {
    fn run(&self, _: &[&str], _: Duration) -> Result<String, ToolError> {
        let answer = self.0.lock().unwrap().pop().unwrap();
        answer.map(str::to_owned).map_err(|kind| io::Error::from(kind).into())
    }

    fn signal(&self, _: &Process, _: Signal) -> Result<(), ToolError> {
        unreachable!("nobody is ended here")
    }
}
