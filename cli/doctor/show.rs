// SPDX-License-Identifier: LGPL-2.1-or-later
//! The answer of `vfio doctor` for a person.

use crate::output::{Output, Text};
use vfio_suite::finding::{Finding, Severity};

/// Of a line of a log no more is shown, in characters.
const SHOWN: usize = 400;

/// All that is not as it should be, and what is well if that is asked for.
pub fn text(checks: &[Finding], with_well: bool, out: &Output) -> Text {
    let mut text = out.lines();
    for check in checks {
        let severity = match check.severity {
            Severity::Ok if !with_well => continue,
            Severity::Ok => out.good("ok"),
            Severity::Note => "note".to_owned(),
            Severity::Warning => out.bad("warning"),
            Severity::Error => out.bad("error"),
        };
        match check.severity {
            Severity::Ok => text.line(format_args!("{severity}: {}", check.text)),
            _ => text.line(format_args!("{severity}: {} [{}]", check.text, check.code)),
        }
        if let Some(seen) = check.seen() {
            let line: String = seen.line.chars().take(SHOWN).collect();
            text.line(format_args!("  log: {line}"));
        }
        check.hint.iter().for_each(|hint| text.line(format_args!("  to do: {hint}")));
    }
    if checks.is_empty() {
        text.line("nothing is configured, and nothing of vfio is in the way the machine boots");
    } else if !with_well && checks.iter().all(|check| check.severity == Severity::Ok) {
        text.line(format_args!("{}: nothing is wrong", out.good("ok")));
    }
    text
}
