// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio check`: is the configuration right, by itself and for this machine? Every finding with its file and line.

use crate::output::Output;
use crate::{plan, DONE, ERRORS, NO};
use serde::Serialize;
use vfio_suite::config::{self, Config, Diagnostic, Severity};
use vfio_suite::host::{Depth, Host};
use vfio_suite::logger::complain;
use vfio_suite::plan::Finding;
use vfio_suite::root::Root;

#[derive(Serialize)]
struct Answer<'a> {
    gpus: Vec<&'a str>,
    guests: Vec<&'a str>,
    diagnostics: &'a [Diagnostic],
    #[serde(flatten)]
    said: Said,
}

/// What this machine makes of the sections.
#[derive(Default, Serialize)]
struct Said {
    /// Cards that could not be given away, and why.
    refusals: Vec<Finding>,
    /// What the user should know of the others.
    warnings: Vec<Finding>,
    /// Cards that are not there now, and what else needs nothing to be done.
    notes: Vec<Finding>,
}

/// What the exit code of every verb says of the configuration.
pub fn code(config: &Config) -> u8 {
    match config.diagnostics.iter().map(|d| d.severity).max() {
        Some(Severity::Error) => ERRORS,
        Some(Severity::Warning) => NO,
        Some(Severity::Note) | None => DONE,
    }
}

/// One finding as a line: where, how bad, what.
pub fn line(diagnostic: &Diagnostic) -> String {
    let word = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    format!("{}: {word}: {}", diagnostic.at, diagnostic.message)
}

/// Findings of the configuration that count, on stderr: for verbs whose answer is something else.
pub fn report(config: &Config) {
    for diagnostic in config.diagnostics.iter().filter(|d| d.severity != Severity::Note) {
        complain(format_args!("{}", line(diagnostic)));
    }
}

/// What this machine has to say of the sections. Nothing where there is no PCI bus to be seen: in a container, or a tree with
/// nothing but the configuration.
fn on_this_machine(root: &Root, config: &Config) -> Said {
    let mut said = Said::default();
    if config.gpus.is_empty() {
        return said;
    }
    let mut host = Host::scan(root, Depth::Full);
    if host.functions.is_empty() {
        return said;
    }
    for card in plan::cards(root, config, &mut host) {
        said.refusals.extend(card.plan.refusals);
        said.warnings.extend(card.plan.warnings);
        said.notes.extend(card.plan.notes);
    }
    said
}

/// Checks the configuration.
pub fn run(root: &Root, out: &Output) -> anyhow::Result<u8> {
    let config = config::load(root);
    let gpus: Vec<&str> = config.gpus.iter().map(|g| g.name.as_str()).collect();
    let guests: Vec<&str> = config.guests.iter().map(|g| g.name.as_str()).collect();
    let said = on_this_machine(root, &config);
    let code = code(&config).max(match (said.refusals.is_empty(), said.warnings.is_empty()) {
        (false, _) => ERRORS,
        (true, false) => NO,
        (true, true) => DONE,
    });
    if out.is_json() {
        out.json("vfio.check/1", &Answer { gpus, guests, diagnostics: &config.diagnostics, said })?;
        return Ok(code);
    }
    for diagnostic in &config.diagnostics {
        out.line(line(diagnostic))?;
    }
    for (word, findings) in [("error", &said.refusals), ("warning", &said.warnings), ("note", &said.notes)] {
        for finding in findings {
            let at = finding.at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default();
            out.line(format_args!("{at}{word}: [gpu {}] {}", finding.gpu, finding.text))?;
        }
    }
    let names = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    out.line(format_args!("gpus: {}; guests: {}", names(&gpus), names(&guests)))?;
    Ok(code)
}
