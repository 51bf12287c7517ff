// SPDX-License-Identifier: LGPL-2.1-or-later
//! Which rule knows a line.
//!
//! One pass over a log looks for the longest piece of every pattern at once; only lines that have one are looked at, so that
//! the time is that of reading the log once, whatever the number of rules is.

use super::parse::{addresses, audit_line, domain_line, journal_line, Line};
use super::pattern::{anchor, fits};
use crate::finding::codes::logs::{LogSource, Rule, RULES};
use crate::pci::Address;
use aho_corasick::AhoCorasick;

/// Of a longer line no more is looked at, in bytes: a rule fits in its first part or not at all.
const LONGEST: usize = 4096;

/// In which form lines of a log are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogForm {
    /// journalctl(1), `--output=short-unix --no-hostname`.
    Journal,
    /// A domain's log, of its last start.
    Domain,
    /// audit.log.
    Audit,
}

impl LogForm {
    fn line(self, line: &str) -> Line<'_> {
        match self {
            LogForm::Journal => journal_line(line),
            LogForm::Domain => domain_line(line),
            LogForm::Audit => audit_line(line),
        }
    }
}

/// A log that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The form of its lines.
    pub form: LogForm,
    /// Whether it is of the boot before this one.
    pub before: bool,
    /// The guest whose log it is, by the name of its section; `None` if it is of all.
    pub guest: Option<String>,
    /// When this boot began, in seconds since 1970, where a log goes back further than a boot; `None` where it does not.
    pub since: Option<i64>,
    /// The lines.
    pub text: String,
}

/// A line that a rule knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The place of the rule among all: of two rules the smaller one counts.
    pub rank: usize,
    /// When it was written, in seconds since 1970, if that is known.
    pub time: Option<i64>,
    /// Whether it is of the boot before this one.
    pub before: bool,
    /// The functions that it names.
    pub functions: Vec<Address>,
    /// The line, without its time and its writer.
    pub line: String,
}

/// What is looked for.
#[derive(Debug)]
pub struct Patterns {
    all: Vec<(usize, &'static Rule, &'static str)>,
    /// Finds anchors; each has the patterns that it is of.
    finder: AhoCorasick,
    of_anchor: Vec<Vec<usize>>,
}

impl Patterns {
    /// All rules. `None` cannot be, but of a table that is too large.
    pub fn of_all_rules() -> Option<Patterns> {
        let rules = RULES.iter().flat_map(|rules| rules.iter()).enumerate();
        let all: Vec<(usize, &'static Rule, &'static str)> =
            rules.flat_map(|(rank, rule)| rule.patterns.iter().map(move |pattern| (rank, rule, *pattern))).collect();
        let mut anchors: Vec<&str> = Vec::new();
        let mut of_anchor: Vec<Vec<usize>> = Vec::new();
        for (number, (_, _, pattern)) in all.iter().enumerate() {
            let anchor = anchor(pattern);
            match anchors.iter().position(|known| *known == anchor) {
                Some(at) => of_anchor[at].push(number),
                None => {
                    anchors.push(anchor);
                    of_anchor.push(vec![number]);
                }
            }
        }
        let finder = AhoCorasick::new(&anchors).ok()?;
        Some(Patterns { all, finder, of_anchor })
    }

    /// The rule that knows a line of any log, as a person has copied it.
    pub fn explain(&self, line: &str) -> Option<&'static Rule> {
        self.known(beginning(line), None).map(|(_, rule, _)| rule)
    }

    /// All lines of a log that a rule knows.
    pub fn hits(&self, of: &Log) -> Vec<Hit> {
        let hit = |raw: &str| {
            let line = of.form.line(beginning(raw));
            let earlier = line.time.zip(of.since).is_some_and(|(time, since)| time < since);
            // Files of audit go back for weeks; of a guest the last start counts, whenever that was.
            if of.form == LogForm::Audit && earlier {
                return None;
            }
            self.hit(line, of.before || earlier)
        };
        self.candidates(&of.text).into_iter().filter_map(hit).collect()
    }

    /// The same lines as they are in the log, each with the pattern that it has.
    pub fn known_lines<'t>(&self, form: LogForm, text: &'t str) -> Vec<(&'t str, &'static str)> {
        let known = |raw: &'t str| {
            let line = form.line(beginning(raw));
            let (_, _, pattern) = self.known(line.text, Some(line.source))?;
            Some((raw, pattern))
        };
        self.candidates(text).into_iter().filter_map(known).collect()
    }

    /// Lines that have the longest piece of a pattern.
    fn candidates<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let (mut lines, mut done) = (Vec::new(), 0);
        for found in self.finder.find_overlapping_iter(text) {
            // Ends of lines are one byte in UTF-8, and so is where a line begins.
            if found.start() < done {
                continue;
            }
            let start = text[..found.start()].rfind('\n').map_or(0, |at| at + 1);
            let end = text[found.end()..].find('\n').map_or(text.len(), |at| found.end() + at);
            done = end;
            lines.push(&text[start..end]);
        }
        lines
    }

    fn hit(&self, line: Line<'_>, before: bool) -> Option<Hit> {
        let (rank, ..) = self.known(line.text, Some(line.source))?;
        let functions = addresses(line.text);
        Some(Hit { rank, time: line.time, before, functions, line: line.text.trim().to_owned() })
    }

    /// The most specific rule that knows a line of this source.
    fn known(&self, line: &str, source: Option<LogSource>) -> Option<(usize, &'static Rule, &'static str)> {
        let anchors = self.finder.find_overlapping_iter(line).map(|found| found.pattern().as_usize());
        let numbers = anchors.flat_map(|anchor| self.of_anchor[anchor].iter());
        let patterns = numbers.map(|number| self.all[*number]);
        let known = patterns.filter(|(_, rule, pattern)| {
            source.is_none_or(|source| may_say(source, rule.source)) && fits(pattern, line)
        });
        known.min_by_key(|(rank, ..)| *rank)
    }
}

/// The part of a line that is looked at.
fn beginning(line: &str) -> &str {
    let end = (0..=line.len().min(LONGEST)).rev().find(|end| line.is_char_boundary(*end));
    &line[..end.unwrap_or(0)]
}

/// Whether lines of a source may be of a rule for another: libvirt and our units quote QEMU and the hook, and without auditd
/// the kernel's log has its audit messages.
fn may_say(writer: LogSource, of: LogSource) -> bool {
    writer == of
        || matches!(
            (writer, of),
            (LogSource::Libvirt, LogSource::Qemu)
                | (LogSource::Qemu, LogSource::Libvirt)
                | (LogSource::Kernel, LogSource::Audit)
        )
}

/// A rule by its place.
pub fn rule(rank: usize) -> Option<&'static Rule> {
    RULES.iter().flat_map(|rules| rules.iter()).nth(rank)
}
