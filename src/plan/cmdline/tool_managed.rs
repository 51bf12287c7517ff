// SPDX-License-Identifier: LGPL-2.1-or-later
//! Command lines that a tool keeps: kernelstub's, rpm-ostree's. The tool is told words; no file is written by us.

use crate::host::boot::{LoaderKind, Place};
use crate::plan::cmdline::edit_line::shares;
use crate::plan::cmdline::grammar::{self, Problem};
use crate::plan::cmdline::record::Owned;
use crate::plan::cmdline::{text_of, Options, ToolRun};

/// What to run, and what is ours afterwards.
pub(super) fn change(
    loader: LoaderKind,
    place: &Place,
    wanted: &[String],
    ours: &[Owned],
    options: &Options,
) -> Result<(Vec<ToolRun>, Vec<Owned>), Problem> {
    let lines = grammar::lines(place.grammar, text_of(place)?)?;
    let words: Vec<String> = lines.into_iter().flat_map(|line| line.words).collect();
    let shares = shares(&words, wanted, ours.first(), options);
    let owned = Owned { key: String::new(), words: shares.add.clone(), before: None };
    let owned = if owned.words.is_empty() { Vec::new() } else { vec![owned] };
    let (adds, mut removes) = (shares.adds(), shares.removes());
    // Which of two equal words a tool takes out is its own affair, and whether it leaves the other.
    removes.retain(|word| !shares.add.contains(word));
    if adds.is_empty() && removes.is_empty() {
        return Ok((Vec::new(), owned));
    }
    let runs = match loader {
        LoaderKind::Kernelstub => kernelstub(loader, &adds, &removes),
        _ => vec![ToolRun { loader, words: kargs(&adds, &removes), undo: kargs(&removes, &adds) }],
    };
    Ok((runs, owned))
}

/// One call makes one new deployment, whatever number of words it changes (rpm-ostree(1)).
fn kargs(adds: &[String], removes: &[String]) -> Vec<String> {
    let mut words = vec!["rpm-ostree".to_owned(), "kargs".to_owned()];
    words.extend(removes.iter().map(|word| format!("--delete-if-present={word}")));
    words.extend(adds.iter().map(|word| format!("--append-if-missing={word}")));
    words
}

/// It takes one list of words a call.
fn kernelstub(loader: LoaderKind, adds: &[String], removes: &[String]) -> Vec<ToolRun> {
    let call = |option: &str, words: &[String]| vec!["kernelstub".to_owned(), option.to_owned(), words.join(" ")];
    let mut runs = Vec::new();
    if !removes.is_empty() {
        runs.push(ToolRun { loader, words: call("-d", removes), undo: call("-a", removes) });
    }
    if !adds.is_empty() {
        runs.push(ToolRun { loader, words: call("-a", adds), undo: call("-d", adds) });
    }
    runs
}
