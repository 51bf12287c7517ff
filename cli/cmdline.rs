// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio cmdline`: the kernel's command line in every boot entry.

use crate::output::{Output, Text};
use crate::{check, CmdlineOptions, CmdlineVerb, DONE, ERRORS, NO};
use serde::Serialize;
use similar::TextDiff;
use vfio_suite::act::backend::tools_for;
use vfio_suite::act::boot::cmdline::{self, apply};
use vfio_suite::config::{self, Severity};
use vfio_suite::host::boot::{BootSystem, Role};
use vfio_suite::logger::complain;
use vfio_suite::plan::cmdline::parameters::Word;
use vfio_suite::plan::cmdline::status::{status, PlaceStatus, Status};
use vfio_suite::plan::cmdline::unchecked;
use vfio_suite::plan::cmdline::{plan, CmdlinePlan, FileChange, Options};
use vfio_suite::root::Root;
use vfio_suite::survey;

/// Does what the verb says.
pub fn run(root: &Root, out: &Output, verb: &CmdlineVerb) -> anyhow::Result<u8> {
    match verb {
        CmdlineVerb::Status => show_status(root, out),
        CmdlineVerb::Plan(options) => show_plan(root, out, options),
        CmdlineVerb::Apply(options) => change(root, out, Some(options)),
        CmdlineVerb::Revert => change(root, out, None),
    }
}

fn failed(sentence: String) -> anyhow::Error {
    anyhow::Error::msg(sentence)
}

fn plan_options(options: &CmdlineOptions) -> Options {
    Options { adopt: options.adopt, rescue: options.rescue, only: None }
}

fn texts(words: &[Word]) -> Vec<String> {
    words.iter().map(|word| word.word.clone()).collect()
}

fn show_status(root: &Root, out: &Output) -> anyhow::Result<u8> {
    let config = config::load(root);
    check::report(&config);
    let record = cmdline::load_record(root).map_err(failed)?;
    let (system, words) = survey::boot_words(root, &config);
    let status = status(&system, words, &record);
    let code = check::code(&config).max(if status.is_as_wanted() { DONE } else { NO });
    if out.is_json() {
        out.json("vfio.cmdline-status/1", &status)?;
    } else {
        out.text(&status_text(&status, out))?;
    }
    Ok(code)
}

fn reasons(text: &mut Text, words: &[Word]) {
    if words.is_empty() {
        return text.line("no words are wanted");
    }
    let rows: Vec<Vec<String>> = words.iter().map(|word| vec![word.word.clone(), word.why.clone()]).collect();
    text.line("wanted:");
    text.table(&rows);
}

/// What to do where no loader is known.
fn by_hand(words: &[Word]) -> String {
    format!(
        "no boot loader that vfio knows was found: add these words to the kernel's command line by hand: {}",
        texts(words).join(" ")
    )
}

fn status_text(status: &Status, out: &Output) -> Text {
    let mut text = out.lines();
    reasons(&mut text, &status.wanted);
    match (status.running_missing.as_slice(), status.running_unwanted.as_slice()) {
        ([], []) => text.line(format_args!("running kernel: {}", out.good("as wanted"))),
        (missing, unwanted) => {
            let words = missing
                .iter()
                .map(|w| format!("without {w}"))
                .chain(unwanted.iter().map(|w| format!("still with {w}")));
            let words: Vec<String> = words.collect();
            text.line(format_args!("running kernel: {}; the next boot decides", out.bad(&words.join(", "))));
        }
    }
    if let Some(booted) = &status.booted {
        text.line(format_args!("booted by: {booted}"));
    }
    if status.places.is_empty() && status.unseen.is_empty() && !status.wanted.is_empty() {
        text.line(by_hand(&status.wanted));
    }
    let rows: Vec<Vec<String>> = status.places.iter().filter(|p| p.exists).map(|place| row(place, out)).collect();
    if !rows.is_empty() {
        text.line("boot files:");
        text.table(&rows);
    }
    status.unseen.iter().for_each(|note| text.line(format_args!("note: {note}")));
    text
}

fn row(place: &PlaceStatus, out: &Output) -> Vec<String> {
    let state = match (&place.problem, place.role) {
        (Some(problem), _) => out.bad(problem),
        (None, Role::Rescue) if !place.missing.is_empty() => "left alone: for emergencies".to_owned(),
        (None, _) if place.is_as_wanted() => out.good("as wanted"),
        (None, _) => {
            let missing = place.missing.iter().map(|word| format!("without {word}"));
            let words: Vec<String> = missing.chain(place.unwanted.iter().map(|w| format!("still with {w}"))).collect();
            out.bad(&words.join(", "))
        }
    };
    let ours = if place.ours.is_empty() { "-".to_owned() } else { format!("ours: {}", place.ours.join(" ")) };
    vec![place.loader.name().to_owned(), place.path.clone(), ours, state]
}

#[derive(Serialize)]
struct PlanAnswer<'a> {
    wanted: &'a [Word],
    #[serde(flatten)]
    plan: &'a CmdlinePlan,
    unseen: &'a [String],
}

fn show_plan(root: &Root, out: &Output, options: &CmdlineOptions) -> anyhow::Result<u8> {
    let config = config::load(root);
    check::report(&config);
    let record = cmdline::load_record(root).map_err(failed)?;
    let (system, words) = survey::boot_words(root, &config);
    let plan = plan(&system, &texts(&words), &record, &plan_options(options));
    let unseen = unchecked::sentences(&system);
    let code = check::code(&config).max(code(&system, &words, &plan));
    if out.is_json() {
        out.json("vfio.cmdline-plan/1", &PlanAnswer { wanted: &words, plan: &plan, unseen: &unseen })?;
        return Ok(code);
    }
    let mut text = out.lines();
    reasons(&mut text, &words);
    if system.is_unknown() && !words.is_empty() {
        text.line(by_hand(&words));
    }
    plan.changes.iter().for_each(|change| text.lines(&diff(change)));
    plan.tools.iter().for_each(|tool| text.line(format_args!("run: {}", tool.words.join(" "))));
    plan.notes.iter().chain(&unseen).for_each(|note| text.line(format_args!("note: {note}")));
    plan.problems.iter().for_each(|problem| text.line(out.bad(problem)));
    if plan.is_empty() && plan.problems.is_empty() && !system.loaders.is_empty() {
        text.line("nothing to do");
    }
    out.text(&text)?;
    Ok(code)
}

fn diff(change: &FileChange) -> String {
    let side = |there: &Option<String>| there.as_ref().map_or("/dev/null".to_owned(), |_| format!("/{}", change.path));
    let (old, new) = (change.old.as_deref().unwrap_or_default(), change.new.as_deref().unwrap_or_default());
    let diff = TextDiff::from_lines(old, new);
    diff.unified_diff().context_radius(3).header(&side(&change.old), &side(&change.new)).to_string()
}

fn code(system: &BootSystem, words: &[Word], plan: &CmdlinePlan) -> u8 {
    match () {
        () if !plan.problems.is_empty() => ERRORS,
        () if system.loaders.is_empty() && !words.is_empty() => NO,
        () => DONE,
    }
}

#[derive(Serialize)]
struct ChangeAnswer<'a> {
    changed: Vec<String>,
    ran: Vec<String>,
    notes: &'a [String],
    problems: &'a [String],
}

/// Applies; without options, takes everything of ours out.
fn change(root: &Root, out: &Output, options: Option<&CmdlineOptions>) -> anyhow::Result<u8> {
    let quiet = options.is_some_and(|options| options.quiet) || out.is_json();
    let config = config::load(root);
    let _lock = cmdline::lock(root)?;
    let record = cmdline::load_record(root).map_err(failed)?;
    let (system, mut words) = survey::boot_words(root, &config);
    let asked = match options {
        Some(options) => {
            check::report(&config);
            if config.worst() == Some(Severity::Error) {
                anyhow::bail!("boot entries stay as they are until the errors above are mended");
            }
            plan_options(options)
        }
        None => {
            words.clear();
            Options { rescue: true, ..Options::default() }
        }
    };
    let plan = plan(&system, &texts(&words), &record, &asked);
    let mut say = |sentence: &str| {
        if !quiet {
            // A reader that has gone must not stop a change in the middle.
            let _ = out.line(format_args!("{sentence}"));
        }
    };
    apply(root, tools_for(root).as_ref(), &plan, &mut say).map_err(failed)?;
    plan.problems.iter().for_each(|problem| complain(format_args!("{problem}")));
    if out.is_json() {
        let changed = plan.changes.iter().map(|change| format!("/{}", change.path)).collect();
        let ran = plan.tools.iter().map(|tool| tool.words.join(" ")).collect();
        out.json("vfio.cmdline-act/1", &ChangeAnswer { changed, ran, notes: &plan.notes, problems: &plan.problems })?;
        return Ok(code(&system, &words, &plan));
    }
    if system.is_unknown() && !words.is_empty() {
        out.line(by_hand(&words))?;
    }
    if !quiet {
        plan.notes.iter().try_for_each(|note| out.line(format_args!("note: {note}")))?;
        let mut text = out.lines();
        summary(&mut text, &system, &plan);
        out.text(&text)?;
    }
    Ok(code(&system, &words, &plan))
}

fn summary(text: &mut Text, system: &BootSystem, plan: &CmdlinePlan) {
    let mut changed: Vec<&str> = plan.changes.iter().map(|change| change.loader.name()).collect();
    changed.extend(plan.tools.iter().map(|tool| tool.loader.name()));
    changed.dedup();
    match changed.as_slice() {
        [] if plan.problems.is_empty() && !system.loaders.is_empty() => text.line("nothing to do"),
        [] => {}
        loaders => text.line(format_args!("changed: {}; it counts from the next boot on", loaders.join(", "))),
    }
    let names: Vec<&str> = system.loaders.iter().map(|loader| loader.kind.name()).collect();
    if names.len() > 1 {
        text.line(format_args!("boot loaders found: {}", names.join(", ")));
    }
}
