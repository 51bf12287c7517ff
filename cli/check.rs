// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio check`: is the configuration right? Every finding with its file and line.

use crate::output::Output;
use crate::{DONE, ERRORS, NO};
use serde::Serialize;
use vfio_suite::config::{self, Config, Diagnostic, Severity};
use vfio_suite::root::Root;

#[derive(Serialize)]
struct Answer<'a> {
    gpus: Vec<&'a str>,
    guests: Vec<&'a str>,
    diagnostics: &'a [Diagnostic],
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

/// Checks the configuration.
pub fn run(root: &Root, out: &Output) -> anyhow::Result<u8> {
    let config = config::load(root);
    let gpus: Vec<&str> = config.gpus.iter().map(|g| g.name.as_str()).collect();
    let guests: Vec<&str> = config.guests.iter().map(|g| g.name.as_str()).collect();
    if out.is_json() {
        out.json("vfio.check/1", &Answer { gpus, guests, diagnostics: &config.diagnostics })?;
        return Ok(code(&config));
    }
    for diagnostic in &config.diagnostics {
        out.text(&format!("{}\n", line(diagnostic)))?;
    }
    let names = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    out.text(&format!("gpus: {}; guests: {}\n", names(&gpus), names(&guests)))?;
    Ok(code(&config))
}
