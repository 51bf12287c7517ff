// SPDX-License-Identifier: LGPL-2.1-or-later
//! One command line: what of it is ours, what goes, what comes in.

use crate::host::boot::Format;
use crate::plan::cmdline::format::{self, Problem};
use crate::plan::cmdline::line::Change;
use crate::plan::cmdline::record::Owned;
use crate::plan::cmdline::{missing, Options, WITHOUT_EFFECT};
use std::collections::BTreeMap;

/// A command line after its change.
pub(super) struct Edited {
    /// Its raw text.
    pub raw: String,
    /// The same without our parameters.
    pub before: String,
    /// Our parameters in it.
    pub owned: Vec<String>,
    /// Parameters that come in.
    pub adds: Vec<String>,
    /// Parameters that go.
    pub removes: Vec<String>,
}

/// Whose the parameters of a command line are.
pub(super) struct Shares {
    /// Ours.
    pub ours: Vec<String>,
    /// Parameters without effect, which go.
    pub dropped: Vec<String>,
    /// Of the required parameters, what has to be there beside the user's own.
    pub add: Vec<String>,
}

impl Shares {
    /// Whether there is nothing to change.
    pub fn are_right(&self) -> bool {
        self.dropped.is_empty()
            && self.add.len() == self.ours.len()
            && self.add.iter().all(|parameter| self.ours.contains(parameter))
    }

    /// Parameters that come in.
    pub fn adds(&self) -> Vec<String> {
        self.add.iter().filter(|parameter| !self.ours.contains(parameter)).cloned().collect()
    }

    /// Parameters that go; one that was there more than once and stays once, so many times less one.
    pub fn removes(&self) -> Vec<String> {
        without(&self.ours, &self.add).chain(&self.dropped).cloned().collect()
    }
}

/// The parameters of a command line once some have gone and others have come.
pub(super) fn after(parameters: &[String], removes: &[String], adds: &[String]) -> Vec<String> {
    without(parameters, removes).chain(adds).cloned().collect()
}

/// The parameters without others, each as often as it is among those.
pub(super) fn without<'w>(parameters: &'w [String], gone: &'w [String]) -> impl Iterator<Item = &'w String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for parameter in gone {
        *counts.entry(parameter).or_default() += 1;
    }
    parameters.iter().filter(move |parameter| match counts.get_mut(parameter) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    })
}

/// Finds out whose the parameters are.
pub(super) fn shares(parameters: &[String], required: &[String], mine: Option<&Owned>, options: &Options) -> Shares {
    // What of ours is still there: the user may have taken some out.
    let mut ours: Vec<String> = mine
        .map(|m| m.parameters.as_slice())
        .unwrap_or_default()
        .iter()
        .filter(|w| parameters.contains(w))
        .cloned()
        .collect();
    let mut dropped: Vec<String> = Vec::new();
    if options.adopt {
        // However often they are there: one that stays behind would have an effect, or be there for the next time.
        let rest: Vec<String> = without(parameters, &ours).cloned().collect();
        ours.extend(rest.into_iter().filter(|parameter| required.contains(parameter)));
        dropped.extend(parameters.iter().filter(|parameter| WITHOUT_EFFECT.contains(&parameter.as_str())).cloned());
    }
    let gone = [ours.clone(), dropped.clone()].concat();
    let theirs: Vec<String> = without(parameters, &gone).cloned().collect();
    let add = missing(required, &theirs);
    Shares { ours, dropped, add }
}

/// Changes a command line.
pub(super) fn change(
    format: Format,
    raw: &str,
    parameters: &[String],
    required: &[String],
    mine: Option<&Owned>,
    options: &Options,
) -> Result<Edited, Problem> {
    let shares = shares(parameters, required, mine, options);
    let before = match mine.and_then(|m| Some((m, m.before.as_ref()?))) {
        // Exactly as we left it.
        Some((mine, before))
            if !options.adopt && put_in(format, before, &mine.parameters).is_ok_and(|ours| ours == raw) =>
        {
            before.clone()
        }
        _ => {
            let gone = [shares.ours.clone(), shares.dropped.clone()].concat();
            format::edit(format, raw, &Change { remove: &gone, add: &[] })?
        }
    };
    let raw = if shares.are_right() { raw.to_owned() } else { put_in(format, &before, &shares.add)? };
    Ok(Edited { raw, before, adds: shares.adds(), removes: shares.removes(), owned: shares.add })
}

fn put_in(format: Format, raw: &str, parameters: &[String]) -> Result<String, Problem> {
    if parameters.is_empty() {
        Ok(raw.to_owned())
    } else {
        format::edit(format, raw, &Change { remove: &[], add: parameters })
    }
}
