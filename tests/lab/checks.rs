// SPDX-License-Identifier: LGPL-2.1-or-later
//! Collects what is wrong, so that one run of a machine shows all of it.

use anyhow::{bail, Result};
use std::fmt::Debug;

/// The things a scenario says about a run.
#[derive(Default)]
pub struct Checks(Vec<String>);

impl Checks {
    /// `found` must be `desired`.
    pub fn same<T: PartialEq<U> + Debug, U: Debug>(&mut self, what: &str, found: T, desired: U) {
        if found != desired {
            self.0.push(format!("{what}: {found:?} instead of {desired:?}"));
        }
    }

    /// `text` must have a line in which all of `words` are.
    pub fn line(&mut self, what: &str, text: &str, words: &[&str]) {
        if !has(text, words) {
            self.0.push(format!("{what}: no line with {words:?} in\n{}", excerpt(text)));
        }
    }

    /// `text` must have no line in which all of `words` are.
    pub fn no_line(&mut self, what: &str, text: &str, words: &[&str]) {
        if let Some(line) = text.lines().find(|line| words.iter().all(|word| line.contains(word))) {
            self.0.push(format!("{what}: {line:?}"));
        }
    }

    /// What was found wrong, as an error.
    pub fn done(self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        bail!("{}", self.0.join("\n"))
    }
}

/// Whether a line of `text` has all of `words`.
pub fn has(text: &str, words: &[&str]) -> bool {
    text.lines().any(|line| words.iter().all(|word| line.contains(word)))
}

fn excerpt(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let left_out = lines.len().saturating_sub(30);
    format!("({left_out} lines left out)\n{}", lines[left_out..].join("\n"))
}
