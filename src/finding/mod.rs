// SPDX-License-Identifier: LGPL-2.1-or-later
//! What a user is told: one sentence, its code, where it is, and what to do.
//!
//! A code never changes its meaning ([`codes`] explains each, docs/MESSAGES.md lists them, `vfio explain` prints them): tests
//! and programs compare codes, the sentence is for people.

pub mod codes;

use codes::Code;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;
use std::rc::Rc;

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Location {
    /// The file, absolute as the user knows it (`/etc/vfio.conf`), whatever the root is.
    pub path: Rc<str>,
    /// The line, from 1; 0 where the message is about the whole file.
    pub line: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}", self.path)
        } else {
            write!(f, "{}:{}", self.path, self.line)
        }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing, changes no exit code.
    Note,
    /// Something was ignored, or is not as it should be; the rest works.
    Warning,
    /// A section, a card or a guest does not count, or the next boot is not as configured.
    Error,
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Section {
    /// A file of the configuration, as the location says.
    Configuration,
    /// The `[gpu]` section of this name.
    Gpu(String),
    /// The `[guest]` section of this name.
    Guest(String),
    /// What `vfio doctor` has looked at.
    Part {
        /// The part of the machine.
        part: Part,
        /// What of it; the same in every version.
        id: &'static str,
    },
    /// What `vfio doctor` has found in logs.
    Logs(Box<Seen>),
}

/// A part of the machine that `vfio doctor` looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// How it boots.
    Boot,
    /// How cards are reset.
    Reset,
    /// Its displays.
    Display,
    /// Its cards, as they are and as they will be.
    Cards,
    /// Its guests.
    Guests,
    /// What guests need of the system, and what others have left on it.
    System,
    /// What its logs say.
    Logs,
}

/// What logs show of a trouble.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Seen {
    /// The address of the function that the lines name; `None` if they name none.
    pub function: Option<String>,
    /// The name of its `[gpu]` section.
    pub gpu: Option<String>,
    /// Whether it was in the boot before this one.
    pub before: bool,
    /// How many lines.
    pub count: u32,
    /// When the first was written, in seconds since 1970, if that is known.
    pub first: Option<i64>,
    /// And the last.
    pub last: Option<i64>,
    /// The last line, as it was written.
    pub line: String,
    /// Troubles that follow from this one and were seen with it.
    pub followed: Vec<Code>,
}

/// What a user is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which message it is.
    pub code: Code,
    /// What it is about.
    pub section: Section,
    /// The line of the configuration; `None` where that has no part in it.
    pub at: Option<Location>,
    /// One sentence: what is so. No path in it: `at` has that.
    pub text: String,
    /// What to do, if anything.
    pub hint: Option<Box<str>>,
}

impl Finding {
    /// An error about a section.
    pub fn about(section: Section, code: Code, text: impl Into<String>) -> Finding {
        Finding { severity: Severity::Error, code, section, at: None, text: text.into(), hint: None }
    }

    /// What was found when a part of the machine was looked at.
    pub fn check(part: Part, id: &'static str, severity: Severity, code: Code, text: impl Into<String>) -> Finding {
        Finding { severity, ..Finding::about(Section::Part { part, id }, code, text) }
    }

    /// What logs show.
    pub fn in_logs(seen: Seen, severity: Severity, code: Code, text: impl Into<String>) -> Finding {
        Finding { severity, ..Finding::about(Section::Logs(Box::new(seen)), code, text) }
    }

    /// The lines of logs that show it, if any do.
    pub fn seen(&self) -> Option<&Seen> {
        match &self.section {
            Section::Logs(seen) => Some(seen),
            _ => None,
        }
    }

    /// The same finding as one about a part of the machine.
    pub fn as_check(&self, part: Part, id: &'static str, severity: Severity) -> Finding {
        let bare = Finding { hint: None, ..self.clone() };
        Finding { hint: self.hint.clone(), ..Finding::check(part, id, severity, self.code, bare.to_string()) }
    }

    /// With what to do.
    pub fn hint(self, hint: impl Into<String>) -> Finding {
        Finding { hint: Some(hint.into().into_boxed_str()), ..self }
    }

    /// With the line that it is about.
    pub fn at(self, at: &Location) -> Finding {
        Finding { at: Some(at.clone()), ..self }
    }

    /// As a warning.
    pub fn warning(self) -> Finding {
        Finding { severity: Severity::Warning, ..self }
    }

    /// As a note.
    pub fn note(self) -> Finding {
        Finding { severity: Severity::Note, ..self }
    }

    /// The sentence with what to do, without the section and the location.
    pub fn sentence(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.text),
            None => self.text.clone(),
        }
    }

    /// As it is printed: with its code.
    pub fn line(&self) -> String {
        format!("{self} [{}]", self.code)
    }

    /// What [`Finding::line`] has printed, without the code: where it becomes a part of another that has one.
    pub fn without_code(line: &str) -> &str {
        match line.rsplit_once(" [") {
            Some((text, code)) if code.strip_suffix(']').is_some_and(codes::is_code) => text,
            _ => line,
        }
    }

    /// Whether it only says that the card is not there now: nothing is to be fixed.
    pub fn is_absent(&self) -> bool {
        self.code == codes::CARD_ABSENT
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        match &self.section {
            Section::Gpu(name) => write!(f, "[gpu {name}] ")?,
            Section::Guest(name) => write!(f, "[guest {name}] ")?,
            Section::Configuration | Section::Part { .. } | Section::Logs(_) => {}
        }
        f.write_str(&self.text)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Finding {
    /// docs/JSON.md has the fields.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("code", &self.code)?;
        let checked = match &self.section {
            Section::Part { part, id } => Some((*part, *id)),
            Section::Logs(_) => Some((Part::Logs, self.code.name())),
            _ => None,
        };
        if let Some((part, id)) = checked {
            map.serialize_entry("part", &part)?;
            map.serialize_entry("id", id)?;
            map.serialize_entry("level", &self.severity)?;
            map.serialize_entry("text", &self.text)?;
            map.serialize_entry("todo", &self.hint)?;
            if let Some(seen) = self.seen() {
                map.serialize_entry("seen", seen)?;
            }
            return map.end();
        }
        map.serialize_entry("severity", &self.severity)?;
        match &self.section {
            Section::Gpu(name) => map.serialize_entry("gpu", name)?,
            Section::Guest(name) => map.serialize_entry("guest", name)?,
            Section::Configuration | Section::Part { .. } | Section::Logs(_) => {}
        }
        map.serialize_entry("at", &self.at)?;
        map.serialize_entry("text", &self.sentence())?;
        map.serialize_entry("hint", &self.hint)?;
        if self.is_absent() {
            map.serialize_entry("absent", &true)?;
        }
        map.end()
    }
}
