// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio doctor --fix`: the verbs that findings say to run, as far as each is safe: it checks for itself, writes a journal
//! before it changes anything, and has another that undoes it.

use crate::arguments::{Arguments, DoctorOptions, Verb};
use crate::output::Output;
use crate::Answer as Exit;
use clap::Parser;
use serde::Serialize;
use vfio_suite::act::setup;
use vfio_suite::finding::{codes, Finding, Severity};
use vfio_suite::root::Root;

/// The verbs, each with what undoes it. One that ends with a blank has a name after it.
const SAFE: [(&str, &str); 4] = [
    ("sync", "vfio cmdline revert"),
    ("setup --services", "vfio setup --services --undo"),
    ("bind ", "vfio restore"),
    ("guest restore ", ""),
];

/// Something that can be done about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// The command.
    pub run: String,
    /// What undoes it; null where it undoes something itself.
    pub undo: Option<String>,
}

/// Whether somebody has to do something about it.
fn is_trouble(check: &&Finding) -> bool {
    check.severity >= Severity::Warning
}

/// What can be done about one.
fn fix(check: &Finding) -> Option<Fix> {
    let verb = check.hint.as_ref()?.strip_prefix("run 'vfio ")?.split('\'').next()?;
    let safe = |(start, _): &&(&str, &str)| verb == *start || start.ends_with(' ') && verb.starts_with(start);
    let (start, undo) = SAFE.iter().find(safe)?;
    // A restore of a card that only slept would take it from vfio, too.
    let undone = !undo.is_empty() && check.code != codes::CARD_MAY_SLEEP;
    let undo = undone.then(|| match verb.strip_prefix(start) {
        Some("") | None => (*undo).to_owned(),
        Some(name) => format!("{undo} {name}"),
    });
    Some(Fix { run: format!("vfio {verb}"), undo })
}

/// What can be done about these, each once.
pub fn fixes(checks: &[Finding]) -> Vec<Fix> {
    let mut fixes: Vec<Fix> = Vec::new();
    for fix in checks.iter().filter(is_trouble).filter_map(fix) {
        if !fixes.contains(&fix) {
            fixes.push(fix);
        }
    }
    fixes
}

/// Shows the fixes, asks, and makes them; what they do is said by themselves. An error is how it ends where none is made.
pub fn run(
    root: &Root,
    out: &Output,
    options: &DoctorOptions,
    checks: &[Finding],
) -> anyhow::Result<Result<Exit, Exit>> {
    let fixes = fixes(checks);
    if fixes.is_empty() {
        out.line("nothing of this is fixed without a person")?;
        return Ok(Err(Exit::No));
    }
    for fix in &fixes {
        let undo = fix.undo.as_ref().map(|undo| format!(" (undone by '{undo}')")).unwrap_or_default();
        out.line(format_args!("fix: {}{undo}", fix.run))?;
    }
    if !options.yes {
        match out.ask("Run these?")? {
            Some(true) => {}
            Some(false) => return Ok(Err(Exit::No)),
            None => {
                out.line("nothing was run: there is no terminal to ask on, and no --yes")?;
                return Ok(Err(Exit::Usage));
            }
        }
    }
    let mut worst = Exit::Done;
    for fix in &fixes {
        out.line(format_args!("$ {}", fix.run))?;
        // Our own verb, read as from the command line.
        let arguments = Arguments::try_parse_from(fix.run.split(' '))?;
        let Some(verb) = &arguments.verb else { continue };
        if let (Verb::Bind(card), Some(_)) = (verb, &fix.undo) {
            let _lock = setup::lock(root).map_err(|error| anyhow::anyhow!(error.sentence()))?;
            setup::note_bind(root, &card.name)?;
        }
        worst = worst.max(crate::carry_out(root, out, verb)?);
    }
    Ok(Ok(worst))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vfio_suite::finding::{codes, Part};

    fn finding(severity: Severity, hint: &str) -> Finding {
        Finding::check(Part::System, "x", severity, codes::CARD_NOT_AS_CONFIGURED, "a").hint(hint)
    }

    #[test]
    fn only_what_is_safe_is_run_and_each_once() {
        let said = [
            finding(Severity::Warning, "run 'vfio bind big'"),
            finding(Severity::Error, "run 'vfio sync'"),
            finding(Severity::Error, "run 'vfio sync', then reboot"),
            finding(Severity::Error, "run 'vfio guest restore win10' to try again"),
            // A note; a verb that is not safe; another program; a verb that only begins like one.
            finding(Severity::Note, "run 'vfio bind other'"),
            finding(Severity::Error, "run 'vfio rescan big'"),
            finding(Severity::Error, "run 'systemctl enable --now vfio-sync.path'"),
            finding(Severity::Error, "run 'vfio syncs'"),
        ];
        let fixes = super::fixes(&said);
        let run: Vec<&str> = fixes.iter().map(|fix| fix.run.as_str()).collect();
        assert_eq!(run, ["vfio bind big", "vfio sync", "vfio guest restore win10"]);
        let undo: Vec<Option<&str>> = fixes.iter().map(|fix| fix.undo.as_deref()).collect();
        assert_eq!(undo, [Some("vfio restore big"), Some("vfio cmdline revert"), None]);
        let asleep = Finding { code: codes::CARD_MAY_SLEEP, ..finding(Severity::Warning, "run 'vfio bind big'") };
        assert_eq!(super::fixes(&[asleep])[0].undo, None, "the card was bound to vfio before, too");
    }
}
