// SPDX-License-Identifier: LGPL-2.1-or-later
//! The kernel's command line in every place that boot entries are made from: which words are wanted, what has to change
//! where, and what is ours in it.
//!
//! Only words that we put in are ever taken out; what was there before is the user's and stays, byte for byte.

mod edit_line;
pub mod grammar;
pub mod line;
pub mod new_entry;
pub mod parameters;
pub mod record;
pub mod status;
mod tool_managed;
pub mod unchecked;

use crate::host::boot::{BootSystem, Content, Grammar, Loader, LoaderKind, Place, Role};
use grammar::Problem;
use record::{Owned, Record};
use serde::Serialize;
use std::collections::BTreeMap;

/// What was asked for beside the words.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Words that are there already become ours, so that a revert takes them out; words that never had an effect go.
    pub adopt: bool,
    /// Entries for emergencies are changed too.
    pub rescue: bool,
    /// Only this loader.
    pub only: Option<LoaderKind>,
}

/// A file that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// Whose it is.
    pub loader: LoaderKind,
    /// The file, below the root.
    pub path: String,
    /// How its command line stands in it.
    pub grammar: Grammar,
    /// What must be in it now; `None` if it must not be there.
    pub old: Option<String>,
    /// What will be in it; `None` if it goes.
    pub new: Option<String>,
    /// Words that come in.
    pub adds: Vec<String>,
    /// Words that go.
    pub removes: Vec<String>,
    /// Of an addon, what builds it: a program and its first arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub builder: Vec<String>,
}

impl FileChange {
    /// What it does, for a person.
    pub fn sentence(&self) -> String {
        let adds = self.adds.iter().map(|word| format!("+{word}"));
        let removes = self.removes.iter().map(|word| format!("-{word}"));
        let words: Vec<String> = adds.chain(removes).collect();
        format!("/{}: {}", self.path, words.join(" "))
    }
}

/// Something that is to be run after the files have changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolRun {
    /// Whose it is.
    pub loader: LoaderKind,
    /// The program and its arguments.
    pub words: Vec<String>,
    /// What takes its effect back; empty if it is run again once the files are as before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<String>,
}

/// What has to be done so that every boot entry has the wanted words and no others of ours.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CmdlinePlan {
    /// Files, in order.
    pub changes: Vec<FileChange>,
    /// Programs, in order, after the files.
    pub tools: Vec<ToolRun>,
    /// What is ours when all of it is done.
    #[serde(skip)]
    pub record: Record,
    /// Why a loader is left as it is: sentences.
    pub problems: Vec<String>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

impl CmdlinePlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.tools.is_empty()
    }
}

/// Words that are no words of any kernel, and that guides tell people to add: `amd_iommu=on` (`drivers/iommu/amd/init.c`,
/// `parse_amd_iommu_options`). They go when the user asks for it.
pub const WITHOUT_EFFECT: [&str; 1] = ["amd_iommu=on"];

/// Plans for all loaders. No wanted words: everything of ours goes.
pub fn plan(system: &BootSystem, wanted: &[String], record: &Record, options: &Options) -> CmdlinePlan {
    let mut plan = CmdlinePlan { record: record.clone(), ..CmdlinePlan::default() };
    for loader in system.loaders.iter().filter(|l| options.only.is_none_or(|only| only == l.kind)) {
        match of_loader(loader, wanted, record, options) {
            Ok(part) => plan.take(loader, part, record),
            Err(sentence) => plan.problems.push(sentence),
        }
    }
    plan
}

/// The part of a plan that one loader needs.
#[derive(Default)]
struct Part {
    changes: Vec<FileChange>,
    runs: Vec<ToolRun>,
    owned: Vec<(String, Vec<Owned>)>,
    notes: Vec<String>,
}

impl CmdlinePlan {
    fn take(&mut self, loader: &Loader, part: Part, before: &Record) {
        for (path, owned) in part.owned {
            match owned.is_empty() {
                true => self.record.places.remove(&path),
                false => self.record.places.insert(path, owned),
            };
        }
        self.notes.extend(part.notes);
        // What a tool made may lack what its sources have: an apply that was cut off before it ran.
        let builds = part.changes.iter().any(|change| !change.builder.is_empty());
        if !builds && (!part.changes.is_empty() || is_behind(loader, &self.record, before)) {
            let run = |words: Vec<String>| ToolRun { loader: loader.kind, words, undo: Vec::new() };
            self.tools.extend(loader.tools.iter().cloned().map(run));
            let outcomes = loader.places.iter().filter(|place| place.role == Role::Outcome && place.content.is_some());
            let checks = outcomes.filter_map(|p| Some([loader.check.clone()?, vec![format!("/{}", p.path)]].concat()));
            self.tools.extend(checks.map(run));
        }
        self.tools.extend(part.runs);
        self.changes.extend(part.changes);
    }
}

/// Whether what a tool made from the sources does not have what is in them.
fn is_behind(loader: &Loader, now: &Record, before: &Record) -> bool {
    let ours = |record: &Record| -> Vec<String> {
        let of = |p: &Place| record.places.get(&p.key()).into_iter().flatten().flat_map(|o| o.words.clone()).collect();
        let sources = loader.places.iter().filter(|p| p.role == Role::Source);
        let mut words: Vec<String> = sources.flat_map::<Vec<String>, _>(of).collect();
        words.sort_unstable();
        words.dedup();
        words
    };
    let (want, had) = (ours(now), ours(before));
    let gone = had.iter().filter(|word| !want.contains(word));
    let outcomes = loader.places.iter().filter(|place| place.role == Role::Outcome);
    let mut outcomes = outcomes.filter_map(|place| Some(words_of(place).ok()?.concat()));
    outcomes.any(|there| want.iter().any(|word| !there.contains(word)) || gone.clone().any(|word| there.contains(word)))
}

fn text_of(place: &Place) -> Result<&str, Problem> {
    match &place.content {
        None => Ok(""),
        Some(Content::Text(text)) => Ok(text),
        Some(Content::Unreadable(why)) => Err(Problem { line: 0, message: why.clone() }),
    }
}

/// The words of each command line in a file.
fn words_of(place: &Place) -> Result<Vec<Vec<String>>, Problem> {
    let lines = grammar::lines(place.grammar, text_of(place)?)?;
    Ok(lines.into_iter().map(|line| line.words).collect())
}

fn at(place: &Place, line: usize) -> String {
    match line {
        0 => format!("/{}", place.path),
        line => format!("/{}:{line}", place.path),
    }
}

fn of_loader(loader: &Loader, wanted: &[String], record: &Record, options: &Options) -> Result<Part, String> {
    let said = |place: &Place, problem: &Problem| format!("{}: {}", at(place, problem.line), problem.message);
    let mut part = Part::default();
    // What every entry has anyway.
    let mut base: Vec<String> = Vec::new();
    for place in loader.places.iter().filter(|place| place.role == Role::Base) {
        base.extend(words_of(place).map_err(|p| said(place, &p))?.concat());
    }
    for place in &loader.places {
        let ours = record.places.get(&place.key());
        match place.role {
            Role::Base | Role::Outcome => continue,
            Role::Rescue if !options.rescue && ours.is_none() => continue,
            // Nothing to put in and nothing to take out: however it is written, it is right.
            _ if wanted.is_empty() && ours.is_none() => continue,
            _ => {}
        }
        if place.grammar.is_changed_by_a_tool() {
            let mine = ours.map(Vec::as_slice).unwrap_or_default();
            let (runs, owned) =
                tool_managed::change(loader.kind, place, wanted, mine, options).map_err(|p| said(place, &p))?;
            part.runs.extend(runs);
            part.owned.push((place.key(), owned));
            continue;
        }
        let (change, owned) = match place.grammar.is_ours_alone() {
            true => ours_alone(loader, place, &missing(wanted, &base)),
            false => {
                shared(loader, place, wanted, ours.map(Vec::as_slice).unwrap_or_default(), options, &mut part.notes)
            }
        }
        .map_err(|problem| said(place, &problem))?;
        part.changes.extend(change);
        part.owned.push((place.key(), owned));
    }
    if !part.changes.is_empty() || !part.runs.is_empty() {
        if let Some(tool) = loader.missing.first() {
            return Err(format!(
                "{tool} is not there, and without it {} cannot be changed: install it, or add these words by hand: {}",
                loader.kind.name(),
                wanted.join(" ")
            ));
        }
    }
    Ok(part)
}

/// The wanted words that are not there in any form.
fn missing(wanted: &[String], there: &[String]) -> Vec<String> {
    wanted.iter().filter(|word| !parameters::is_there(word, there)).cloned().collect()
}

type Changed = Result<(Option<FileChange>, Vec<Owned>), Problem>;

fn ours_alone(loader: &Loader, place: &Place, words: &[String]) -> Changed {
    let new = (!words.is_empty()).then(|| grammar::whole(place.grammar, words));
    let old = match &place.content {
        None => None,
        Some(_) => Some(text_of(place)?.to_owned()),
    };
    let owned = Owned { key: String::new(), words: words.to_vec(), before: None };
    let owned = if words.is_empty() { Vec::new() } else { vec![owned] };
    if old == new {
        return Ok((None, owned));
    }
    // One of another's under our name is not overwritten.
    let had = match &old {
        Some(text) => grammar::our_words(place.grammar, text).ok_or_else(|| Problem {
            line: 0,
            message: "is not as it was written by vfio: move what was added to a file of its own and remove this one"
                .into(),
        })?,
        None => Vec::new(),
    };
    let change = FileChange {
        loader: loader.kind,
        path: place.path.clone(),
        grammar: place.grammar,
        old,
        new,
        adds: words.iter().filter(|word| !had.contains(word)).cloned().collect(),
        removes: had.iter().filter(|word| !words.contains(word)).cloned().collect(),
        builder: if place.grammar == Grammar::Addon { loader.tools.concat() } else { Vec::new() },
    };
    Ok((Some(change), owned))
}

fn shared(
    loader: &Loader,
    place: &Place,
    wanted: &[String],
    ours: &[Owned],
    options: &Options,
    notes: &mut Vec<String>,
) -> Changed {
    // A source that is not there is not made: its reader has a default of its own.
    if place.content.is_none() {
        return Ok((None, Vec::new()));
    }
    let text = text_of(place)?;
    let lines = grammar::lines(place.grammar, text)?;
    let ours: BTreeMap<&str, &Owned> = ours.iter().rev().map(|owned| (owned.key.as_str(), owned)).collect();
    let mut edits = Vec::with_capacity(lines.len());
    let (mut owned, mut adds, mut removes) = (Vec::new(), Vec::new(), Vec::new());
    // The words that each command line has then.
    let mut then: Vec<Vec<String>> = Vec::with_capacity(lines.len());
    for line in &lines {
        let raw = &text[line.span.clone()];
        let mine = ours.get(line.key.as_str()).copied();
        let edited = edit_line::change(place.grammar, raw, &line.words, wanted, mine, options)
            .map_err(|problem| Problem { line: line.number + problem.line.saturating_sub(1), ..problem })?;
        if let Some(word) = parameters::against(wanted, &line.words) {
            notes.push(format!(
                "{}: '{word}' is against what /etc/vfio.conf wants; it is left there",
                at(place, line.number)
            ));
        }
        edits.push((line.span.clone(), edited.raw));
        then.push(edit_line::after(&line.words, &edited.removes, &edited.adds));
        adds.extend(edited.adds);
        removes.extend(edited.removes);
        if !edited.owned.is_empty() {
            owned.push(Owned { key: line.key.clone(), words: edited.owned, before: Some(edited.before) });
        }
    }
    let new = line::apply(text, edits).ok_or_else(grammar::by_hand)?;
    if new != text && !reads_as(place.grammar, &new, then) {
        return Err(grammar::by_hand());
    }
    let change = (new != text).then(|| FileChange {
        loader: loader.kind,
        path: place.path.clone(),
        grammar: place.grammar,
        old: Some(text.to_owned()),
        new: Some(new),
        adds: unique(adds),
        removes: unique(removes),
        builder: Vec::new(),
    });
    Ok((change, owned))
}

/// Whether a changed file is read back with exactly these words on its command lines, in whatever order: the last look before
/// anything is written.
fn reads_as(grammar: Grammar, text: &str, mut expected: Vec<Vec<String>>) -> bool {
    let Ok(lines) = grammar::lines(grammar, text) else { return false };
    let mut found: Vec<Vec<String>> = lines.into_iter().map(|line| line.words).collect();
    found.iter_mut().chain(&mut expected).for_each(|words| words.sort_unstable());
    found == expected
}

fn unique(mut words: Vec<String>) -> Vec<String> {
    let mut seen = Vec::new();
    words.retain(|word| {
        !seen.contains(word) && {
            seen.push(word.clone());
            true
        }
    });
    words
}
