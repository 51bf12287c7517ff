// SPDX-License-Identifier: LGPL-2.1-or-later
//! What was looked at below a root, and what the system's programs answered: from this `vfio report` makes a recording, so
//! that a recording has what our own readers read, whatever they are.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How closely something was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// Whether it is there, and what it is.
    Place,
    /// What is in it: the content of a file, the names in a directory.
    Content,
}

/// How a program of the system ended that was asked something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Done,
    /// With an error, whose last line this is.
    Failed(String),
    /// It could not be started, or not be talked to: an errno.
    Errno(i32),
    /// It has given no answer in time.
    Silent,
}

/// What a program answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it ended.
    pub outcome: Outcome,
    /// What it printed.
    pub printed: String,
}

/// Everything that was looked at.
#[derive(Debug, Default)]
pub struct Trace {
    looks: Mutex<BTreeMap<String, Look>>,
    answers: Mutex<BTreeMap<Vec<String>, Answer>>,
}

/// What another thread has noted counts, whatever became of it.
fn open<T>(noted: &Mutex<T>) -> MutexGuard<'_, T> {
    noted.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Trace {
    /// Notes a look at a path.
    pub fn note(&self, path: &str, look: Look) {
        let mut looks = open(&self.looks);
        match looks.get_mut(path) {
            Some(before) => *before = (*before).max(look),
            None => drop(looks.insert(path.to_owned(), look)),
        }
    }

    /// Notes what a program answered; of two answers to the same question the later one stays.
    pub fn note_answer(&self, words: &[&str], answer: Answer) {
        open(&self.answers).insert(words.iter().map(|word| (*word).to_owned()).collect(), answer);
    }

    /// All looks, by path.
    pub fn looks(&self) -> BTreeMap<String, Look> {
        open(&self.looks).clone()
    }

    /// All answers, by the words of the question.
    pub fn answers(&self) -> BTreeMap<Vec<String>, Answer> {
        open(&self.answers).clone()
    }
}
