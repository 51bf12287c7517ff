// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio check`: is the configuration right, by itself and for this machine? Every finding with its file and line.

use crate::output::Output;
use crate::{plan, rom, Answer as Exit};
use anyhow::{bail, Context};
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use vfio_suite::config::{self, Config};
use vfio_suite::finding::codes::Code;
use vfio_suite::finding::{Finding, Location, Section, Severity};
use vfio_suite::host::{Depth, Host};
use vfio_suite::logger::complain;
use vfio_suite::root::Root;

#[derive(Serialize)]
struct Answer<'a> {
    gpus: Vec<&'a str>,
    guests: Vec<&'a str>,
    diagnostics: Vec<Diagnostic<'a>>,
    #[serde(flatten)]
    said: Said,
}

/// A finding about the configuration.
#[derive(Serialize)]
struct Diagnostic<'a> {
    severity: Severity,
    code: Code,
    at: &'a Option<Location>,
    /// The sentence, with what to do.
    message: String,
    hint: &'a Option<Box<str>>,
}

impl Diagnostic<'_> {
    fn of(finding: &Finding) -> Diagnostic<'_> {
        let Finding { severity, code, at, hint, .. } = finding;
        Diagnostic { severity: *severity, code: *code, at, message: finding.sentence(), hint }
    }
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
pub fn code(config: &Config) -> Exit {
    match config.worst() {
        Some(Severity::Error) => Exit::Errors,
        Some(Severity::Warning) => Exit::No,
        Some(Severity::Note | Severity::Ok) | None => Exit::Done,
    }
}

/// One finding as a line: where, how bad, what, and its code.
pub fn line(finding: &Finding) -> String {
    let at = finding.at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default();
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
        Severity::Ok => "ok",
    };
    let section = match &finding.section {
        Section::Gpu(name) => format!("[gpu {name}] "),
        Section::Guest(name) => format!("[guest {name}] "),
        Section::Configuration | Section::Part { .. } | Section::Logs(_) => String::new(),
    };
    format!("{at}{severity}: {section}{} [{}]", finding.sentence(), finding.code)
}

/// Findings of the configuration that count, on stderr: for verbs whose answer is something else.
pub fn report(config: &Config) {
    for diagnostic in config.diagnostics.iter().filter(|d| d.severity != Severity::Note) {
        complain(format_args!("{}", line(diagnostic)));
    }
}

/// Warnings of a plan, on stderr.
pub fn warn(warnings: &[Finding]) {
    warnings.iter().for_each(|warning| complain(format_args!("vfio: warning: {}", warning.line())));
}

/// Refusals of a plan, on stderr.
pub fn refuse(refusals: &[Finding]) {
    refusals.iter().for_each(|refusal| complain(format_args!("vfio: {}", refusal.line())));
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
    for finding in rom::findings(root, config, &host) {
        match finding.severity {
            Severity::Error => said.refusals.push(finding),
            Severity::Warning => said.warnings.push(finding),
            Severity::Note | Severity::Ok => said.notes.push(finding),
        }
    }
    said
}

/// The most that a file of the configuration has.
const LARGEST: u64 = 1 << 20;

/// A file that a person names, as it is seen from here. Whose it is does not matter: it does not count yet.
fn of_file(path: &Path) -> anyhow::Result<Config> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    read.with_context(|| name.clone())?;
    if bytes.len() as u64 > LARGEST {
        bail!("{name} has more than 1 MiB: it is not a configuration");
    }
    Ok(config::parse_files(&[(&name, &bytes)]))
}

/// Checks the configuration, or a file that is to become it.
pub fn run(root: &Root, out: &Output, file: Option<&Path>) -> anyhow::Result<Exit> {
    let config = match file {
        Some(file) => of_file(file)?,
        None => config::load(root),
    };
    let gpus: Vec<&str> = config.gpus.iter().map(|g| g.name.as_str()).collect();
    let guests: Vec<&str> = config.guests.iter().map(|g| g.name.as_str()).collect();
    let said = on_this_machine(root, &config);
    let code = code(&config).max(match (said.refusals.is_empty(), said.warnings.is_empty()) {
        (false, _) => Exit::Errors,
        (true, false) => Exit::No,
        (true, true) => Exit::Done,
    });
    if out.is_json() {
        let diagnostics = config.diagnostics.iter().map(Diagnostic::of).collect();
        out.json("vfio.check/1", &Answer { gpus, guests, diagnostics, said })?;
        return Ok(code);
    }
    for diagnostic in &config.diagnostics {
        out.line(line(diagnostic))?;
    }
    for finding in said.refusals.iter().chain(&said.warnings).chain(&said.notes) {
        out.line(line(finding))?;
    }
    let names = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    out.line(format_args!("gpus: {}; guests: {}", names(&gpus), names(&guests)))?;
    Ok(code)
}
