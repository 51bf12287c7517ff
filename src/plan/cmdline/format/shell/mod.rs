// SPDX-License-Identifier: LGPL-2.1-or-later
//! A command line in a variable of a file that a shell reads: `/etc/default/grub` and its like.
//!
//! The file is read as a shell reads it, not by lines: what counts is the value that the variable has at the end, whichever
//! assignments made it. Where that cannot be told without running the file, the file is left alone.

mod edit;
mod lex;
mod problem;
mod skip;
#[cfg(test)]
mod tests;
mod value;

pub use edit::{edit, in_double_quotes};

use super::{own_line, Line, Problem};
use crate::host::boot::Format;
use value::{Known, Value};

/// The variable that a grammar is about, and what is written where it is not set at all.
fn variable(format: Format) -> (&'static str, &'static str) {
    match format {
        Format::GrubLinux => ("GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX=\""),
        // Other files of the tool have its words as well; it puts no blank between them.
        Format::LimineDefault => ("KERNEL_CMDLINE", "KERNEL_CMDLINE[default]+=\" "),
        Format::SdbootManage => ("LINUX_OPTIONS", "LINUX_OPTIONS=\""),
        _ => ("GRUB_CMDLINE_LINUX_DEFAULT", "GRUB_CMDLINE_LINUX_DEFAULT=\""),
    }
}

/// Which element of a list a variable is, if it is the one looked for.
fn element(format: Format, name: &str) -> Option<&str> {
    let rest = name.strip_prefix(variable(format).0)?;
    match rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(element) if format == Format::LimineDefault => Some(element),
        _ => rest.is_empty().then_some(rest),
    }
}

/// The command lines: one, or one an element of the list.
pub fn lines(format: Format, text: &str) -> Result<Vec<Line>, Problem> {
    let mut found: Vec<(String, Known)> = Vec::new();
    let variables = value::variables(text, false)?;
    for (name, value) in variables.known {
        // An element of a list is the variable itself to some shells.
        if format != Format::LimineDefault
            && name.strip_prefix(variable(format).0).is_some_and(|rest| rest.starts_with('['))
        {
            let line = value.map_or_else(|problem| problem.line, |known| own_line::number(text, known.span.start));
            return Err(Problem {
                line,
                message: format!("{name} is an element of a list; set {} itself", variable(format).0),
            });
        }
        let Some(element) = element(format, &name) else { continue };
        let known = value.map_err(|problem| Problem { message: format!("{name} {}", problem.message), ..problem })?;
        found.push((element.to_owned(), known));
    }
    if found.is_empty() {
        if let Some(problem) = variables.others {
            return Err(Problem { message: format!("{} {}", variable(format).0, problem.message), ..problem });
        }
        return Ok(vec![missing(format, text)?]);
    }
    found.sort_by_key(|(_, known)| known.span.start);
    let mut lines: Vec<Line> = Vec::new();
    let numbers = own_line::Numbers::of(text);
    for (key, known) in found {
        let from = lines.last().map_or(0, |line| line.span.end);
        if known.span.start < from {
            return Err(Problem {
                line: own_line::number(text, known.span.start),
                message: format!(
                    "{} is set in several places with others between them; put those of one kernel one after the other",
                    variable(format).0
                ),
            });
        }
        let number = numbers.number(known.span.start);
        lines.push(Line { key, number, span: whole_lines(text, &known, from), parameters: parameters(&known) });
    }
    Ok(lines)
}

fn parameters(known: &Known) -> Vec<String> {
    let text = known.text();
    super::super::line::parameters(&text).into_iter().map(|range| text[range].to_owned()).collect()
}

/// The raw text of what sets a variable: whole lines where nothing else is on them, but nothing before `from`.
fn whole_lines(text: &str, known: &Known, from: usize) -> std::ops::Range<usize> {
    let line = own_line::line_start(text, known.span.start);
    let alone = matches!(text[line..known.span.start].trim_matches([' ', '\t']), "" | "export" | "readonly");
    let begin = if alone && line >= from { own_line::begin(text, line).max(from) } else { known.span.start };
    begin..own_line::end(text, known.span.end)
}

/// Where the variable is not set: after everything else.
fn missing(format: Format, text: &str) -> Result<Line, Problem> {
    let last = text[own_line::line_start(text, text.strip_suffix('\n').unwrap_or(text).len())..].trim_end_matches('\n');
    if last.ends_with('\\') && !last.trim_start().starts_with('#') {
        let message = "the last line goes on after its backslash, but nothing follows: remove the backslash";
        return Err(Problem {
            line: own_line::number(text, text.len().saturating_sub(1)),
            message: message.to_owned(),
        });
    }
    let key = if format == Format::LimineDefault { "default" } else { "" };
    Ok(Line {
        key: key.to_owned(),
        number: own_line::number(text, text.len()),
        span: own_line::begin(text, text.len())..text.len(),
        parameters: Vec::new(),
    })
}

/// The value that a raw text gives the variable.
fn value_of(format: Format, raw: &str) -> Result<Known, Problem> {
    let of = |(name, value): (String, Value)| element(format, &name).map(|_| value);
    let mut values = value::variables(raw, true)?.known.into_iter().filter_map(of);
    values.next().unwrap_or_else(|| {
        Err(Problem {
            line: 1,
            message: format!("{} is not set here; set it outside of any block", variable(format).0),
        })
    })
}
