// SPDX-License-Identifier: LGPL-2.1-or-later
//! What `vfio setup` answers, and how it ends.

use crate::output::Output;
use crate::Answer as Exit;
use serde::Serialize;
use vfio_suite::act::backend::tools::Tools;
use vfio_suite::act::setup;
use vfio_suite::logger::complain;
use vfio_suite::plan::setup::SetupStep;
use vfio_suite::plan::wizard::found::Block;
use vfio_suite::plan::wizard::packages;
use vfio_suite::plan::wizard::parts::Part;
use vfio_suite::root::Root;
use vfio_suite::text::shell_command;

/// `vfio.setup/2`.
#[derive(Default, Serialize)]
pub struct SetupAnswer {
    /// Whether it was only said.
    pub dry_run: bool,
    /// Whether anything was changed.
    pub changed: bool,
    /// Whether the machine has to be rebooted for it.
    pub reboot: bool,
    /// What was found.
    pub found: Vec<Block>,
    /// What is to be done, or was.
    pub plan: Vec<Part>,
    /// What was run, or would be.
    pub commands: Vec<String>,
    /// What is left to a person.
    pub left: Vec<String>,
    pub notes: Vec<String>,
    pub problems: Vec<String>,
    /// The command that does the same without a question.
    pub again: String,
}

/// An answer while it is made.
pub struct Report<'a> {
    pub out: &'a Output,
    pub answer: SetupAnswer,
    /// Whether each command is told when it is run.
    pub tells_commands: bool,
}

impl<'a> Report<'a> {
    pub fn new(out: &'a Output) -> Report<'a> {
        Report { out, answer: SetupAnswer::default(), tells_commands: true }
    }

    /// Something is run.
    pub fn command(&mut self, words: &str) {
        self.answer.commands.push(words.to_owned());
        if self.tells_commands {
            self.say(words);
        }
    }

    /// A line for a person. A reader that has gone must not stop a change in the middle.
    pub fn say(&self, line: &str) {
        if !self.out.is_json() {
            let _ = self.out.line(line);
        }
    }

    /// A step did not come about: what was done since `start` is taken back.
    pub fn take_back(&mut self, root: &Root, tools: &dyn Tools, start: usize, error: String) -> anyhow::Result<()> {
        self.answer.problems.push(error);
        self.say("taking back what was done:");
        let undone = setup::undo(root, tools, start, &|_| true, &mut |words| self.command(words));
        match undone {
            Ok(problems) if problems.is_empty() => self.answer.changed = false,
            Ok(problems) => self.answer.problems.extend(problems),
            Err(error) => self.answer.problems.push(error.to_string()),
        }
        if self.answer.problems.len() > 1 {
            self.answer.problems.push("not all was taken back: run 'vfio setup --undo'".to_owned());
        }
        Ok(())
    }

    /// Undoes what was done, or shows that.
    pub fn undo(&mut self, root: &Root, tools: &dyn Tools, dry_run: bool, services: bool) -> anyhow::Result<()> {
        let which = |step: &SetupStep| !services || step.is_of_system();
        let records: Vec<_> = setup::records(root)?.into_iter().filter(|record| which(&record.step)).collect();
        for record in &records {
            if let SetupStep::Install { packages, command } = &record.step {
                let remove = packages::remover(command);
                self.answer.notes.push(format!("packages stay: '{remove} {}' removes them", packages.join(" ")));
            }
        }
        if dry_run {
            self.answer.left.extend(setup::in_the_way(root, tools, &records).err().map(|error| error.to_string()));
            let now = setup::probe_context(root, tools)?;
            for record in records.iter().rev() {
                let commands = vfio_suite::plan::setup::undo(record, &now);
                commands.iter().for_each(|words| self.command(&shell_command(words)));
                if !record.step.is_of_system() && !matches!(record.step, SetupStep::Install { .. }) {
                    self.command(&format!("undo: {}", record.step.words()));
                }
            }
            return Ok(());
        }
        let mut undone = |words: &str| self.command(words);
        let problems = setup::undo(root, tools, 0, &which, &mut undone)?;
        self.answer.changed = !records.is_empty();
        self.answer.problems.extend(problems);
        Ok(())
    }

    /// Prints what has not been printed yet; how it ends.
    pub fn end(self, nothing: &str) -> anyhow::Result<Exit> {
        let Report { out, answer, .. } = self;
        answer.problems.iter().for_each(|problem| complain(format_args!("vfio: {problem}")));
        let quiet = answer.commands.is_empty() && answer.problems.is_empty() && !answer.changed;
        if out.is_json() {
            out.json("vfio.setup/2", &answer)?;
        } else {
            if quiet && !nothing.is_empty() {
                out.line(nothing)?;
            }
            answer.notes.iter().chain(&answer.left).try_for_each(|note| out.line(format_args!("note: {note}")))?;
        }
        Ok(match () {
            () if !answer.problems.is_empty() => Exit::Errors,
            () if !answer.left.is_empty() => Exit::No,
            () => Exit::Done,
        })
    }
}
