// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio sync`: boot entries and initramfs brought up to date now, as `vfio-sync.service` does it after an edit.

use crate::output::Output;
use crate::{check, Answer};
use anyhow::bail;
use serde::Serialize;
use vfio_suite::act::backend::tools_for;
use vfio_suite::act::boot::sync::{self, Snapshot};
use vfio_suite::config;
use vfio_suite::host::boot::BootSystem;
use vfio_suite::host::run::sync_report::{Report, SyncOutcome};
use vfio_suite::logger::complain;
use vfio_suite::plan::cmdline::parameters::{self, Parameter};
use vfio_suite::plan::sync::{self as decide, SyncStep};
use vfio_suite::root::Root;
use vfio_suite::survey;
use vfio_suite::text::shell_command;

/// What the last attempt says on one line, if it did not work.
pub fn line(report: &Report) -> Option<String> {
    let how = match report.outcome {
        SyncOutcome::Refused => "refused",
        SyncOutcome::Failed => "failed",
        SyncOutcome::Nothing | SyncOutcome::Done | SyncOutcome::Noted => return None,
    };
    let why = report.why.first().map(String::as_str).unwrap_or_default();
    Some(format!("boot entries and initramfs: the last sync {how}: {why}"))
}

/// What the last attempt has left to a person, a line each.
pub fn left(report: &Report) -> Vec<String> {
    let why = report.why.iter().filter(|_| report.outcome == SyncOutcome::Noted);
    why.map(|why| format!("boot entries and initramfs: the last sync left something to do: {why}")).collect()
}

/// What is answered as JSON.
#[derive(Serialize)]
struct Synced<'a> {
    #[serde(flatten)]
    report: &'a Report,
    /// Whether anything was changed.
    changed: bool,
    /// Whether the running kernel lacks something that the next boot has.
    reboot: bool,
}

/// What would be done.
#[derive(Serialize)]
struct Planned<'a> {
    /// Whether anything would be changed.
    changed: bool,
    reboot: bool,
    refusals: &'a [String],
    steps: &'a [SyncStep],
    /// What is left to a person.
    notes: &'a [String],
}

/// Whether the running kernel lacks a required parameter.
fn needs_reboot(system: &BootSystem, required: &[Parameter]) -> bool {
    let running: Vec<String> = system.parameters.iter().map(str::to_owned).collect();
    !required.iter().all(|required| parameters::is_there(&required.parameter, &running))
}

/// Shows what would be done, and does nothing.
fn show(root: &Root, out: &Output) -> anyhow::Result<Answer> {
    let snapshot = Snapshot::at(root, false);
    let record = match &snapshot.record {
        Ok(record) => record.clone(),
        Err(error) => bail!("{error}"),
    };
    let plan = decide::plan(&snapshot.config, &snapshot.facts(&record));
    let changed = !plan.steps.is_empty();
    if out.is_json() {
        let reboot = changed || needs_reboot(&snapshot.system, &snapshot.parameters);
        let planned = Planned { changed, reboot, refusals: &plan.refusals, steps: &plan.steps, notes: &plan.notes };
        out.json("vfio.sync-plan/1", &planned)?;
    } else {
        let mut text = out.lines();
        for step in &plan.steps {
            match step {
                SyncStep::Hook { path, text: Some(_) } => text.line(format_args!("would write /{path}")),
                SyncStep::Hook { path, text: None } => text.line(format_args!("would remove /{path}")),
                SyncStep::Words { plan } => {
                    plan.changes
                        .iter()
                        .for_each(|change| text.line(format_args!("would change {}", change.sentence())));
                    plan.tools
                        .iter()
                        .for_each(|run| text.line(format_args!("would run {}", shell_command(&run.command))));
                }
                SyncStep::Initramfs { runs, why } => {
                    why.iter().for_each(|why| text.line(why));
                    runs.iter().for_each(|run| text.line(format_args!("would run {}", shell_command(run))));
                }
            }
        }
        if plan.steps.is_empty() && plan.refusals.is_empty() {
            text.line("boot entries and initramfs are up to date");
        }
        out.text(&text)?;
    }
    if !plan.refusals.is_empty() {
        check::report(&snapshot.config);
        return Ok(Answer::Errors);
    }
    plan.notes.iter().for_each(|note| complain(format_args!("vfio: {note}")));
    Ok(if changed || !plan.notes.is_empty() { Answer::No } else { Answer::Done })
}

/// Brings everything up to date.
pub fn run(root: &Root, out: &Output, dry_run: bool) -> anyhow::Result<Answer> {
    if dry_run {
        return show(root, out);
    }
    let config = config::load_for_next_boot(root);
    let report = {
        let mut progress = |text: &str| {
            if !out.is_json() {
                // The reader may have gone; the work goes on.
                let _ = out.line(format_args!("{text}"));
            }
        };
        sync::run(root, tools_for(root).as_ref(), &mut progress)?
    };
    if out.is_json() {
        let changed = !report.did.is_empty();
        let lacks = || {
            let (system, required) = survey::required_parameters(root, &config);
            needs_reboot(&system, &required)
        };
        let reboot = changed || lacks();
        out.json("vfio.sync/1", &Synced { report: &report, changed, reboot })?;
    } else {
        match report.outcome {
            SyncOutcome::Nothing => out.line("boot entries and initramfs are up to date")?,
            SyncOutcome::Done => out.line("boot entries and initramfs are up to date now")?,
            SyncOutcome::Noted | SyncOutcome::Refused | SyncOutcome::Failed => {}
        }
    }
    match report.outcome {
        // The configuration's own findings, with how bad each is.
        SyncOutcome::Refused => check::report(&config),
        _ => report.why.iter().for_each(|why| complain(format_args!("vfio: {why}"))),
    }
    if report.outcome == SyncOutcome::Refused {
        complain("vfio: the configuration is wrong: boot entries and initramfs are as they were");
    }
    Ok(match report.outcome {
        SyncOutcome::Nothing | SyncOutcome::Done => Answer::Done,
        SyncOutcome::Noted => Answer::No,
        SyncOutcome::Refused | SyncOutcome::Failed => Answer::Errors,
    })
}
