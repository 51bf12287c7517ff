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

/// The variable that a grammar is about.
fn variable(format: Format) -> &'static str {
    match format {
        Format::GrubLinux => "GRUB_CMDLINE_LINUX",
        Format::SdbootManage => "LINUX_OPTIONS",
        Format::LimineShell => "LIMINE_CMDLINE_LINUX_DEFAULT",
        Format::VoidHook => "CMDLINE",
        _ => "GRUB_CMDLINE_LINUX_DEFAULT",
    }
}

/// The one command line.
pub fn lines(format: Format, text: &str) -> Result<Vec<Line>, Problem> {
    let variable = variable(format);
    let variables = value::variables(text, false)?;
    let is_element = |name: &str| name.strip_prefix(variable).is_some_and(|rest| rest.starts_with('['));
    let its = |(name, _): &(String, Value)| name == variable || is_element(name);
    let Some((name, value)) = variables.known.into_iter().find(its) else {
        return match variables.others {
            Some(problem) => Err(Problem { message: format!("{variable} {}", problem.message), ..problem }),
            None => Ok(vec![missing(text)?]),
        };
    };
    // An element of a list is the variable itself to some shells.
    if name != variable {
        let line = value.map_or_else(|problem| problem.line, |known| own_line::number(text, known.span.start));
        return Err(Problem { line, message: format!("{name} is an element of a list; set {variable} itself") });
    }
    let known = value.map_err(|problem| Problem { message: format!("{name} {}", problem.message), ..problem })?;
    let number = own_line::number(text, known.span.start);
    Ok(vec![Line { parameters: parameters(&known), ..Line::new("", number, whole_lines(text, &known)) }])
}

fn parameters(known: &Known) -> Vec<String> {
    let text = known.text();
    super::super::line::parameters(&text).into_iter().map(|range| text[range].to_owned()).collect()
}

/// The raw text of what sets a variable: whole lines where nothing else is on them.
fn whole_lines(text: &str, known: &Known) -> std::ops::Range<usize> {
    let line = own_line::line_start(text, known.span.start);
    let alone = matches!(text[line..known.span.start].trim_matches([' ', '\t']), "" | "export" | "readonly");
    let begin = if alone { own_line::begin(text, line) } else { known.span.start };
    begin..own_line::end(text, known.span.end)
}

/// Where the variable is not set: after everything else.
fn missing(text: &str) -> Result<Line, Problem> {
    let last = text[own_line::line_start(text, text.strip_suffix('\n').unwrap_or(text).len())..].trim_end_matches('\n');
    if last.ends_with('\\') && !last.trim_start().starts_with('#') {
        let message = "the last line goes on after its backslash, but nothing follows: remove the backslash";
        return Err(Problem {
            line: own_line::number(text, text.len().saturating_sub(1)),
            message: message.to_owned(),
        });
    }
    let span = own_line::begin(text, text.len())..text.len();
    Ok(Line::new("", own_line::number(text, text.len()), span))
}

/// The value that a raw text gives the variable.
fn value_of(format: Format, raw: &str) -> Result<Known, Problem> {
    let of = |(name, value): (String, Value)| (name == variable(format)).then_some(value);
    let mut values = value::variables(raw, true)?.known.into_iter().filter_map(of);
    values.next().unwrap_or_else(|| {
        Err(Problem { line: 1, message: format!("{} is not set here; set it outside of any block", variable(format)) })
    })
}
