// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio doctor --explain LINE`: what a line of a log means.

use crate::output::Output;
use crate::Answer as Exit;
use anyhow::Context;
use serde::Serialize;
use vfio_suite::finding::codes::logs::explanation;
use vfio_suite::finding::codes::Explanation;
use vfio_suite::finding::Severity;
use vfio_suite::plan::logs::search::Patterns;

#[derive(Serialize)]
struct Answer {
    /// Whether the line means no harm; null for one that no rule knows.
    harmless: Option<bool>,
    known: Option<&'static Explanation>,
}

/// Explains a line.
pub fn run(out: &Output, line: &str) -> anyhow::Result<Exit> {
    let patterns = Patterns::of_all_rules().context("the rules are too many")?;
    let rule = patterns.explain(line);
    let known = rule.and_then(|rule| explanation(rule.code));
    let harmless = rule.map(|rule| rule.severity == Severity::Ok);
    let code = if known.is_some() { Exit::Done } else { Exit::No };
    if out.is_json() {
        out.json("vfio.doctor-explain/1", &Answer { harmless, known })?;
        return Ok(code);
    }
    let Some(known) = known else {
        out.line("no rule knows this line; 'vfio explain' lists all codes")?;
        return Ok(code);
    };
    out.line(out.bold(known.code.name()))?;
    out.line(format_args!("  {}", known.means))?;
    out.line(format_args!("  To do: {}", known.todo))?;
    Ok(code)
}
