// SPDX-License-Identifier: LGPL-2.1-or-later
//! Past what is not looked into: `$(...)`, `${...}`, backquotes, however they are nested.

use super::super::Problem;
use super::problem::problem;

/// What is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Paren,
    Brace,
    Double,
    Backquote,
}

/// Where what begins at `at` (`$(`, `${` or a backquote) is over.
pub fn nested(text: &str, at: usize) -> Result<usize, Problem> {
    let bytes = text.as_bytes();
    let is_not_over = || problem(text, at, "a command or variable that begins here does not end: close it");
    let cannot_tell = |here: usize, what: &str| {
        Err(problem(
            text,
            here,
            format!("{what} is inside $(...) or ${{...}}, and where that ends cannot be told; write it otherwise"),
        ))
    };
    let mut open: Vec<Open> = Vec::new();
    let mut here = at;
    loop {
        let byte = *bytes.get(here).ok_or_else(is_not_over)?;
        let top = open.last().copied();
        let next = bytes.get(here + 1).copied();
        let before = here.checked_sub(1).and_then(|before| bytes.get(before)).copied().unwrap_or(b'\n');
        let mut step = 1;
        match (byte, top) {
            (b'\\', _) => step = 2,
            (b'`', Some(Open::Backquote)) | (b'"', Some(Open::Double)) => {
                open.pop();
            }
            (b'`', _) => open.push(Open::Backquote),
            // Inside backquotes everything else is looked at by the inner shell.
            (_, Some(Open::Backquote)) => {}
            (b'$', _) if next == Some(b'(') => {
                open.push(Open::Paren);
                step = 2;
            }
            (b'$', _) if next == Some(b'{') => {
                open.push(Open::Brace);
                step = 2;
            }
            // Shells part ways here.
            (b'$', Some(Open::Paren | Open::Brace)) if next == Some(b'\'') => return cannot_tell(here, "a quote ($')"),
            (b'$', _) if next == Some(b'\\') => return cannot_tell(here, "a backslash after a $"),
            (b'\'', Some(Open::Brace)) => return cannot_tell(here, "a quote (')"),
            (b'<', Some(Open::Paren)) if matches!(next, Some(b'<' | b'\\')) => {
                return cannot_tell(here, "a here-document (<<)")
            }
            (b'c', Some(Open::Paren)) if !is_of_word(before) && is_case(&bytes[here..]) => {
                return cannot_tell(here, "a 'case'");
            }
            (b'"', _) => open.push(Open::Double),
            (b'(', Some(Open::Paren)) => open.push(Open::Paren),
            (b')', Some(Open::Paren)) | (b'}', Some(Open::Brace)) => {
                open.pop();
            }
            (b'\'', Some(Open::Paren)) => step = single(bytes, here).ok_or_else(is_not_over)?,
            (b'#', Some(Open::Paren))
                if matches!(before, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'`') =>
            {
                if before == b'\n' && here > 1 && bytes[here - 2] == b'\\' {
                    return cannot_tell(here, "a backslash before a line with a comment");
                }
                step = bytes[here..].iter().take_while(|b| **b != b'\n').count();
            }
            _ => {}
        }
        here += step;
        if open.is_empty() {
            // Never inside a character: what closes is ASCII.
            return Ok(here);
        }
    }
}

/// Whether a byte before a word would be a part of it.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'=' | b':')
}

/// Whether a text begins with the word `case`, whose patterns end with a bracket that was never opened; in two lines too.
fn is_case(text: &[u8]) -> bool {
    let mut rest = text;
    for byte in b"case" {
        while let Some(after) = rest.strip_prefix(b"\\\n") {
            rest = after;
        }
        match rest.split_first() {
            Some((first, after)) if first == byte => rest = after,
            _ => return false,
        }
    }
    rest.first().is_none_or(|byte| !is_of_word(*byte))
}

/// The length of a text in single quotes.
fn single(bytes: &[u8], at: usize) -> Option<usize> {
    Some(bytes[at + 1..].iter().position(|b| *b == b'\'')? + 2)
}
