// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio setup --services`: libvirt, its network and a user's groups, made ready or as they were before.

use crate::arguments::SetupOptions;
use crate::output::Output;
use crate::Answer as Exit;
use serde::Serialize;
use vfio_suite::act::backend::tools::Tools;
use vfio_suite::act::backend::tools_for;
use vfio_suite::act::setup;
use vfio_suite::logger::complain;
use vfio_suite::plan::setup::{commands, plan, undo};
use vfio_suite::root::Root;
use vfio_suite::text::shell_command;

/// `vfio.setup/1`.
#[derive(Default, Serialize)]
struct Answer {
    /// Whether it was only said.
    dry_run: bool,
    /// What was run, or would be.
    commands: Vec<String>,
    notes: Vec<String>,
    problems: Vec<String>,
}

/// Says what is run as it is run.
struct Told<'a> {
    out: &'a Output,
    answer: Answer,
}

impl Told<'_> {
    fn command(&mut self, words: &str) {
        self.answer.commands.push(words.to_owned());
        if !self.out.is_json() {
            // A reader that has gone must not stop a change in the middle.
            let _ = self.out.line(format_args!("{words}"));
        }
    }

    fn end(self, nothing: &str) -> anyhow::Result<Exit> {
        let Told { out, answer } = self;
        answer.problems.iter().for_each(|problem| complain(format_args!("vfio: {problem}")));
        match out.is_json() {
            true => out.json("vfio.setup/1", &answer)?,
            false if answer.commands.is_empty() && answer.problems.is_empty() => out.line(format_args!("{nothing}"))?,
            false => {}
        }
        if !out.is_json() {
            answer.notes.iter().try_for_each(|note| out.line(format_args!("note: {note}")))?;
        }
        Ok(match () {
            () if !answer.problems.is_empty() => Exit::Errors,
            () if !answer.notes.is_empty() => Exit::No,
            () => Exit::Done,
        })
    }
}

/// Makes ready, or undoes that.
pub fn run(root: &Root, out: &Output, options: &SetupOptions) -> anyhow::Result<Exit> {
    let tools = tools_for(root);
    let mut told = Told { out, answer: Answer { dry_run: options.dry_run, ..Answer::default() } };
    // Who only looks waits for nobody.
    let _lock = if options.dry_run {
        None
    } else {
        Some(setup::lock(root).map_err(|error| anyhow::anyhow!(error.sentence()))?)
    };
    if options.undo {
        undo_all(root, tools.as_ref(), &mut told, options.dry_run)?;
    } else {
        make_ready(root, tools.as_ref(), &mut told, options)?;
    }
    told.end(if options.undo { "nothing to undo" } else { "nothing to do" })
}

fn make_ready(root: &Root, tools: &dyn Tools, told: &mut Told<'_>, options: &SetupOptions) -> anyhow::Result<()> {
    // Who became root for this is who wants guests. In a test tree nobody did.
    let asked = || std::env::var("SUDO_USER").ok().filter(|user| root.is_system() && user != "root");
    let user = options.user.clone().or_else(asked);
    let now = setup::probe_context(root, tools)?;
    let plan = plan(&now, user.as_deref());
    told.answer.notes = plan.notes;
    if options.dry_run {
        let all = plan.steps.iter().flat_map(|step| commands(step, &now));
        all.for_each(|words| told.command(&shell_command(&words)));
        return Ok(());
    }
    let done = setup::carry_out(root, tools, &plan.steps, &mut |words| told.command(words));
    told.answer.problems.extend(done.err().map(|error| error.to_string()));
    Ok(())
}

fn undo_all(root: &Root, tools: &dyn Tools, told: &mut Told<'_>, dry_run: bool) -> anyhow::Result<()> {
    if dry_run {
        let records = setup::records(root)?;
        let in_the_way = setup::in_the_way(root, tools, &records).err();
        told.answer.notes.extend(in_the_way.map(|error| error.to_string()));
        let now = setup::probe_context(root, tools)?;
        let all = records.iter().rev().flat_map(|record| undo(record, &now));
        all.for_each(|words| told.command(&shell_command(&words)));
        return Ok(());
    }
    told.answer.problems = setup::undo(root, tools, &mut |words| told.command(words))?;
    Ok(())
}
