// SPDX-License-Identifier: LGPL-2.1-or-later
//! What the system's programs answer is noted for a recording, and in a recording that answers.

use crate::act::backend::tools::{not_ended, Ran, Signal, ToolError, Tools};
use crate::host::process::Process;
use crate::recording::{answers, ANSWERS};
use crate::root::Root;
use crate::trace::{Answer, Outcome, Trace};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::time::Duration;

/// No recording has more answers.
const ANSWERS_LIMIT: usize = 10_000;

/// Programs, and a note of every answer.
#[derive(Debug)]
pub(super) struct Noted<'a> {
    pub(super) tools: Box<dyn Tools + 'a>,
    pub(super) trace: &'a Trace,
}

impl Noted<'_> {
    fn note(&self, words: &[&str], answer: &Result<String, ToolError>) {
        let (outcome, printed) = match answer {
            Ok(printed) => (Outcome::Done, printed.clone()),
            Err(ToolError::Failed { line, .. }) => (Outcome::Failed(line.clone()), String::new()),
            Err(ToolError::Io(error)) => (Outcome::Errno(error.raw_os_error().unwrap_or_default()), String::new()),
            Err(_) => (Outcome::Silent, String::new()),
        };
        self.trace.note_answer(words, Answer { outcome, printed });
    }
}

impl Tools for Noted<'_> {
    fn run(&self, words: &[&str], deadline: Duration) -> Result<String, ToolError> {
        let answer = self.tools.run(words, deadline);
        self.note(words, &answer);
        answer
    }

    fn run_at_length(&self, words: &[&str], deadline: Duration) -> Result<String, ToolError> {
        let answer = self.tools.run_at_length(words, deadline);
        self.note(words, &answer);
        answer
    }

    fn attempt(&self, words: &[&str], deadline: Duration) -> Result<Ran, ToolError> {
        self.tools.attempt(words, deadline)
    }

    fn signal(&self, process: &Process, signal: Signal) -> Result<(), ToolError> {
        self.tools.signal(process, signal)
    }
}

/// The programs of a recording: what they were asked they answer again, and for the rest there are the others.
#[derive(Debug)]
pub(super) struct Recorded<'a> {
    answers: BTreeMap<Vec<String>, Answer>,
    others: Box<dyn Tools + 'a>,
}

impl<'a> Recorded<'a> {
    /// Of a root, if it is a recording.
    pub(super) fn of(root: &'a Root, others: Box<dyn Tools + 'a>) -> Result<Recorded<'a>, Box<dyn Tools + 'a>> {
        let Ok(names) = root.list(ANSWERS) else { return Err(others) };
        let answer = |name: &String| {
            // A log is longer than other files.
            let mut bytes = Vec::new();
            root.open_regular(&format!("{ANSWERS}/{name}")).ok()?.read_to_end(&mut bytes).ok()?;
            answers::parse(&String::from_utf8_lossy(&bytes))
        };
        Ok(Recorded { answers: names.iter().take(ANSWERS_LIMIT).filter_map(answer).collect(), others })
    }
}

impl Tools for Recorded<'_> {
    fn run(&self, words: &[&str], deadline: Duration) -> Result<String, ToolError> {
        let question: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let Some(answer) = self.answers.get(&question) else { return self.others.run(words, deadline) };
        let program = words.first().copied().unwrap_or_default().to_owned();
        match &answer.outcome {
            Outcome::Done => Ok(answer.printed.clone()),
            Outcome::Failed(line) => Err(ToolError::Failed { program, line: line.clone() }),
            Outcome::Errno(errno) => Err(io::Error::from_raw_os_error(*errno).into()),
            Outcome::Silent => Err(not_ended(words, deadline)),
        }
    }

    fn attempt(&self, words: &[&str], deadline: Duration) -> Result<Ran, ToolError> {
        self.others.attempt(words, deadline)
    }

    fn signal(&self, process: &Process, signal: Signal) -> Result<(), ToolError> {
        self.others.signal(process, signal)
    }
}
