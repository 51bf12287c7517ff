// SPDX-License-Identifier: LGPL-2.1-or-later
//! `KERNEL_CMDLINE[...]` in the files of limine-entry-tool: `/etc/default/limine`, `/etc/limine-entry-tool.d/*.conf`.
//!
//! No shell reads them. A value is what is on its line, without the quotes around all of it; quotes inside are not escaped, and
//! a `#` behind it is a part of it. `=` begins a command line again, `+=` adds to it (`/etc/limine-entry-tool.conf` of
//! limine-entry-tool 1.38, "Kernel Command Line Configuration").

use super::super::line::{self, Change};
use super::{own_line, Line, Problem};
use crate::host::boot::emergency::is_for_emergencies;
use std::collections::BTreeMap;
use std::ops::Range;

/// What stands between parameters.
const BLANK: char = ' ';

/// The variable.
const NAME: &str = "KERNEL_CMDLINE[";
/// Which of the command lines every kernel has that has none of its own.
pub const ALL: &str = "default";

/// An assignment.
struct Assignment<'t> {
    key: &'t str,
    adds: bool,
    /// Where it begins in its text: the variable's name.
    start: usize,
    /// The value with its quotes.
    raw: Range<usize>,
    /// The value without them.
    value: Range<usize>,
}

fn assignments(text: &str) -> Vec<Assignment<'_>> {
    let mut at = 0;
    let lines = text.split_inclusive('\n').map(|whole| {
        let start = at;
        at += whole.len();
        (start, whole.trim_end_matches(['\n', '\r']))
    });
    lines.filter_map(|(start, line)| assignment(start, line)).collect()
}

fn assignment(start: usize, line: &str) -> Option<Assignment<'_>> {
    let bare = line.trim_start_matches([' ', '\t']);
    let name = start + line.len() - bare.len();
    let (key, rest) = bare.strip_prefix(NAME)?.split_once(']')?;
    let rest = rest.trim_start_matches([' ', '\t']);
    let adds = rest.starts_with('+');
    let value = rest.strip_prefix("+=").or_else(|| rest.strip_prefix('='))?;
    let value = value.trim_matches([' ', '\t']);
    let end = start + line.trim_end_matches([' ', '\t']).len();
    let raw = end - value.len()..end;
    let inner = match value.as_bytes() {
        [first @ (b'"' | b'\''), .., last] if first == last => raw.start + 1..raw.end - 1,
        _ => raw.clone(),
    };
    Some(Assignment { key: key.trim_matches(['"', '\'']), adds, start: name, raw, value: inner })
}

/// The assignments that count for each key, in the order in which the keys come.
fn by_key(text: &str) -> Vec<(&str, Vec<Assignment<'_>>)> {
    let mut found: Vec<(&str, Vec<Assignment<'_>>)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for assignment in assignments(text) {
        let at = *places.entry(assignment.key).or_insert_with(|| {
            found.push((assignment.key, Vec::new()));
            found.len() - 1
        });
        if !assignment.adds {
            found[at].1.clear();
        }
        found[at].1.push(assignment);
    }
    found
}

/// The text of the values from a place on, every other byte a line end: each parameter is where it was.
fn values_alone(text: &str, assignments: &[Assignment<'_>], from: usize) -> String {
    let mut alone = String::new();
    for assignment in assignments {
        alone.extend(std::iter::repeat_n('\n', (assignment.value.start - from).saturating_sub(alone.len())));
        alone.push_str(&text[assignment.value.clone()]);
    }
    alone
}

/// The command lines that the file sets or adds to: one a key. None is made where there is none: the tool would no longer take
/// the rest from where it does.
pub fn lines(text: &str) -> Result<Vec<Line>, Problem> {
    let span = |assignments: &[Assignment<'_>]| Some(assignments.first()?.start..assignments.last()?.raw.end);
    let of_key = |(key, assignments): (_, Vec<_>)| Some((key, span(&assignments)?, assignments));
    let mut found: Vec<(&str, Range<usize>, Vec<Assignment<'_>>)> =
        by_key(text).into_iter().filter_map(of_key).collect();
    found.sort_by_key(|(_, span, _)| span.start);
    let numbers = own_line::Numbers::of(text);
    // Before the text between is looked at, once for each of them.
    let overlap = found.windows(2).find(|pair| pair[1].1.start < pair[0].1.end);
    if let Some([(outer, ..), (inner, span, _)]) = overlap {
        return Err(Problem {
            line: numbers.number(span.start),
            message: format!(
                "{NAME}{inner}] is set between lines of {NAME}{outer}]; put those of one kernel one after the other"
            ),
        });
    }
    let line = |(key, span, assignments): (&str, Range<usize>, Vec<Assignment<'_>>)| {
        let alone = values_alone(text, &assignments, span.start);
        Line {
            for_emergencies: is_for_emergencies(key),
            parameters: line::parameters(&alone).into_iter().map(|range| alone[range].to_owned()).collect(),
            ..Line::new(key, numbers.number(span.start), span)
        }
    };
    Ok(found.into_iter().map(line).collect())
}

/// Changes it. The raw text begins with the first assignment of its key and ends with the last one's value.
pub fn edit(raw: &str, change: &Change<'_>) -> Option<String> {
    let (_, assignments) = by_key(raw).into_iter().next()?;
    let last = assignments.last()?;
    let alone = values_alone(raw, &assignments, 0);
    let cuts = line::cuts(&alone, change);
    let mut edits: Vec<(Range<usize>, String)> = cuts.cut.into_iter().map(|range| (range, String::new())).collect();
    if !cuts.insert.is_empty() {
        let is_empty = cuts.insert_at == 0;
        // Whether the tool puts a blank between what is added up is not written anywhere.
        let insert = if is_empty && last.adds { format!(" {}", cuts.insert) } else { cuts.insert };
        let at = if is_empty { last.value.start } else { cuts.insert_at };
        let to = assignments.iter().find(|there| there.value.start <= at && at <= there.value.end)?;
        // Without quotes a value begins and ends with no blank, and none of its own quotes is to be taken for one around it.
        let wants_quotes = is_empty && insert.starts_with(BLANK) || insert.ends_with(['"', '\'']);
        if to.raw == to.value && at == to.value.end && wants_quotes {
            edits.push((to.raw.start..to.raw.start, "\"".to_owned()));
            edits.push((at..at, format!("{insert}\"")));
        } else {
            edits.push((at..at, insert));
        }
    }
    line::apply(raw, edits)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(String, usize, Vec<String>)> {
        lines(text).unwrap().into_iter().map(|line| (line.key, line.number, line.parameters)).collect()
    }

    fn own(parameters: &[&str]) -> Vec<String> {
        parameters.iter().map(|parameter| (*parameter).to_owned()).collect()
    }

    #[test]
    fn values_are_read_as_the_tool_reads_them() {
        for (text, parameters) in [
            ("KERNEL_CMDLINE[default]=root=/dev/vda2 rw quiet\n", &["root=/dev/vda2", "rw", "quiet"][..]),
            ("KERNEL_CMDLINE[default]+=\"a b\"\r\n", &["a", "b"]),
            ("  KERNEL_CMDLINE[default] += ' a  b' \n", &["a", "b"]),
            ("KERNEL_CMDLINE[default]=\"a x=\"b c\"\"\n", &["a", "x=\"b c\""]),
            ("KERNEL_CMDLINE[default]=a # b\n", &["a", "#", "b"]),
            ("KERNEL_CMDLINE[default]=a\nKERNEL_CMDLINE[default]+= b\n", &["a", "b"]),
            ("KERNEL_CMDLINE[default]=a\nKERNEL_CMDLINE[default]=b\n", &["b"]),
            ("KERNEL_CMDLINE[default]=\n", &[]),
        ] {
            assert_eq!(shown(text)[0].2, own(parameters), "{text:?}");
            assert_eq!(shown(text).len(), 1, "{text:?}");
        }
        for text in ["", "#KERNEL_CMDLINE[default]=a\n", "KERNEL_CMDLINE[default]\n", "KERNEL_CMDLINE=a\n"] {
            assert_eq!(shown(text), [], "{text:?}");
        }
        assert!(lines("KERNEL_CMDLINE[a]=1\nKERNEL_CMDLINE[b]=2\nKERNEL_CMDLINE[a]+=3\n").is_err());
    }

    #[test]
    fn words_go_into_the_value() {
        for (raw, word, with) in [
            ("KERNEL_CMDLINE[x]=a b", "iommu=pt", "KERNEL_CMDLINE[x]=a b iommu=pt"),
            ("KERNEL_CMDLINE[x]=\"a b \"", "iommu=pt", "KERNEL_CMDLINE[x]=\"a b iommu=pt \""),
            ("KERNEL_CMDLINE[x]+=\"\"", "iommu=pt", "KERNEL_CMDLINE[x]+=\" iommu=pt\""),
            ("KERNEL_CMDLINE[x]=", "iommu=pt", "KERNEL_CMDLINE[x]=iommu=pt"),
            ("KERNEL_CMDLINE[x]+=", "iommu=pt", "KERNEL_CMDLINE[x]+=\" iommu=pt\""),
            ("KERNEL_CMDLINE[x]=a", "n=\"b c\"", "KERNEL_CMDLINE[x]=\"a n=\"b c\"\""),
            ("KERNEL_CMDLINE[x]=\"a\"", "n=\"b c\"", "KERNEL_CMDLINE[x]=\"a n=\"b c\"\""),
            ("KERNEL_CMDLINE[x]=a\nKERNEL_CMDLINE[x]+=\" b\"", "w", "KERNEL_CMDLINE[x]=a\nKERNEL_CMDLINE[x]+=\" b w\""),
        ] {
            let add = own(&[word]);
            assert_eq!(edit(raw, &Change { remove: &[], add: &add }).as_deref(), Some(with), "{raw:?}");
            assert_eq!(shown(with)[0].2.last(), add.last(), "{raw:?}");
        }
        let gone = own(&["a"]);
        let raw = "KERNEL_CMDLINE[x]=\"a b\"\nA=1\nKERNEL_CMDLINE[x]+=a";
        let without = "KERNEL_CMDLINE[x]=\"a b\"\nA=1\nKERNEL_CMDLINE[x]+=";
        assert_eq!(edit(raw, &Change { remove: &gone, add: &[] }).as_deref(), Some(without));
    }

    #[test]
    fn many_keys_take_no_longer_than_one() {
        let text: String = (0..20_000).map(|n| format!("KERNEL_CMDLINE[k{n}]=a b\n")).collect();
        let begin = std::time::Instant::now();
        assert_eq!(lines(&text).unwrap().len(), 20_000);
        assert!(lines(&(text.clone() + &text.replace("]=", "]+="))).is_err());
        assert!(begin.elapsed() < std::time::Duration::from_secs(2), "{:?}", begin.elapsed());
    }
}
