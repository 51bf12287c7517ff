// SPDX-License-Identifier: LGPL-2.1-or-later
//! A boot entry that kernel-install has just written.
//!
//! What it says comes from `/etc/kernel/cmdline`, or, where there is none, from the running kernel: words of ours that were
//! taken out of the configuration since, and what a single boot was given, come along. So what is ours goes first.

use super::record::{Owned, Record};
use super::{plan, words_of, CmdlinePlan, Options};
use crate::host::boot::{BootSystem, Loader, LoaderKind, Place};

/// Plans for these entries of one kernel. `source` is the file that their command line was made from, if it was one.
pub fn of_new_entries(entries: Vec<Place>, source: Option<&Place>, wanted: &[String], record: &Record) -> CmdlinePlan {
    let from: Vec<String> = source.and_then(|place| words_of(place).ok()).unwrap_or_default().concat();
    let ours_there = source.and_then(|place| record.places.get(&place.key())).into_iter().flatten();
    let ours_there: Vec<&String> = ours_there.flat_map(|owned| &owned.words).collect();
    let all = record.all_words();
    // The user's own word stays the user's on its way into the entry.
    let is_ours = |word: &String| all.contains(&word.as_str()) && (!from.contains(word) || ours_there.contains(&word));
    let mut before = record.clone();
    for entry in &entries {
        let words: Vec<String> =
            words_of(entry).unwrap_or_default().concat().into_iter().filter(|word| is_ours(word)).collect();
        before.places.remove(&entry.key());
        if !words.is_empty() {
            before.places.insert(entry.key(), vec![Owned { key: String::new(), words, before: None }]);
        }
    }
    let loader =
        Loader { kind: LoaderKind::SystemdBoot, places: entries, tools: Vec::new(), missing: Vec::new(), check: None };
    plan(&BootSystem { loaders: vec![loader], ..BootSystem::default() }, wanted, &before, &Options::default())
}
