// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio check`: is the configuration right, by itself and for this machine? Every finding with its file and line.

use crate::output::Output;
use crate::{DONE, ERRORS, NO};
use serde::Serialize;
use vfio_suite::config::{self, Config, Diagnostic, Severity};
use vfio_suite::host::{Depth, Host};
use vfio_suite::plan::Finding;
use vfio_suite::root::Root;
use vfio_suite::survey;

#[derive(Serialize)]
struct Answer<'a> {
    gpus: Vec<&'a str>,
    guests: Vec<&'a str>,
    diagnostics: &'a [Diagnostic],
    /// Cards that could not be given away on this machine, and why.
    refusals: Vec<Finding>,
    /// Cards that are not there now.
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
        eprintln!("{}", line(diagnostic));
    }
}

/// What this machine has to say of the sections: refusals, and cards that are not there. Nothing where there is no PCI bus to
/// be seen: in a container, or a tree with nothing but the configuration.
fn on_this_machine(root: &Root, config: &Config) -> (Vec<Finding>, Vec<Finding>) {
    if config.gpus.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let mut host = Host::scan(root, Depth::Full);
    if host.functions.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let choices = survey::judged(root, config, &mut host);
    let optional = |f: &Finding| f.absent && config.gpu(&f.gpu).is_some_and(|gpu| gpu.optional);
    let findings = choices.into_iter().filter_map(|choice| choice.chosen.err()).filter(|f| !optional(f));
    findings.partition(|finding| !finding.absent)
}

/// Checks the configuration.
pub fn run(root: &Root, out: &Output) -> anyhow::Result<u8> {
    let config = config::load(root);
    let gpus: Vec<&str> = config.gpus.iter().map(|g| g.name.as_str()).collect();
    let guests: Vec<&str> = config.guests.iter().map(|g| g.name.as_str()).collect();
    let (refusals, notes) = on_this_machine(root, &config);
    let code = if refusals.is_empty() { code(&config) } else { ERRORS };
    if out.is_json() {
        out.json("vfio.check/1", &Answer { gpus, guests, diagnostics: &config.diagnostics, refusals, notes })?;
        return Ok(code);
    }
    for diagnostic in &config.diagnostics {
        out.text(&format!("{}\n", line(diagnostic)))?;
    }
    for (word, findings) in [("error", &refusals), ("note", &notes)] {
        for finding in findings {
            let at = finding.at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default();
            out.text(&format!("{at}{word}: [gpu {}] {}\n", finding.gpu, finding.text))?;
        }
    }
    let names = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    out.text(&format!("gpus: {}; guests: {}\n", names(&gpus), names(&guests)))?;
    Ok(code)
}
