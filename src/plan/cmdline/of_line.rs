// SPDX-License-Identifier: LGPL-2.1-or-later
//! One command line: what of it is ours, what goes, what comes in.

use super::grammar::{self, Problem};
use super::line::Change;
use super::record::Owned;
use super::{missing, Options, WITHOUT_EFFECT};
use crate::host::boot::Grammar;

/// A command line after its change.
pub(super) struct Edited {
    /// Its raw text.
    pub raw: String,
    /// The same without our words.
    pub before: String,
    /// Our words in it.
    pub owned: Vec<String>,
    /// Words that come in.
    pub adds: Vec<String>,
    /// Words that go.
    pub removes: Vec<String>,
}

/// Whose the words of a command line are.
pub(super) struct Shares {
    /// Ours.
    pub ours: Vec<String>,
    /// Words without effect, which go.
    pub dropped: Vec<String>,
    /// Of the wanted words, what has to be there beside the user's own.
    pub add: Vec<String>,
}

impl Shares {
    /// Whether there is nothing to change.
    pub fn are_right(&self) -> bool {
        self.dropped.is_empty()
            && self.add.len() == self.ours.len()
            && self.add.iter().all(|word| self.ours.contains(word))
    }

    /// Words that come in.
    pub fn adds(&self) -> Vec<String> {
        self.add.iter().filter(|word| !self.ours.contains(word)).cloned().collect()
    }

    /// Words that go.
    pub fn removes(&self) -> Vec<String> {
        self.ours.iter().filter(|word| !self.add.contains(word)).chain(&self.dropped).cloned().collect()
    }
}

/// Finds out whose the words are.
pub(super) fn shares(words: &[String], wanted: &[String], mine: Option<&Owned>, options: &Options) -> Shares {
    // What of ours is still there: the user may have taken some out.
    let mut ours: Vec<String> =
        mine.map(|m| m.words.as_slice()).unwrap_or_default().iter().filter(|w| words.contains(w)).cloned().collect();
    let mut dropped: Vec<String> = Vec::new();
    if options.adopt {
        let more = wanted.iter().filter(|word| words.contains(word) && !ours.contains(word)).cloned();
        ours.extend(more.collect::<Vec<_>>());
        dropped
            .extend(WITHOUT_EFFECT.iter().filter(|w| words.iter().any(|there| there == *w)).map(|w| (*w).to_owned()));
    }
    let theirs: Vec<String> = {
        let mut gone: Vec<&String> = ours.iter().chain(&dropped).collect();
        let keep = |word: &&String| match gone.iter().position(|g| g == word) {
            Some(at) => {
                gone.remove(at);
                false
            }
            None => true,
        };
        words.iter().filter(keep).cloned().collect()
    };
    let add = missing(wanted, &theirs);
    Shares { ours, dropped, add }
}

/// Changes a command line.
pub(super) fn change(
    grammar: Grammar,
    raw: &str,
    words: &[String],
    wanted: &[String],
    mine: Option<&Owned>,
    options: &Options,
) -> Result<Edited, Problem> {
    let shares = shares(words, wanted, mine, options);
    let before = match mine.and_then(|m| Some((m, m.before.as_ref()?))) {
        // Exactly as we left it.
        Some((mine, before)) if !options.adopt && put_in(grammar, before, &mine.words)? == raw => before.clone(),
        _ => {
            let gone = [shares.ours.clone(), shares.dropped.clone()].concat();
            grammar::edit(grammar, raw, &Change { remove: &gone, add: &[] })?
        }
    };
    let raw = if shares.are_right() { raw.to_owned() } else { put_in(grammar, &before, &shares.add)? };
    Ok(Edited { raw, before, adds: shares.adds(), removes: shares.removes(), owned: shares.add })
}

fn put_in(grammar: Grammar, raw: &str, words: &[String]) -> Result<String, Problem> {
    match words.is_empty() {
        true => Ok(raw.to_owned()),
        false => grammar::edit(grammar, raw, &Change { remove: &[], add: words }),
    }
}
