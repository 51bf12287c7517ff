// SPDX-License-Identifier: LGPL-2.1-or-later
//! Bytes to lines with meaning: headers and settings, each with its line number.
//!
//! This is our own because the INI libraries do not say on which line a key stands, cut or join lines by rules of their
//! own, and take `:` for a separator, which every PCI address has. It borrows from the text and allocates nothing: it
//! runs once per PCI function during boot.

use crate::config::report::Said;
use crate::finding::codes::{self, Code};
use std::fmt::Display;
use std::io::BufRead;

/// The longest line, in bytes; a longer one is a broken file or an attack on our memory.
pub(super) const LINE_LIMIT: usize = 4096;

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// `[inner]`.
    Header(&'a str),
    /// `key = value`, both trimmed; the value may be empty, the key is not.
    Setting(&'a str, &'a str),
    /// It says nothing that can be read.
    Broken(Fault, &'a [u8]),
}

/// Why a line cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Longer than `LINE_LIMIT`.
    TooLong,
    /// A NUL or another control character.
    Control,
    /// Not UTF-8.
    NotUtf8,
    /// A `[` without the `]`.
    HeaderOpen,
    /// Something after the `]`.
    HeaderTail,
    /// No `=`, so not a setting.
    NoEquals,
    /// Nothing before the `=`.
    NoKey,
}

impl Fault {
    /// What is wrong and what to do.
    pub(super) fn said(self) -> Said<'static> {
        let (code, text, hint): (Code, &dyn Display, &dyn Display) = match self {
            Fault::TooLong => (codes::LINE_TOO_LONG, &"the line is longer than 4096 bytes", &"shorten it"),
            Fault::Control => {
                (codes::CONTROL_CHARACTER, &"the line holds a control character", &"remove it (is this a text file?)")
            }
            Fault::NotUtf8 => {
                (codes::LINE_NOT_UTF8, &"the line is not UTF-8", &"save the file as UTF-8 (is this a text file?)")
            }
            Fault::HeaderOpen => {
                (codes::UNCLOSED_HEADER, &"the ']' after the section's name is missing", &"write it as [gpu big]")
            }
            Fault::HeaderTail => {
                (codes::TEXT_AFTER_HEADER, &"there is text after the ']'", &"a comment must be on a line of its own")
            }
            Fault::NoEquals => (
                codes::NOT_A_SETTING,
                &"the line is neither a [section] nor 'key = value'",
                &"put a '#' before a comment",
            ),
            Fault::NoKey => (codes::NO_KEY, &"the key before the '=' is missing", &"write 'key = value'"),
        };
        Said::new(code, text).hint(hint)
    }
}

/// The lines of a file that are neither blank nor comments.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    number: u32,
}

impl<'a> Lines<'a> {
    /// Starts at the beginning; a UTF-8 byte order mark is passed over.
    pub(super) fn new(text: &'a [u8]) -> Self {
        Lines { rest: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text), number: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (u32, Line<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let whole = self.rest;
            // The standard library's search for a byte, without its own crate: the installed file is nearly all comments,
            // and a loop over their bytes was half of the reading. A slice has no errors to give.
            let length = self.rest.skip_until(b'\n').unwrap_or(whole.len());
            self.number += 1;
            let line = trim(whole[..length].strip_suffix(b"\n").unwrap_or(&whole[..length]));
            // Comments are not looked into: an umlaut of an old editor in one must not cost a card.
            if !matches!(line.first(), None | Some(b'#' | b';')) {
                return Some((self.number, read(line)));
            }
        }
        None
    }
}

/// Without the blanks around it, and without the carriage return of a file from Windows.
fn trim(line: &[u8]) -> &[u8] {
    let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r');
    let Some(start) = line.iter().position(|b| !blank(b)) else { return &[] };
    let end = line.iter().rposition(|b| !blank(b)).map_or(start, |last| last + 1);
    &line[start..end]
}

/// One trimmed line that is neither empty nor a comment.
fn read(line: &[u8]) -> Line<'_> {
    if line.len() > LINE_LIMIT {
        return Line::Broken(Fault::TooLong, line);
    }
    if line.iter().any(|b| (*b < b' ' && *b != b'\t') || *b == 0x7f) {
        return Line::Broken(Fault::Control, line);
    }
    let Ok(text) = std::str::from_utf8(line) else {
        return Line::Broken(Fault::NotUtf8, line);
    };
    if let Some(inner) = text.strip_prefix('[') {
        return match inner.strip_suffix(']') {
            Some(inner) => Line::Header(inner.trim()),
            None if inner.contains(']') => Line::Broken(Fault::HeaderTail, line),
            None => Line::Broken(Fault::HeaderOpen, line),
        };
    }
    match text.split_once('=') {
        None => Line::Broken(Fault::NoEquals, line),
        Some((key, value)) => match key.trim_end_matches([' ', '\t']) {
            "" => Line::Broken(Fault::NoKey, line),
            key => Line::Setting(key, value.trim_start_matches([' ', '\t'])),
        },
    }
}

/// What a broken header would have said: `gpu big` of `[gpu big] # mine`. None if the line is not a header or unreadable.
pub(super) fn broken_header(line: &[u8]) -> Option<&str> {
    let inner = std::str::from_utf8(line.get(..line.len().min(LINE_LIMIT))?).ok()?.strip_prefix('[')?;
    Some(inner.split(']').next().unwrap_or(inner).trim())
}

/// The word that a broken line begins with: its key, if it was to be a setting.
pub(super) fn first_word(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|b| *b <= b' ' || matches!(b, b'=' | b':')).unwrap_or(line.len());
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<(u32, Line<'_>)> {
        Lines::new(text).collect()
    }

    #[test]
    fn the_shapes_of_lines() {
        let text = b"\xef\xbb\xbf[host]\r\n\r\n  # note\n;note\n\tenable=no\t\r\n[ gpu  big ]\nrom = /a = b\nreset =";
        assert_eq!(
            all(text),
            [
                (1, Line::Header("host")),
                (5, Line::Setting("enable", "no")),
                (6, Line::Header("gpu  big")),
                (7, Line::Setting("rom", "/a = b")),
                (8, Line::Setting("reset", "")),
            ]
        );
        assert_eq!(all(b""), []);
        assert_eq!(all(b"\n \n\t\n"), []);
    }

    #[test]
    fn broken_lines() {
        let table: [(&[u8], Fault); 11] = [
            (b"a = \0", Fault::Control),
            (b"a = x\x1b[1m", Fault::Control),
            (b"a = x\rb = y", Fault::Control),
            (b"a\x7f = 1", Fault::Control),
            (b"a = \xff", Fault::NotUtf8),
            (b"[gpu \xff]", Fault::NotUtf8),
            (b"[gpu big", Fault::HeaderOpen),
            (b"[gpu big] # mine", Fault::HeaderTail),
            (b"device 0000:03:00.0", Fault::NoEquals),
            (b"= 1", Fault::NoKey),
            (b" \t= 1", Fault::NoKey),
        ];
        for (line, fault) in table {
            assert_eq!(all(line), [(1, Line::Broken(fault, trim(line)))]);
        }
        let comment = [b"#".as_slice(), &[0xff; 5000]].concat();
        assert_eq!(all(&comment), []);
    }

    #[test]
    fn a_line_may_have_4096_bytes() {
        let mut line = vec![b'x'; 4096 - 2];
        line.extend(b"=1");
        assert!(matches!(all(&line)[..], [(1, Line::Setting(_, "1"))]));
        line.push(b'1');
        assert!(matches!(all(&line)[..], [(1, Line::Broken(Fault::TooLong, _))]));
    }

    #[test]
    fn what_a_broken_line_was_to_be() {
        assert_eq!(broken_header(b"[gpu big] # mine"), Some("gpu big"));
        assert_eq!(broken_header(b"[gpu big"), Some("gpu big"));
        assert_eq!(broken_header(b"[gpu \xff]"), None);
        assert_eq!(broken_header(b"device"), None);
        assert_eq!(first_word(b"enable=\xff"), b"enable");
        assert_eq!(first_word(b"enable no"), b"enable");
        assert_eq!(first_word(b"enable"), b"enable");
    }
}
