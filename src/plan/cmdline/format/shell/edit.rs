// SPDX-License-Identifier: LGPL-2.1-or-later
//! Words taken out of and put into a value in the quotes that it has.

use super::super::super::line::{self, Change};
use super::super::{by_hand, own_line, Problem};
use super::lex::Mode;
use super::value::{Known, ELSEWHERE};
use super::{value_of, variable};
use crate::host::boot::Format;
use std::ops::Range;

/// The raw text with words taken out and put in.
pub fn edit(format: Format, raw: &str, change: &Change<'_>) -> Result<String, Problem> {
    if own_line::is_missing(raw) {
        let words = escaped(&change.add.join(" "), Mode::Double);
        return Ok(if words.is_empty() {
            raw.to_owned()
        } else {
            own_line::made(raw, &format!("{}=\"{words}\"", variable(format)))
        });
    }
    let (before, raw) = own_line::split(raw);
    let known = value_of(format, raw)?;
    let text = known.text();
    let cuts = line::cuts(&text, change);
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let cell = |at: usize| starts.binary_search(&at).unwrap_or_else(|next| next);
    // What is put in, before what is taken out at the same place.
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    if !cuts.insert.is_empty() {
        edits.extend(insertion(raw, &known, cell(cuts.insert_at), &cuts.insert));
    }
    for range in &cuts.cut {
        for cell in known.cells.get(cell(range.start)..cell(range.end)).ok_or_else(by_hand)? {
            if !cell.own {
                return Err(not_here(raw, &known, &text[range.clone()]));
            }
            edits.push((cell.raw.clone(), String::new()));
        }
    }
    if let Some(word) = change.remove.iter().find(|word| text.contains(ELSEWHERE) && !has(&text, word)) {
        return Err(not_here(raw, &known, word));
    }
    let new = line::apply(raw, edits).ok_or_else(by_hand)?;
    // What is quoted may read otherwise beside something else: `a$` before a quote.
    let expected = cuts.apply(&text).ok_or_else(by_hand)?;
    match value_of(format, &new) {
        Ok(known) if words(&known.text()) == words(&expected) => Ok(format!("{before}{new}")),
        _ => Err(by_hand()),
    }
}

fn words(text: &str) -> Vec<&str> {
    line::parameters(text).into_iter().map(|range| &text[range]).collect()
}

fn has(text: &str, word: &str) -> bool {
    words(text).contains(&word)
}

fn not_here(raw: &str, known: &Known, word: &str) -> Problem {
    let message = format!("'{}' comes from another variable of this file; take it out there", word.trim());
    Problem { line: own_line::number(raw, known.last.start), message }
}

/// What to put in after the first `count` characters.
fn insertion(raw: &str, known: &Known, count: usize, insert: &str) -> Vec<(Range<usize>, String)> {
    let last = count.checked_sub(1).and_then(|last| known.cells.get(last));
    let (at, mode) = match (last, known.refers) {
        (Some(cell), _) => (cell.raw.end, cell.mode),
        (None, Some(end)) => end,
        (None, None) => first_place(raw, known),
    };
    // What may be before it is in another place: an empty variable, the value that is added to.
    let parted = last.is_none() && (known.refers.is_some() || known.appends);
    let insert = format!("{}{insert}", if parted { " " } else { "" });
    if mode != Mode::Bare {
        return vec![(at..at, escaped(&insert, mode))];
    }
    let insert = escaped(&insert, Mode::Double);
    let unquoted = |begin: usize| !raw[begin..at].contains(['\'', '"', '\\', '`']);
    let begin = known.last.start;
    let follows = known.last.contains(&at) || known.last.end == at;
    if follows && begin < at && unquoted(begin) {
        // `quiet` becomes "quiet iommu=pt".
        vec![(begin..begin, "\"".to_owned()), (at..at, format!("{insert}\""))]
    } else {
        vec![(at..at, format!("\"{insert}\""))]
    }
}

/// Where the first word of an empty value goes.
fn first_place(raw: &str, known: &Known) -> (usize, Mode) {
    let begin = known.last.start;
    match raw[known.last.clone()].as_bytes().first() {
        Some(b'"') => (begin + 1, Mode::Double),
        Some(b'\'') => (begin + 1, Mode::Single),
        _ => (begin, Mode::Bare),
    }
}

/// A text as it stands between double quotes.
pub fn in_double_quotes(text: &str) -> String {
    escaped(text, Mode::Double)
}

fn escaped(text: &str, mode: Mode) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match (mode, c) {
            (Mode::Single, '\'') => out.push_str("'\\''"),
            (Mode::Double, '"' | '\\' | '$' | '`') => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}
