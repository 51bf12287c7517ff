// SPDX-License-Identifier: LGPL-2.1-or-later
//! Past what is not looked into: `$(...)`, `${...}`, backquotes, however they are nested.

use super::super::Problem;
use super::lex::problem;

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
    let mut open: Vec<Open> = Vec::new();
    let mut here = at;
    loop {
        let byte = *bytes.get(here).ok_or_else(is_not_over)?;
        let top = open.last().copied();
        let quoted = open.contains(&Open::Double);
        let mut step = 1;
        match (byte, top) {
            (b'\\', _) => step = 2,
            (b'`', Some(Open::Backquote)) | (b'"', Some(Open::Double)) => {
                open.pop();
            }
            (b'`', _) => open.push(Open::Backquote),
            // Inside backquotes everything else is looked at by the inner shell.
            (_, Some(Open::Backquote)) => {}
            (b'$', _) if bytes.get(here + 1) == Some(&b'(') => {
                open.push(Open::Paren);
                step = 2;
            }
            (b'$', _) if bytes.get(here + 1) == Some(&b'{') => {
                open.push(Open::Brace);
                step = 2;
            }
            (b'"', _) => open.push(Open::Double),
            (b'(', Some(Open::Paren)) => open.push(Open::Paren),
            (b')', Some(Open::Paren)) | (b'}', Some(Open::Brace)) => {
                open.pop();
            }
            (b'\'', Some(Open::Paren)) => step = single(bytes, here).ok_or_else(is_not_over)?,
            (b'\'', Some(Open::Brace)) if !quoted => step = single(bytes, here).ok_or_else(is_not_over)?,
            (b'#', Some(Open::Paren)) if bytes[here - 1].is_ascii_whitespace() => {
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

/// The length of a text in single quotes.
fn single(bytes: &[u8], at: usize) -> Option<usize> {
    Some(bytes[at + 1..].iter().position(|b| *b == b'\'')? + 2)
}
