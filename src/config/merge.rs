// SPDX-License-Identifier: LGPL-2.1-or-later
//! Lines to sections: which settings stand in which section, over all files. Nothing here knows what a value means.

use crate::config::keys::Kind;
use crate::config::name::check_name;
use crate::config::report::{clip, Report, Said, Spot};
use crate::config::scan::{broken_header, first_word, Fault, Line, Lines};
use crate::config::sections::gpu::BARS;
use crate::config::sections::guest::accumulates;
use crate::finding::{codes, Finding, Severity};
use crate::nearest::{did_you_mean, nearest};
use std::fmt;

/// More sections than any machine has slots; a bound, because they are searched one by one.
const MOST_SECTIONS: usize = 256;
/// More settings than a section can use, lines with the same key counted too; a bound, because each is compared with those
/// before it, once per function of the machine during boot.
const MOST_SETTINGS: u32 = 512;

/// One `key = value` that counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting<'a> {
    /// The key, one of its kind's.
    pub(super) key: &'a str,
    /// The value; empty asks for the default.
    pub(super) value: &'a str,
    /// Where it stands.
    pub(super) spot: Spot,
}

/// A section with all that counts in it, from all files.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// What it is about.
    pub(super) kind: Kind,
    /// Its name; empty for `[host]`.
    pub(super) name: &'a str,
    /// Its first header.
    pub(super) spot: Spot,
    /// Its header in the file that is being read, if it has stood there.
    latest: Spot,
    /// The settings; none twice, but for keys that accumulate.
    settings: Vec<Setting<'a>>,
    /// How many there were, those that do not count any more too.
    taken: u32,
    /// The first error in it; the section does not count then.
    pub(super) why: Option<Finding>,
}

impl<'a> Section<'a> {
    /// The setting, where it was written and its value is not empty.
    pub(super) fn get(&self, key: &str) -> Option<Setting<'a>> {
        self.all(key).next()
    }

    /// The same for a key that accumulates.
    pub(super) fn all<'s>(&'s self, key: &'s str) -> impl Iterator<Item = Setting<'a>> + 's {
        self.settings.iter().copied().filter(move |setting| setting.key == key && !setting.value.is_empty())
    }

    /// A guest's `GPU.barN`, all of them.
    pub(super) fn dotted(&self) -> Vec<Setting<'a>> {
        self.settings.iter().copied().filter(|setting| setting.key.contains('.') && !setting.value.is_empty()).collect()
    }

    /// Reports an error; a card or guest with one does not count.
    pub(super) fn fail(&mut self, report: &mut Report, spot: Spot, said: Said<'_>) {
        report.error(spot, said);
        if self.kind != Kind::Host && self.why.is_none() {
            self.why = Some(report.make(Severity::Error, spot, said));
        }
    }

    /// Takes a setting in, unless there are too many. A later one replaces an earlier one; an accumulating one only that of
    /// earlier files.
    fn set(&mut self, report: &mut Report, new: Setting<'a>) -> bool {
        self.taken += 1;
        if self.taken > MOST_SETTINGS {
            if self.taken == MOST_SETTINGS + 1 {
                let message =
                    format!("the section has more than {MOST_SETTINGS} settings; those from here on are ignored");
                self.fail(report, new.spot, Said::new(codes::TOO_MANY_SETTINGS, &message));
            }
            return false;
        }
        self.replace(report, new);
        true
    }

    fn replace(&mut self, report: &mut Report, new: Setting<'a>) {
        let earlier = self.settings.iter().position(|old| old.key == new.key);
        let Some(earlier) = earlier else { return self.settings.push(new) };
        let old = self.settings[earlier];
        let same_file = old.spot.file == new.spot.file;
        if accumulates(new.key) {
            if same_file && !new.value.is_empty() {
                return self.settings.push(new);
            }
            self.settings.retain(|setting| setting.key != new.key);
            return self.settings.push(new);
        }
        if same_file {
            let line = old.spot.line;
            let key = new.key;
            report.warning(
                new.spot,
                Said::new(codes::KEY_TWICE, &format_args!("'{key}' is already set on line {line}; this one counts")),
            );
        }
        self.settings[earlier] = new;
    }
}

/// Where in the file the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first header.
    Outside,
    /// In a section that does not count and cannot be named.
    Nowhere,
    /// In the section of this number.
    In(usize),
}

/// Everything that stands in the files.
#[derive(Debug, Default)]
pub(super) struct Sections<'a> {
    /// In the order in which they first appear.
    pub(super) list: Vec<Section<'a>>,
    /// A line of `[host]` that began with `enable` could not be read: nobody knows whether it said no.
    pub(super) enable_unclear: Option<Spot>,
}

impl<'a> Sections<'a> {
    /// Reads one file on top of the earlier ones.
    pub(super) fn read(&mut self, report: &mut Report, file: u32, text: &'a [u8]) {
        let mut place = Place::Outside;
        let mut rest_of_line = 0; // the line that an ill-continued one runs on to
        for (line, content) in Lines::new(text) {
            let spot = Spot { file, line };
            match content {
                Line::Header(inner) => place = self.header(report, spot, inner),
                Line::Broken(fault, raw) if raw.starts_with(b"[") => {
                    report.error(spot, fault.said());
                    place = self.broken_header(report, spot, fault, raw);
                }
                // The rest of a line that was to be continued: the one error about it is enough.
                // Not in [host], where every line counts by itself.
                _ if rest_of_line == line && !self.is_host(place) => {
                    if ends_open(&content) {
                        rest_of_line = line + 1;
                    }
                }
                Line::Broken(fault, raw) => self.broken(report, spot, place, fault, raw),
                Line::Setting(key, value) => {
                    if self.setting(report, spot, place, key, value) {
                        rest_of_line = line + 1;
                    }
                }
            }
        }
    }

    fn is_host(&self, place: Place) -> bool {
        matches!(place, Place::In(number) if self.list[number].kind == Kind::Host)
    }

    /// A header: finds or makes its section.
    fn header(&mut self, report: &mut Report, spot: Spot, inner: &'a str) -> Place {
        let (word, name) = inner.split_once([' ', '\t']).unwrap_or((inner, ""));
        let name = name.trim();
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.word() == word) else {
            let shown = if name.is_empty() { "NAME".into() } else { clip(name) };
            let hint = match nearest(word, Kind::ALL.iter().map(|kind| kind.word())) {
                Some("host") => "did you mean [host]?".to_owned(),
                Some(near) => format!("did you mean [{near} {shown}]?"),
                None => "the sections are [host], [gpu NAME] and [guest NAME]".to_owned(),
            };
            let inner = clip(inner);
            report.warning(
                spot,
                Said::new(codes::UNKNOWN_SECTION, &format_args!("unknown section [{inner}], ignored")).hint(&hint),
            );
            return Place::Nowhere;
        };
        if kind == Kind::Host {
            if !name.is_empty() {
                let name = clip(name);
                report.warning(
                    spot,
                    Said::new(codes::HOST_WITH_NAME, &format_args!("[host] takes no name; '{name}' is ignored")),
                );
            }
            return self.enter(report, spot, kind, "").map_or(Place::Nowhere, Place::In);
        }
        if name.is_empty() {
            let word = kind.word();
            report.error(
                spot,
                Said::new(codes::SECTION_WITHOUT_NAME, &format_args!("a [{word}] section needs a name of your choice"))
                    .hint(&format_args!("write [{word} NAME]")),
            );
            return Place::Nowhere;
        }
        let Some(number) = self.enter(report, spot, kind, name) else { return Place::Nowhere };
        let section = &mut self.list[number];
        let latest = std::mem::replace(&mut section.latest, spot);
        if latest.file == spot.file && latest.line != spot.line {
            let (word, line, name) = (kind.word(), latest.line, clip(name));
            let text = format!("[{word} {name}] already begins on line {line}");
            section.fail(report, spot, Said::new(codes::SECTION_TWICE, &text).hint(&"merge the two or rename one"));
            return Place::Nowhere;
        }
        if section.spot == spot {
            if let Err(bad) = check_name(name) {
                let text = format!("'{}' cannot be a section's name{}", clip(name), bad.why());
                section.fail(report, spot, Said::new(codes::SECTION_NAME, &text).hint(&bad.hint()));
            }
        }
        Place::In(number)
    }

    /// The number of a section, new or not; None if there are too many.
    fn enter(&mut self, report: &mut Report, spot: Spot, kind: Kind, name: &'a str) -> Option<usize> {
        let known = self.list.iter().position(|section| section.kind == kind && section.name == name);
        if known.is_some() {
            return known;
        }
        if self.list.len() == MOST_SECTIONS {
            let word = kind.word();
            report.error(
                spot,
                Said::new(
                    codes::TOO_MANY_SECTIONS,
                    &format_args!("this [{word}] is ignored: there are more than {MOST_SECTIONS} sections"),
                ),
            );
            return None;
        }
        self.list.push(Section { kind, name, spot, latest: spot, settings: Vec::new(), taken: 0, why: None });
        Some(self.list.len() - 1)
    }

    /// A header that cannot be read: the section that it probably meant is disabled, and what follows belongs to none.
    fn broken_header(&mut self, report: &mut Report, spot: Spot, fault: Fault, raw: &'a [u8]) -> Place {
        let inner = broken_header(raw).unwrap_or_default();
        let (word, name) = inner.split_once([' ', '\t']).unwrap_or((inner, ""));
        let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word);
        let named = kind.filter(|kind| *kind != Kind::Host && !name.trim().is_empty());
        if let Some(number) = named.and_then(|kind| self.enter(report, spot, kind, name.trim())) {
            let section = &mut self.list[number];
            if section.why.is_none() {
                section.why = Some(report.make(Severity::Error, spot, fault.said()));
            }
        }
        Place::Nowhere
    }

    /// A line that cannot be read: an error, and its section does not count.
    fn broken(&mut self, report: &mut Report, spot: Spot, place: Place, fault: Fault, raw: &[u8]) {
        match place {
            Place::Nowhere => {}
            Place::Outside => report.error(spot, fault.said()),
            Place::In(number) => {
                let section = &mut self.list[number];
                section.fail(report, spot, fault.said());
                if section.kind == Kind::Host && first_word(raw) == b"enable" {
                    self.enable_unclear = Some(spot);
                }
            }
        }
    }

    /// A setting; the answer is whether the next line was to be its continuation.
    fn setting(&mut self, report: &mut Report, spot: Spot, place: Place, key: &'a str, value: &'a str) -> bool {
        let number = match place {
            Place::In(number) => number,
            Place::Nowhere => return false,
            Place::Outside => {
                let hint = match Kind::ALL.into_iter().find(|kind| kind.key(key).is_some()) {
                    Some(Kind::Host) => "put [host] on a line before it".to_owned(),
                    Some(kind) => format!("put [{} NAME] on a line before it", kind.word()),
                    None => "a setting needs a [section] line before it".to_owned(),
                };
                let key = clip(key);
                report.error(
                    spot,
                    Said::new(
                        codes::SETTING_OUTSIDE_SECTION,
                        &format_args!("'{key}' is not in a section and is ignored"),
                    )
                    .hint(&hint),
                );
                return false;
            }
        };
        let section = &mut self.list[number];
        let Some(key) = section.kind.key(key) else {
            unknown_key(report, spot, section.kind, key);
            return false;
        };
        if ends_odd(value) {
            let text = format!("'{key}' ends in a backslash, but lines cannot be continued");
            section.fail(report, spot, Said::new(codes::CONTINUED_LINE, &text).hint(&"write it on one line"));
            if section.kind == Kind::Host && key == "enable" {
                self.enable_unclear = Some(spot);
            }
            return true;
        }
        let taken = section.set(report, Setting { key, value, spot });
        if !taken && section.kind == Kind::Host && key == "enable" {
            self.enable_unclear = Some(spot);
        }
        false
    }
}

/// Whether an odd number of backslashes is at the end: the last one is not itself quoted.
fn ends_odd(value: &str) -> bool {
    value.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

fn ends_open(line: &Line<'_>) -> bool {
    match line {
        Line::Setting(_, value) => ends_odd(value),
        Line::Broken(_, raw) => raw.ends_with(b"\\"),
        Line::Header(_) => false,
    }
}

/// Says that the section does not have this key.
fn unknown_key(report: &mut Report, spot: Spot, kind: Kind, key: &str) {
    if let Some(other) = Kind::ALL.into_iter().find(|other| other.key(key).is_some()) {
        let name = if other == Kind::Host { "" } else { " NAME" };
        let word = other.word();
        return report.warning(
            spot,
            Said::new(codes::KEY_OF_OTHER_SECTION, &format_args!("'{key}' belongs to [{word}{name}], ignored")),
        );
    }
    let key = UnknownKey(kind, key);
    report.warning(spot, Said::new(codes::UNKNOWN_KEY, &key).hint(&KeyHint(&key)));
}

/// A key that no section has: the sentence, made only where it is said.
struct UnknownKey<'k>(Kind, &'k str);

impl fmt::Display for UnknownKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown key '{}', ignored", clip(self.1))
    }
}

/// What it was probably meant to be: to search all keys for it takes the longest.
struct KeyHint<'k>(&'k UnknownKey<'k>);

impl fmt::Display for KeyHint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnknownKey(kind, key) = *self.0;
        let is_number = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
        if kind == Kind::Gpu && key.strip_prefix("bar").is_some_and(is_number) {
            return f.write_str("a function has bar0 to bar5");
        }
        if let Some((gpu, bar)) = key.rsplit_once('.').filter(|(gpu, _)| kind == Kind::Guest && !gpu.is_empty()) {
            return match nearest(bar, BARS) {
                Some(near) => write!(f, "did you mean '{}.{near}'?", clip(gpu)),
                None => f.write_str("the size of a BAR for this guest is GPU.bar0 to GPU.bar5"),
            };
        }
        f.write_str(&did_you_mean(key, kind.keys()).unwrap_or_default())
    }
}

#[cfg(test)]
#[path = "sections_tests.rs"]
mod tests;
