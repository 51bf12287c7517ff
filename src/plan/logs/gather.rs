// SPDX-License-Identifier: LGPL-2.1-or-later
//! From the lines that rules know to findings: one of each rule and function, what follows from another trouble with that.

use super::cards::LoggedCards;
use super::parse::shown;
use super::search::{rule, Hit};
use crate::finding::codes::logs::{explanation, Rule};
use crate::finding::codes::Code;
use crate::finding::{Finding, Seen, Severity};
use crate::pci::Address;
use std::collections::BTreeMap;

/// What follows from a trouble comes this soon after it, or before, in seconds.
const TOGETHER: i64 = 60;

/// What was found of one rule and one function in one boot.
struct Group<'h> {
    rule: &'static Rule,
    function: Option<Address>,
    gpu: Option<&'h str>,
    before: bool,
    count: u32,
    first: Option<i64>,
    last: Option<i64>,
    line: &'h str,
}

/// The findings of all hits, the most specific rules first. In the boot before this one `failed_before` tells whether a guest
/// failed to start: without that its troubles are worth a note at most.
pub fn findings(hits: &[Hit], cards: &LoggedCards, failed_before: bool) -> Vec<Finding> {
    let groups = groups(hits, cards);
    let mut followed: Vec<Vec<Code>> = vec![Vec::new(); groups.len()];
    let mut told = vec![true; groups.len()];
    for (at, group) in groups.iter().enumerate() {
        if let Some(cause) = groups.iter().position(|cause| is_cause(cause, group)) {
            followed[cause].push(group.rule.code);
            told[at] = false;
        }
    }
    let all = groups.iter().zip(followed).zip(told).filter(|(_, told)| *told);
    all.map(|((group, followed), _)| group.finding(followed, failed_before)).collect()
}

/// Whether a boot's journal says that the unit of a guest has failed (systemd, `src/core/unit.c`, `unit_log_failure`).
pub fn guest_failed(journal: &str) -> bool {
    journal.lines().any(|line| line.contains("vfio-guest@") && line.contains(": Failed with result "))
}

fn groups<'h>(hits: &'h [Hit], cards: &'h LoggedCards) -> Vec<Group<'h>> {
    let mut groups: BTreeMap<(bool, usize, Option<Address>), Group<'h>> = BTreeMap::new();
    for hit in hits {
        let Some(rule) = rule(hit.rank).filter(|rule| rule.severity != Severity::Ok) else { continue };
        let concerned = match (hit.functions.as_slice(), cards.concerned(&hit.functions)) {
            ([], _) => None,
            (_, None) => continue,
            (_, concerned) => concerned,
        };
        let function = concerned.map(|(function, _)| function);
        let group = groups.entry((hit.before, hit.rank, function)).or_insert(Group {
            rule,
            function,
            gpu: concerned.map(|(_, gpu)| gpu),
            before: hit.before,
            count: 0,
            first: hit.time,
            last: hit.time,
            line: &hit.line,
        });
        group.count = group.count.saturating_add(1);
        group.first = group.first.min(hit.time).or(group.first).or(hit.time);
        if hit.time >= group.last {
            (group.last, group.line) = (hit.time, &hit.line);
        }
    }
    // What this boot shows as well is said of this boot.
    let now: Vec<(usize, Option<Address>)> =
        groups.keys().filter(|(before, ..)| !before).map(|(_, rank, function)| (*rank, *function)).collect();
    groups.retain(|(before, rank, function), _| !before || !now.contains(&(*rank, *function)));
    groups.into_values().collect()
}

/// Whether a trouble brings another one with it: by its rule, about the same time and the same card.
fn is_cause(cause: &Group<'_>, group: &Group<'_>) -> bool {
    let near = |one: Option<i64>, other: Option<i64>| match (one, other) {
        (Some(one), Some(other)) => one.saturating_sub(other) <= TOGETHER,
        _ => true,
    };
    let same = |one: Option<&str>, other: Option<&str>| one.is_none() || other.is_none() || one == other;
    group.rule.follows.contains(&cause.rule.code)
        && cause.before == group.before
        && same(cause.gpu, group.gpu)
        && near(group.first, cause.last)
        && near(cause.first, group.last)
}

impl Group<'_> {
    fn finding(&self, followed: Vec<Code>, failed_before: bool) -> Finding {
        let code = self.rule.code;
        let severity = match self.rule.severity {
            _ if self.before && !failed_before => Severity::Note,
            _ if self.count < self.rule.many => Severity::Note,
            severity => severity,
        };
        let explained = explanation(code);
        let (means, todo) = explained.map_or((code.name(), ""), |of| (of.means, of.todo));
        let of = match (self.gpu, self.function) {
            (Some(gpu), Some(function)) => format!("[gpu {gpu}] {function}: "),
            _ => String::new(),
        };
        let mut said = vec![if self.count == 1 { "a line".to_owned() } else { format!("{} lines", self.count) }];
        said.extend(self.before.then(|| "in the boot before this one".to_owned()));
        said.extend(
            self.last.map(|last| format!("{} {}", if self.count == 1 { "at" } else { "the last at" }, shown(last))),
        );
        said.extend(
            (!followed.is_empty())
                .then(|| format!("with {}", followed.iter().map(|code| code.name()).collect::<Vec<_>>().join(", "))),
        );
        let text = format!("{of}{} ({})", as_clause(means), said.join(", "));
        let seen = Seen {
            function: self.function.map(|function| function.to_string()),
            gpu: self.gpu.map(str::to_owned),
            before: self.before,
            count: self.count,
            first: self.first,
            last: self.last,
            line: self.line.to_owned(),
            followed,
        };
        Finding::in_logs(seen, severity, code, text).hint(as_clause(todo))
    }
}

/// An explanation within a message: without the point at its end, and, but for names, in small letters.
fn as_clause(sentence: &str) -> String {
    let sentence = sentence.strip_suffix('.').unwrap_or(sentence);
    let mut chars = sentence.chars();
    match (chars.next(), chars.next()) {
        (Some(first), second) if !second.is_some_and(char::is_uppercase) && !is_name(sentence) => {
            first.to_lowercase().chain(sentence.chars().skip(1)).collect()
        }
        _ => sentence.to_owned(),
    }
}

/// Whether a sentence begins with a name.
fn is_name(sentence: &str) -> bool {
    ["Windows", "Intel"].iter().any(|name| sentence.starts_with(name))
}
