// SPDX-License-Identifier: LGPL-2.1-or-later
//! A machine as a text: what `vfio report` ends with, what `--root` takes in the place of a directory, and what the machines
//! of `tests/hosts` are. `tests/hosts/README.md` has the format.

pub mod answers;
pub mod collect;
mod format;
pub mod image;
mod processes;
mod thin;
pub mod times;

pub use format::{parse, render, ParseError};

use std::collections::BTreeMap;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory, named although nothing is in it.
    Directory,
    /// A file: permissions and content.
    File(u32, Vec<u8>),
    /// A link, and what it says.
    Link(String),
}

/// Everything below a root, by path without a leading slash.
pub type Nodes = BTreeMap<String, Node>;

/// The line of a report after which the recording begins, and the one behind it.
pub const BEGIN: &str = "== recording";
/// The last line of a recording.
pub const END: &str = "== end of the recording";
/// What the system's programs answered, a file each: the words of the question, a line each, an empty line, how the program
/// ended, and what it printed.
pub const ANSWERS: &str = ".kernel/answers";
/// When files were changed last, a line each: seconds since 1970 with nanoseconds, and the path.
pub const TIMES: &str = ".kernel/times";
