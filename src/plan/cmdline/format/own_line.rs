// SPDX-License-Identifier: LGPL-2.1-or-later
//! A command line that takes whole lines of its file, and may have to be made where there is none.
//!
//! An undo needs a raw text that is the same function of the file before and after. So it begins with the last
//! character before the line and the line end between them, and ends with the line's own line end: where a line was put
//! after a last line that had no line end, both that line end and the line go again.

/// Where the raw text begins, for a line that begins, or would be put in, at `at`.
pub fn begin(text: &str, at: usize) -> usize {
    let before = &text[..at];
    let line = before.strip_suffix('\n').unwrap_or(before);
    let line = line.strip_suffix('\r').unwrap_or(line);
    line.char_indices().next_back().map_or(line.len(), |(last, _)| last)
}

/// Where the raw text ends, for what ends at `at`: behind the line end, if nothing but blanks is before it.
pub fn end(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    let bare = rest.trim_start_matches([' ', '\t']);
    let line_end = match bare {
        _ if bare.starts_with("\r\n") => 2,
        _ if bare.starts_with('\n') => 1,
        _ => return at,
    };
    at + (rest.len() - bare.len()) + line_end
}

/// Where the line begins in which `at` is.
pub fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Splits a raw text into what is of the line before, and the rest.
pub fn split(raw: &str) -> (&str, &str) {
    let first = raw.chars().next().map_or(0, char::len_utf8);
    let (before, rest) = raw.split_at(first);
    if let Some(rest) = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')) {
        return raw.split_at(raw.len() - rest.len());
    }
    match before {
        "\n" => (before, rest),
        _ => ("", raw),
    }
}

/// Whether a raw text is one of a place where no line is yet.
pub fn is_missing(raw: &str) -> bool {
    split(raw).1.trim_end_matches('\r').chars().nth(1).is_none()
}

/// The raw text of a line that is put in where none was.
pub fn made(raw: &str, line: &str) -> String {
    let line_end = if raw.contains("\r\n") || raw.ends_with('\r') { "\r\n" } else { "\n" };
    let first = if raw.is_empty() || raw.ends_with('\n') { "" } else { "\n" };
    format!("{raw}{first}{line}{line_end}")
}

/// The number of the line in which `at` is, from 1.
pub fn number(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The numbers of many lines of a text, which is counted once.
pub struct Numbers(Vec<usize>);

impl Numbers {
    /// Counts.
    pub fn of(text: &str) -> Numbers {
        Numbers(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The number of the line in which `at` is, from 1.
    pub fn number(&self, at: usize) -> usize {
        self.0.partition_point(|newline| *newline < at) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made where a line is missing is found again as the same raw text.
    #[test]
    fn a_line_that_was_made_is_found_whole() {
        for text in [
            "",
            "\n",
            "\r\n",
            "a",
            "a\n",
            "a\r\n",
            "a\n\n",
            "a\r\n\r\n",
            "a=\"\u{e4}",
            "a\r",
            "\r",
            "a\u{e4}\n",
            " ",
            "\r\r\n",
        ] {
            let raw = &text[begin(text, text.len())..];
            assert!(is_missing(raw), "{text:?}");
            let new = format!("{}{}", &text[..text.len() - raw.len()], made(raw, "NAME=x"));
            let at = new.find("NAME").unwrap_or_default();
            assert_eq!(line_start(&new, at), at, "{text:?}");
            let found = &new[begin(&new, at)..end(&new, at + "NAME=x".len())];
            assert_eq!(found, made(raw, "NAME=x"), "{text:?}");
            assert!(split(found).1.starts_with("NAME=x"), "{text:?}: {found:?}");
            assert!(!is_missing(found), "{text:?}");
            assert!(new.starts_with(text) && new.ends_with('\n'), "{text:?}");
        }
    }
}
