// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio cmdline`: the kernel's command line in every boot entry.

use crate::arguments::{CmdlineOptions, CmdlineVerb};
use crate::output::{Output, Text};
use crate::{check, Answer};
use serde::Serialize;
use similar::TextDiff;
use vfio_suite::act::backend::tools_for;
use vfio_suite::act::boot::cmdline::{self, apply};
use vfio_suite::config::{self, Config, Severity};
use vfio_suite::host::boot::{BootSystem, LoaderKind, Role};
use vfio_suite::host::kernel_cmdline::KernelCmdline;
use vfio_suite::host::run::boot_counter;
use vfio_suite::logger::complain;
use vfio_suite::plan::cmdline::boot_file_status::BootFileStatus;
use vfio_suite::plan::cmdline::elsewhere::Elsewhere;
use vfio_suite::plan::cmdline::parameters::Parameter;
use vfio_suite::plan::cmdline::status::{status, Status};
use vfio_suite::plan::cmdline::{not_found, unchecked};
use vfio_suite::plan::cmdline::{plan, CmdlinePlan, FileChange, Options};
use vfio_suite::root::Root;
use vfio_suite::survey;
use vfio_suite::text::shell_command;

/// Does what the verb says.
pub fn run(root: &Root, out: &Output, verb: &CmdlineVerb) -> anyhow::Result<Answer> {
    match verb {
        CmdlineVerb::Status => show_status(root, out),
        CmdlineVerb::Plan(options) => show_plan(root, out, options),
        CmdlineVerb::Apply(options) => change(root, out, Some(options)),
        CmdlineVerb::Revert => change(root, out, None),
    }
}

fn plan_options(options: &CmdlineOptions, config: &Config) -> Options {
    let rescue_entry = config.host.needs_rescue_entry();
    Options { adopt: options.adopt, rescue: options.rescue, rescue_entry, only: None }
}

fn texts(parameters: &[Parameter]) -> Vec<String> {
    parameters.iter().map(|parameter| parameter.parameter.clone()).collect()
}

fn show_status(root: &Root, out: &Output) -> anyhow::Result<Answer> {
    let config = config::load(root);
    check::report(&config);
    let record = cmdline::load_record(root)?;
    let (system, parameters) = survey::required_parameters(root, &config);
    let status = status(&system, parameters, &record);
    let code = check::code(&config).max(if status.is_as_required() { Answer::Done } else { Answer::No });
    if out.is_json() {
        out.json("vfio.cmdline-status/1", &status)?;
    } else {
        out.text(&status_text(&status, out))?;
    }
    Ok(code)
}

/// Whether this machine boots from elsewhere. Nothing more is read where the record cannot tell.
pub fn elsewhere(root: &Root, config: &Config) -> Option<Elsewhere> {
    let record = cmdline::load_record(root).ok()?;
    let running = KernelCmdline::read(root);
    let has = |parameter: &&str| running.iter().any(|there| there == *parameter);
    if record.changed_in.is_empty()
        || record.changed_in == boot_counter::current(root)
        || record.all_parameters().iter().all(has)
    {
        return None;
    }
    let (system, parameters) = survey::required_parameters(root, config);
    status(&system, parameters, &record).elsewhere
}

/// Says it.
pub fn show_elsewhere(text: &mut Text, elsewhere: &Elsewhere, out: &Output) {
    text.line(out.bad(&elsewhere.sentence()));
    text.line(&elsewhere.hint);
}

fn reasons(text: &mut Text, parameters: &[Parameter]) {
    if parameters.is_empty() {
        return text.line("no kernel parameters are required");
    }
    let rows: Vec<Vec<String>> =
        parameters.iter().map(|parameter| vec![parameter.parameter.clone(), parameter.why.clone()]).collect();
    text.line("wanted:");
    text.table(&rows);
}

fn status_text(status: &Status, out: &Output) -> Text {
    let mut text = out.lines();
    reasons(&mut text, &status.required);
    match (status.running_missing.as_slice(), status.running_obsolete.as_slice()) {
        ([], []) => text.line(format_args!("running kernel: {}", out.good("as required"))),
        (missing, obsolete) => {
            let parameters = missing
                .iter()
                .map(|w| format!("without {w}"))
                .chain(obsolete.iter().map(|w| format!("still with {w}")));
            let parameters: Vec<String> = parameters.collect();
            let when = if status.elsewhere.is_some() { "" } else { " (takes effect at the next boot)" };
            text.line(format_args!("running kernel: {}{when}", out.bad(&parameters.join(", "))));
        }
    }
    status.elsewhere.iter().for_each(|elsewhere| show_elsewhere(&mut text, elsewhere, out));
    if let Some(booted) = &status.booted {
        text.line(format_args!("booted by: {booted}"));
    }
    match &status.not_found {
        Some(_) if status.elsewhere.is_some() => {}
        Some(sentence) => text.line(out.bad(sentence)),
        None if status.is_unknown() && status.unchecked.is_empty() && !status.required.is_empty() => {
            text.line(not_found::by_hand(&texts(&status.required)));
        }
        None => {}
    }
    let rows: Vec<Vec<String>> =
        status.boot_files.iter().filter(|p| p.exists).map(|boot_file| row(boot_file, out)).collect();
    if !rows.is_empty() {
        text.line("boot files:");
        text.table(&rows);
    }
    status.by_hand.iter().for_each(|sentence| text.line(out.bad(sentence)));
    status.unchecked.iter().for_each(|note| text.line(format_args!("note: {note}")));
    text
}

fn row(boot_file: &BootFileStatus, out: &Output) -> Vec<String> {
    let state = match (&boot_file.problem, boot_file.role) {
        (Some(problem), _) => out.bad(problem),
        (None, Role::WithoutVfio) => "the boot entry without VFIO".to_owned(),
        (None, Role::Rescue) if !boot_file.missing.is_empty() => "left alone: for emergencies".to_owned(),
        (None, _) if boot_file.is_as_required() => out.good("as required"),
        (None, _) => {
            let missing = boot_file.missing.iter().map(|parameter| format!("without {parameter}"));
            let parameters: Vec<String> =
                missing.chain(boot_file.obsolete.iter().map(|w| format!("still with {w}"))).collect();
            out.bad(&parameters.join(", "))
        }
    };
    let ours = if boot_file.ours.is_empty() { "-".to_owned() } else { format!("ours: {}", boot_file.ours.join(" ")) };
    vec![boot_file.loader.name().to_owned(), boot_file.path.clone(), ours, state]
}

#[derive(Serialize)]
struct PlanAnswer<'a> {
    required: &'a [Parameter],
    #[serde(flatten)]
    plan: &'a CmdlinePlan,
    unchecked: &'a [String],
}

fn show_plan(root: &Root, out: &Output, options: &CmdlineOptions) -> anyhow::Result<Answer> {
    let config = config::load(root);
    check::report(&config);
    let record = cmdline::load_record(root)?;
    let (system, parameters) = survey::required_parameters(root, &config);
    let plan = plan(&system, &texts(&parameters), &record, &plan_options(options, &config));
    let unchecked = unchecked::sentences(&system);
    let code = check::code(&config).max(code(&system, &parameters, &plan));
    if out.is_json() {
        out.json("vfio.cmdline-plan/1", &PlanAnswer { required: &parameters, plan: &plan, unchecked: &unchecked })?;
        return Ok(code);
    }
    let mut text = out.lines();
    reasons(&mut text, &parameters);
    unknown(&system, &parameters).iter().for_each(|sentence| text.line(sentence));
    plan.changes.iter().for_each(|change| text.lines(&diff(change)));
    plan.tools.iter().for_each(|tool| text.line(format_args!("run: {}", shell_command(&tool.command))));
    plan.notes.iter().chain(&unchecked).for_each(|note| text.line(format_args!("note: {note}")));
    plan.problems.iter().for_each(|problem| text.line(out.bad(problem)));
    if plan.is_empty() && plan.problems.is_empty() && !system.loaders.is_empty() {
        text.line("nothing to do");
    }
    out.text(&text)?;
    Ok(code)
}

/// What to do where no loader is known.
fn unknown(system: &BootSystem, parameters: &[Parameter]) -> Option<String> {
    not_found::sentence(system, &texts(parameters)).filter(|_| system.is_unknown())
}

/// The lines that differ.
pub fn diff(change: &FileChange) -> String {
    let side = |there: &Option<String>| there.as_ref().map_or("/dev/null".to_owned(), |_| format!("/{}", change.path));
    let (old, new) = (change.old.as_deref().unwrap_or_default(), change.new.as_deref().unwrap_or_default());
    let diff = TextDiff::from_lines(old, new);
    diff.unified_diff().context_radius(3).header(&side(&change.old), &side(&change.new)).to_string()
}

fn code(system: &BootSystem, parameters: &[Parameter], plan: &CmdlinePlan) -> Answer {
    match () {
        () if !plan.problems.is_empty() => Answer::Errors,
        () if system.loaders.is_empty() && !parameters.is_empty() => Answer::No,
        () => Answer::Done,
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
fn change(root: &Root, out: &Output, options: Option<&CmdlineOptions>) -> anyhow::Result<Answer> {
    let quiet = options.is_some_and(|options| options.quiet) || out.is_json();
    let config = config::load(root);
    let _lock = cmdline::lock(root)?;
    let record = cmdline::load_record(root)?;
    let (system, mut parameters) = survey::required_parameters(root, &config);
    let asked = match options {
        Some(options) => {
            check::report(&config);
            if config.worst() == Some(Severity::Error) {
                anyhow::bail!("boot entries stay as they are until the errors above are fixed");
            }
            plan_options(options, &config)
        }
        None => {
            parameters.clear();
            Options { rescue: true, ..Options::default() }
        }
    };
    let plan = plan(&system, &texts(&parameters), &record, &asked);
    let mut say = |sentence: &str| {
        if !quiet {
            // A reader that has gone must not stop a change in the middle.
            let _ = out.line(format_args!("{sentence}"));
        }
    };
    let left = apply(root, tools_for(root).as_ref(), &plan, &mut say)?;
    left.iter().chain(&plan.problems).for_each(|sentence| complain(format_args!("{sentence}")));
    let code = code(&system, &parameters, &plan).max(if left.is_empty() { Answer::Done } else { Answer::No });
    if out.is_json() {
        let changed = plan.changes.iter().map(|change| format!("/{}", change.path)).collect();
        let ran = plan.tools.iter().map(|tool| shell_command(&tool.command)).collect();
        let notes = &[plan.notes, left].concat();
        out.json("vfio.cmdline-act/1", &ChangeAnswer { changed, ran, notes, problems: &plan.problems })?;
        return Ok(code);
    }
    unknown(&system, &parameters).iter().try_for_each(|sentence| out.line(sentence))?;
    if !quiet {
        plan.notes.iter().try_for_each(|note| out.line(format_args!("note: {note}")))?;
        let mut text = out.lines();
        summary(&mut text, &system, &plan);
        out.text(&text)?;
    }
    Ok(code)
}

fn summary(text: &mut Text, system: &BootSystem, plan: &CmdlinePlan) {
    let changed = plan.changes.iter().map(|change| change.loader).chain(plan.tools.iter().map(|tool| tool.loader));
    match names(changed).as_slice() {
        [] if plan.problems.is_empty() && !system.loaders.is_empty() => text.line("nothing to do"),
        [] => {}
        loaders => text.line(format_args!("changed: {}; it counts from the next boot on", loaders.join(", "))),
    }
    let found = names(system.loaders.iter().map(|loader| loader.kind));
    if found.len() > 1 {
        text.line(format_args!("boot loaders found: {}", found.join(", ")));
    }
}

/// The names of loaders, each once: of some there are two kinds.
fn names(kinds: impl Iterator<Item = LoaderKind>) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for name in kinds.map(LoaderKind::name) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
