// SPDX-License-Identifier: LGPL-2.1-or-later
//! What is wrong with a script, and on which line.

use super::super::own_line::number;
use super::super::Problem;

/// A problem with what is at a place.
pub fn problem(text: &str, at: usize, message: impl Into<String>) -> Problem {
    Problem { line: number(text, at), message: message.into() }
}
