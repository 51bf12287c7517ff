// SPDX-License-Identifier: LGPL-2.1-or-later
//! Collects what there is to say about the files: in file order, printable, and never more than a screenful for one file.

use crate::finding::codes::{self, Code};
use crate::finding::{Finding, Location, Section, Severity};
use crate::text::line;
use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

/// So many messages about one file are kept; the rest is counted. A binary file would give thousands.
const PER_FILE: u32 = 20;

/// A place, as a number for the file and a line; small, because every setting has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    /// The number that `Report::file` gave.
    pub(super) file: u32,
    /// The line, from 1; 0 for the whole file.
    pub(super) line: u32,
}

/// What there is to say, not yet made into text: a broken file can cause thousands of messages, and few of them are kept.
#[derive(Clone, Copy)]
pub(super) struct Said<'m> {
    code: Code,
    text: &'m dyn fmt::Display,
    hint: &'m dyn fmt::Display,
}

impl<'m> Said<'m> {
    /// What is so.
    pub(super) fn new(code: Code, text: &'m dyn fmt::Display) -> Said<'m> {
        Said { code, text, hint: &"" }
    }

    /// With what to do; one that turns out to be empty is none.
    pub(super) fn hint(self, hint: &'m dyn fmt::Display) -> Said<'m> {
        Said { hint, ..self }
    }
}

/// All files that were looked at, and everything said about them.
#[derive(Debug, Default)]
pub(super) struct Report {
    files: Vec<File>,
    list: Vec<(Spot, Finding)>,
}

#[derive(Debug)]
struct File {
    path: Rc<str>,
    kept: u32,
    more: u32,
    worst_of_more: Severity,
}

impl Report {
    /// Makes a file known, in the order of reading.
    pub(super) fn file(&mut self, path: &str) -> u32 {
        self.files.push(File { path: path.into(), kept: 0, more: 0, worst_of_more: Severity::Note });
        (self.files.len() - 1) as u32 // each file is at least a name in memory: fewer than 2^32
    }

    /// The place as the user knows it.
    pub(super) fn location(&self, spot: Spot) -> Location {
        Location { path: self.files[spot.file as usize].path.clone(), line: spot.line }
    }

    /// Another place, named from this one: `line 3`, or with the path if it is in another file.
    pub(super) fn seen_from(&self, here: Spot, there: Spot) -> String {
        if here.file == there.file {
            format!("line {}", there.line)
        } else {
            self.location(there).to_string()
        }
    }

    /// A finding, not yet kept.
    pub(super) fn make(&self, severity: Severity, spot: Spot, said: Said<'_>) -> Finding {
        // A no-break space that came with a copied line can be seen then.
        let shown = |part: &dyn fmt::Display| line(&part.to_string()).into_owned();
        let hint = Some(shown(said.hint)).filter(|hint| !hint.is_empty());
        let finding = Finding::about(Section::Configuration, said.code, shown(said.text)).at(&self.location(spot));
        Finding { severity, hint: hint.map(String::into_boxed_str), ..finding }
    }

    /// Keeps a finding, or only counts it where there are too many. The text is not even made then.
    pub(super) fn add(&mut self, severity: Severity, spot: Spot, said: Said<'_>) {
        let file = &mut self.files[spot.file as usize];
        if file.kept == PER_FILE {
            file.more += 1;
            file.worst_of_more = file.worst_of_more.max(severity);
            return;
        }
        file.kept += 1;
        let finding = self.make(severity, spot, said);
        self.list.push((spot, finding));
    }

    /// An error.
    pub(super) fn error(&mut self, spot: Spot, said: Said<'_>) {
        self.add(Severity::Error, spot, said);
    }

    /// A warning.
    pub(super) fn warning(&mut self, spot: Spot, said: Said<'_>) {
        self.add(Severity::Warning, spot, said);
    }

    /// Everything, by file and line.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        for number in 0..self.files.len() as u32 {
            let file = &self.files[number as usize];
            if file.more > 0 {
                let message = format!("and {} more messages about this file", file.more);
                let said = Said::new(codes::MORE_MESSAGES, &message);
                let finding = self.make(file.worst_of_more, Spot { file: number, line: 0 }, said);
                self.list.push((Spot { file: number, line: u32::MAX }, finding));
            }
        }
        let mut ordered: Vec<(Spot, Finding)> = Vec::with_capacity(self.list.len());
        // Put in place one by one, mostly at the end: a sort is 5 KB in each program of the boot. A file has a limit of them.
        for (spot, finding) in self.list {
            let at = ordered.partition_point(|(other, _)| (other.file, other.line) <= (spot.file, spot.line));
            ordered.insert(at, (spot, finding));
        }
        ordered.into_iter().map(|(_, finding)| finding).collect()
    }
}

/// A value for a message, in quotes by the caller: cut where it is long.
pub(super) fn clip(value: &str) -> Cow<'_, str> {
    const LONGEST: usize = 60;
    if value.len() <= LONGEST {
        return value.into();
    }
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &value[..end]).into(),
        None => value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted() {
        let mut report = Report::default();
        let (one, two) = (report.file("/one"), report.file("/two"));
        for line in (1..=1000).rev() {
            report.warning(Spot { file: two, line }, Said::new(codes::UNKNOWN_KEY, &format_args!("w{line}")));
        }
        report.error(Spot { file: two, line: 1 }, Said::new(codes::WRONG_VALUE, &"e"));
        report.error(Spot { file: one, line: 7 }, Said::new(codes::WRONG_VALUE, &"e").hint(&"h"));
        let all = report.finish();
        assert_eq!(all.len(), 22);
        assert_eq!(all[0].to_string(), "/one:7: e; h");
        assert_eq!(all[1].to_string(), "/two:981: w981");
        assert_eq!(all[21].to_string(), "/two: and 981 more messages about this file");
        assert_eq!((all[21].code, all[21].severity), (codes::MORE_MESSAGES, Severity::Error));
        assert_eq!((all[0].hint.as_deref(), all[1].hint.as_deref()), (Some("h"), None));
    }

    /// What is only counted must not cost the time to make its text.
    #[test]
    fn a_text_is_made_only_where_it_is_kept() {
        struct Counted<'c>(&'c std::cell::Cell<u32>);
        impl fmt::Display for Counted<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.set(self.0.get() + 1);
                f.write_str("x")
            }
        }
        let (text, hint) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
        let mut report = Report::default();
        let file = report.file("/one");
        for line in 1..=1000 {
            report.error(Spot { file, line }, Said::new(codes::WRONG_VALUE, &Counted(&text)).hint(&Counted(&hint)));
        }
        assert_eq!((text.get(), hint.get()), (PER_FILE, PER_FILE));
    }

    #[test]
    fn nothing_invisible_in_a_message() {
        let mut report = Report::default();
        let file = report.file("/one");
        let message = "'a\u{a0}b' \u{1b}[31m \u{202e} größe";
        report.error(Spot { file, line: 1 }, Said::new(codes::WRONG_VALUE, &message).hint(&"\u{a0}"));
        let all = report.finish();
        assert_eq!(all[0].text, "'a\\u{a0}b' \\u{1b}[31m \\u{202e} größe");
        assert_eq!(all[0].hint.as_deref(), Some("\\u{a0}"));
        assert_eq!(clip(&"ä".repeat(61)), format!("{}...", "ä".repeat(60)));
        assert_eq!(clip("short"), "short");
    }
}
