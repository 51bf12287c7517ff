// SPDX-License-Identifier: LGPL-2.1-or-later
//! How a boot file changes: one that is ours alone as a whole, any other in its command lines and nowhere else.

use super::format::{self, Line, Problem};
use super::own::is_own;
use super::record::Owned;
use super::{against, edit_line, line, text_of, FileChange, Options};
use crate::host::boot::identity::Identity;
use crate::host::boot::{BootFile, Format, Loader};
use std::collections::BTreeMap;

/// A change, if there is one, and what is ours then.
type Changed = Result<(Option<FileChange>, Vec<Owned>), Problem>;

/// What makes a file that is ours alone have these parameters, or go.
pub(super) fn ours_alone(loader: &Loader, boot_file: &BootFile, parameters: &[String]) -> Changed {
    let new = (!parameters.is_empty()).then(|| format::whole(boot_file.format, parameters));
    let old = match &boot_file.content {
        None => None,
        Some(_) => Some(text_of(boot_file)?.to_owned()),
    };
    let owned = Owned { key: String::new(), parameters: parameters.to_vec(), before: None };
    let owned = if parameters.is_empty() { Vec::new() } else { vec![owned] };
    if old == new {
        return Ok((None, owned));
    }
    // One of another's under our name is not overwritten.
    let had = match &old {
        Some(text) => format::our_parameters(boot_file.format, text).ok_or_else(|| Problem {
            line: 0,
            message: "is not as it was written by vfio: move what was added to a file of its own and remove this one"
                .into(),
        })?,
        None => Vec::new(),
    };
    let change = FileChange {
        loader: loader.kind,
        path: boot_file.path.clone(),
        format: boot_file.format,
        old,
        new,
        adds: parameters.iter().filter(|parameter| !had.contains(parameter)).cloned().collect(),
        removes: had.iter().filter(|parameter| !parameters.contains(parameter)).cloned().collect(),
        builder: if boot_file.format == Format::Addon { loader.tools.concat() } else { Vec::new() },
    };
    Ok((Some(change), owned))
}

/// What is asked of a file.
pub(super) struct Asked<'a> {
    /// The parameters that every line is to have.
    pub(super) required: &'a [String],
    /// What of ours is on record.
    pub(super) ours: &'a [Owned],
    /// What else was asked for.
    pub(super) options: &'a Options,
    /// What tells this system's lines from others'.
    pub(super) identity: &'a Identity,
}

impl Asked<'_> {
    /// What is asked of a command line. One that is not this system's, or for emergencies, may have something of ours from
    /// when nobody knew; `None` if it has to stay.
    fn of_line(&self, format: Format, line: &Line, mine: Option<&Owned>) -> Option<&[String]> {
        let is_asked = !line.for_emergencies || self.options.rescue || mine.is_some();
        if is_own(format, line, self.identity) {
            is_asked.then_some(self.required)
        } else {
            mine.map(|_| &[][..])
        }
    }
}

/// What makes the command lines of a file that is not ours have what is asked.
pub(super) fn shared(loader: &Loader, boot_file: &BootFile, asked: &Asked<'_>, notes: &mut Vec<String>) -> Changed {
    // A source that is not there is not made: its reader has a default of its own.
    if boot_file.content.is_none() {
        return Ok((None, Vec::new()));
    }
    let text = text_of(boot_file)?;
    let lines = format::lines(boot_file.format, text)?;
    let ours: BTreeMap<&str, &Owned> = asked.ours.iter().rev().map(|owned| (owned.key.as_str(), owned)).collect();
    let mut edits = Vec::with_capacity(lines.len());
    let (mut owned, mut adds, mut removes) = (Vec::new(), Vec::new(), Vec::new());
    // The parameters that each command line has then.
    let mut then: Vec<Vec<String>> = Vec::with_capacity(lines.len());
    for line in &lines {
        let raw = &text[line.span.clone()];
        let mine = ours.get(line.key.as_str()).copied();
        let Some(required) = asked.of_line(boot_file.format, line, mine) else {
            then.push(line.parameters.clone());
            continue;
        };
        let edited = edit_line::change(boot_file.format, raw, &line.parameters, required, mine, asked.options)
            .map_err(|problem| Problem { line: line.number + problem.line.saturating_sub(1), ..problem })?;
        notes.extend(against(required, &line.parameters, boot_file, line.number));
        edits.push((line.span.clone(), edited.raw));
        then.push(edit_line::after(&line.parameters, &edited.removes, &edited.adds));
        adds.extend(edited.adds);
        removes.extend(edited.removes);
        if !edited.owned.is_empty() {
            owned.push(Owned { key: line.key.clone(), parameters: edited.owned, before: Some(edited.before) });
        }
    }
    let new = line::apply(text, edits).ok_or_else(format::by_hand)?;
    if new != text && !reads_as(boot_file.format, &new, then) {
        return Err(format::by_hand());
    }
    let change = (new != text).then(|| FileChange {
        loader: loader.kind,
        path: boot_file.path.clone(),
        format: boot_file.format,
        old: Some(text.to_owned()),
        new: Some(new),
        adds: unique(adds),
        removes: unique(removes),
        builder: Vec::new(),
    });
    Ok((change, owned))
}

/// Whether a changed file is read back with exactly these parameters on its command lines, in whatever order: the last look before
/// anything is written.
pub(super) fn reads_as(format: Format, text: &str, mut expected: Vec<Vec<String>>) -> bool {
    let Ok(lines) = format::lines(format, text) else { return false };
    let mut found: Vec<Vec<String>> = lines.into_iter().map(|line| line.parameters).collect();
    found.iter_mut().chain(&mut expected).for_each(|parameters| parameters.sort_unstable());
    found == expected
}

pub(super) fn unique(mut parameters: Vec<String>) -> Vec<String> {
    let mut seen = Vec::new();
    parameters.retain(|parameter| {
        !seen.contains(parameter) && {
            seen.push(parameter.clone());
            true
        }
    });
    parameters
}
