// SPDX-License-Identifier: LGPL-2.1-or-later
//! How the words are now: in the running kernel, in each boot file, in the record.

use super::record::Record;
use crate::host::boot::{BootSystem, LoaderKind, Role};
use crate::plan::cmdline::parameters::{self, Word};
use crate::plan::cmdline::{missing, unchecked, words_of};
use serde::Serialize;

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The wanted words, and why each.
    pub wanted: Vec<Word>,
    /// Which loader started this boot, by the firmware's variables.
    pub booted: Option<String>,
    /// Wanted words that the running kernel did not get.
    pub running_missing: Vec<String>,
    /// Words of ours that it got and that are not wanted any more.
    pub running_unwanted: Vec<String>,
    /// Boot files, in the order in which they are changed.
    pub places: Vec<PlaceStatus>,
    /// What was not looked at: sentences.
    pub unseen: Vec<String>,
}

/// A boot file.
#[derive(Debug, Clone, Serialize)]
pub struct PlaceStatus {
    /// Whose it is.
    pub loader: LoaderKind,
    /// The file.
    pub path: String,
    /// What it is to its loader.
    pub role: Role,
    /// Whether it is there.
    pub exists: bool,
    /// Wanted words that are missing in it, or in one of its command lines.
    pub missing: Vec<String>,
    /// Words in it that are ours.
    pub ours: Vec<String>,
    /// Of these, what is not wanted any more.
    pub unwanted: Vec<String>,
    /// Why it cannot be read, if so.
    pub problem: Option<String>,
}

impl Status {
    /// Whether every boot, this one included, has just what is wanted.
    pub fn is_as_wanted(&self) -> bool {
        let files = self.places.iter().filter(|place| place.counts());
        self.running_missing.is_empty()
            && self.running_unwanted.is_empty()
            && (self.wanted.is_empty() || !self.places.is_empty())
            && files.clone().all(|place| place.is_as_wanted())
    }
}

impl PlaceStatus {
    /// Whether a word that is missing here is missing in a boot.
    pub fn counts(&self) -> bool {
        self.exists && matches!(self.role, Role::Source | Role::Entry | Role::Outcome)
    }

    /// Whether it has all that is wanted and nothing of ours that is not.
    pub fn is_as_wanted(&self) -> bool {
        self.missing.is_empty() && self.unwanted.is_empty() && self.problem.is_none()
    }
}

/// Compares.
pub fn status(system: &BootSystem, wanted: Vec<Word>, record: &Record) -> Status {
    let words: Vec<String> = wanted.iter().map(|word| word.word.clone()).collect();
    let running: Vec<String> = system.words.iter().map(str::to_owned).collect();
    let ours = record.all_words();
    let unwanted = |there: &[String]| -> Vec<String> {
        ours.iter()
            .filter(|w| !words.iter().any(|x| x == *w) && there.iter().any(|x| x == *w))
            .map(|w| (*w).to_owned())
            .collect()
    };
    let mut places = Vec::new();
    for loader in &system.loaders {
        let of_role = |role| loader.places.iter().filter(move |place| place.role == role);
        let base: Vec<String> = of_role(Role::Base).filter_map(|p| words_of(p).ok()).flatten().flatten().collect();
        for place in loader.places.iter().filter(|place| place.role != Role::Base) {
            let lines = words_of(place);
            let mut lacks: Vec<String> = Vec::new();
            let mut there: Vec<String> = Vec::new();
            for line in lines.as_ref().into_iter().flatten() {
                let mut all = line.clone();
                if place.grammar.is_ours_alone() {
                    all.extend_from_slice(&base);
                }
                lacks.extend(missing(&words, &all));
                there.extend_from_slice(line);
            }
            lacks.sort();
            lacks.dedup();
            // A drop-in that is not there lacks what nobody else has.
            if place.content.is_none() && place.grammar.is_ours_alone() {
                lacks = missing(&words, &base);
            }
            places.push(PlaceStatus {
                loader: loader.kind,
                path: format!("/{}", place.path),
                role: place.role,
                exists: place.content.is_some() || place.grammar.is_ours_alone() && !lacks.is_empty(),
                missing: lacks,
                ours: record.places.get(&place.key()).into_iter().flatten().flat_map(|o| o.words.clone()).collect(),
                unwanted: unwanted(&there),
                problem: lines.err().map(|problem| problem.message),
            });
        }
    }
    Status {
        running_missing: words.iter().filter(|word| !parameters::is_there(word, &running)).cloned().collect(),
        running_unwanted: unwanted(&running),
        booted: system.booted.clone().or_else(|| system.stub.clone()),
        places,
        unseen: unchecked::sentences(system),
        wanted,
    }
}
