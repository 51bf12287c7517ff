// SPDX-License-Identifier: LGPL-2.1-or-later
//! Where something was written, and what is said of it.

use std::fmt;

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Location {
    /// The file, absolute as the user knows it (`/etc/vfio.conf`), whatever the root is.
    pub path: std::rc::Rc<str>,
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
    /// Worth knowing, changes no exit code.
    Note,
    /// Something was ignored; the rest works.
    Warning,
    /// A section (or the whole file) does not count.
    Error,
}

/// One finding about the configuration: a sentence, and where.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub at: Location,
    /// One sentence: what is wrong and what to do. No path in it: `at` has that.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

/// A value, and where it was written (the section's header where it is the default).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub at: Location,
}
