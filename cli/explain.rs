// SPDX-License-Identifier: LGPL-2.1-or-later
//! `vfio explain`: what the code of a message means, and what to do.

use crate::output::Output;
use crate::Answer;
use serde::Serialize;
use vfio_suite::finding::codes::{self, Explanation};
use vfio_suite::logger::complain;
use vfio_suite::nearest::did_you_mean;

#[derive(Serialize)]
struct Explained {
    codes: Vec<&'static Explanation>,
}

/// Explains one code, or all of them.
pub fn run(out: &Output, code: Option<&str>) -> anyhow::Result<Answer> {
    // As a message has it.
    let asked = code.map(|code| code.trim_start_matches('[').trim_end_matches(']'));
    let found: Vec<&Explanation> = codes::all().filter(|of| asked.is_none_or(|code| of.code.name() == code)).collect();
    if let Some(code) = asked.filter(|_| found.is_empty()) {
        let hint = did_you_mean(code, codes::all().map(|of| of.code.name()));
        let hint = hint.unwrap_or_else(|| "'vfio explain' lists all codes".to_owned());
        complain(format_args!("vfio: no message has the code '{code}'; {hint}"));
        return Ok(Answer::Usage);
    }
    if out.is_json() {
        out.json("vfio.explain/1", &Explained { codes: found })?;
        return Ok(Answer::Done);
    }
    for (number, entry) in found.iter().enumerate() {
        if number > 0 {
            out.line("")?;
        }
        out.line(out.bold(entry.code.name()))?;
        out.line(format_args!("  {}", entry.means))?;
        out.line(format_args!("  To do: {}", entry.todo))?;
    }
    Ok(Answer::Done)
}
