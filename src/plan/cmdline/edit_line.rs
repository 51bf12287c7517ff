// SPDX-License-Identifier: LGPL-2.1-or-later
//! One command line: what of it is ours, what goes, what comes in.

use crate::host::boot::Grammar;
use crate::plan::cmdline::grammar::{self, Problem};
use crate::plan::cmdline::line::Change;
use crate::plan::cmdline::record::Owned;
use crate::plan::cmdline::{missing, Options, WITHOUT_EFFECT};
use std::collections::BTreeMap;

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

    /// Words that go; one that was there more than once and stays once, so many times less one.
    pub fn removes(&self) -> Vec<String> {
        without(&self.ours, &self.add).chain(&self.dropped).cloned().collect()
    }
}

/// The words of a command line once some have gone and others have come.
pub(super) fn after(words: &[String], removes: &[String], adds: &[String]) -> Vec<String> {
    without(words, removes).chain(adds).cloned().collect()
}

/// The words without others, each as often as it is among those.
fn without<'w>(words: &'w [String], gone: &'w [String]) -> impl Iterator<Item = &'w String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for word in gone {
        *counts.entry(word).or_default() += 1;
    }
    words.iter().filter(move |word| match counts.get_mut(word) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    })
}

/// Finds out whose the words are.
pub(super) fn shares(words: &[String], wanted: &[String], mine: Option<&Owned>, options: &Options) -> Shares {
    // What of ours is still there: the user may have taken some out.
    let mut ours: Vec<String> =
        mine.map(|m| m.words.as_slice()).unwrap_or_default().iter().filter(|w| words.contains(w)).cloned().collect();
    let mut dropped: Vec<String> = Vec::new();
    if options.adopt {
        // However often they are there: one that stays behind would have an effect, or be there for the next time.
        let rest: Vec<String> = without(words, &ours).cloned().collect();
        ours.extend(rest.into_iter().filter(|word| wanted.contains(word)));
        dropped.extend(words.iter().filter(|word| WITHOUT_EFFECT.contains(&word.as_str())).cloned());
    }
    let gone = [ours.clone(), dropped.clone()].concat();
    let theirs: Vec<String> = without(words, &gone).cloned().collect();
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
        Some((mine, before))
            if !options.adopt && put_in(grammar, before, &mine.words).is_ok_and(|ours| ours == raw) =>
        {
            before.clone()
        }
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
