// SPDX-License-Identifier: LGPL-2.1-or-later
//! The command `vfio`: looks at the machine, says what will happen and why, binds and gives back.

mod act;
mod arguments;
mod cards;
mod check;
mod cmdline;
mod complete;
mod doctor;
mod explain;
mod groups;
mod guest;
mod guest_define;
mod guest_edit;
mod guest_notify;
mod guest_start;
mod holders;
mod mask;
mod output;
mod plan;
mod rebar;
mod replay;
mod report;
mod reset;
mod rom;
mod setup;
mod status;
mod sync;

use arguments::{Arguments, Verb};
use clap::Parser;
use output::Output;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use vfio_suite::act::backend::sysfs;
use vfio_suite::logger;
use vfio_suite::logger::complain;
use vfio_suite::root::{Root, ROOT_VARIABLE};
use vfio_suite::text;

/// How a verb ended; its number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    /// Done, or nothing to do.
    Done = 0,
    /// Warnings, or "no".
    No = 1,
    /// Errors.
    Errors = 2,
    /// Wrong usage.
    Usage = 64,
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> ExitCode {
        ExitCode::from(answer as u8)
    }
}

fn main() -> ExitCode {
    if let Some(code) = sysfs::run_as_child() {
        return code;
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error).into(),
    };
    match run(&arguments) {
        Ok(answer) => answer.into(),
        Err(error) => {
            complain(format_args!("vfio: {error:#}"));
            Answer::Errors.into()
        }
    }
}

/// Prints what clap says of the arguments. Help and version are not errors; they go to standard output.
fn usage(error: &clap::Error) -> Answer {
    // Of a wrong argument clap says what it is: one that shows. It stays as wrong as it was.
    let shown = std::env::args_os().map(|argument| text::line(&argument.to_string_lossy()).into_owned());
    let again = Arguments::try_parse_from(shown).err();
    let text = again.as_ref().unwrap_or(error).render().to_string();
    if error.use_stderr() {
        text.trim_end().lines().for_each(complain);
        Answer::Usage
    } else {
        // A reader that has gone is not an error.
        let _ = std::io::stdout().write_all(text.as_bytes());
        Answer::Done
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    let replayed = replay::of(arguments.root.as_deref())?;
    let place = replayed.as_ref().map(tempfile::TempDir::path).or(arguments.root.as_deref());
    let root = match Root::from_option(place) {
        Ok(root) => root,
        Err(error) => {
            let variable = std::env::var_os(ROOT_VARIABLE).map(PathBuf::from).unwrap_or_default();
            let path = arguments.root.as_deref().unwrap_or(&variable);
            anyhow::bail!(
                "{}: {error}; --root and {ROOT_VARIABLE} must name an existing directory or a report",
                path.display()
            );
        }
    };
    logger::start("vfio");
    let out = Output::new(arguments.json);
    match &arguments.verb {
        Some(verb) => carry_out(&root, &out, verb),
        None => status::run(&root, &out),
    }
}

/// Carries out a verb.
fn carry_out(root: &Root, out: &Output, verb: &Verb) -> anyhow::Result<Answer> {
    match verb {
        Verb::Check { file } => check::run(root, out, file.as_deref()),
        Verb::Cards => cards::run(root, out),
        Verb::Groups { gpu } => groups::run(root, out, gpu.as_deref()),
        Verb::Plan => plan::run(root, out),
        Verb::Status => status::run(root, out),
        Verb::Bind(gpu) => act::bind(root, out, &gpu.name),
        Verb::Restore(gpu) => act::restore(root, out, &gpu.name),
        Verb::Rescan(gpu) => act::rescan(root, out, &gpu.name),
        Verb::Reset { name: None, .. } => reset::show(root, out),
        Verb::Reset { name: Some(name), method, dry_run } => {
            reset::run(root, out, name, method.map(Into::into), *dry_run)
        }
        Verb::Holders(gpu) => holders::run(root, out, &gpu.name),
        Verb::Rebar { name, verb } => rebar::run(root, out, name.as_deref(), verb.as_ref()),
        Verb::Rom(verb) => rom::run(root, out, verb),
        Verb::Sync { dry_run } => sync::run(root, out, *dry_run),
        Verb::Doctor(options) => doctor::run(root, out, options),
        Verb::Explain { code } => explain::run(out, code.as_deref()),
        Verb::Setup(options) => setup::run(root, out, options),
        Verb::Report => report::run(root, out),
        Verb::Complete { words } => complete::run(out, words),
        Verb::Cmdline(verb) => cmdline::run(root, out, verb),
        Verb::Guest(verb) => guest::run(root, out, verb),
    }
}
