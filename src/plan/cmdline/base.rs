// SPDX-License-Identifier: LGPL-2.1-or-later
//! What files of others say that is part of every entry as well: what counts of it, and what an apply that adopts takes out there.

use super::edit_line::without;
use super::format::{self, Problem};
use super::line::{self, Change};
use super::own::base_parameters;
use super::{reads_as, said, text_of, unique, FileChange, WITHOUT_EFFECT};
use crate::host::boot::{BootFile, Format, Loader, Role};

pub(super) fn files(loader: &Loader) -> impl Iterator<Item = &BootFile> {
    loader.boot_files.iter().filter(|boot_file| boot_file.role == Role::Base)
}

/// The parameters that every entry of a loader has anyway.
///
/// What a shell makes of a file of somebody else's cannot always be told. Then none of them counts: a parameter that is there
/// twice does no harm, and what became of it the menu tells.
pub(super) fn parameters(loader: &Loader) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for boot_file in files(loader) {
        match base_parameters(boot_file) {
            Ok(parameters) => all.extend(parameters),
            Err(_) if is_read_by_a_shell(boot_file) => return Ok(Vec::new()),
            Err(problem) => return Err(said(boot_file, &problem)),
        }
    }
    Ok(all)
}

fn is_read_by_a_shell(boot_file: &BootFile) -> bool {
    matches!(boot_file.format, Format::GrubDefault | Format::GrubLinux)
}

/// What is taken out of the files of others because it becomes ours, or never had an effect.
pub(super) struct Adopted {
    /// A change for each file.
    pub changes: Vec<FileChange>,
    /// The parameters that every entry has anyway then.
    pub base: Vec<String>,
    /// Why a file is left as it is: sentences.
    pub notes: Vec<String>,
}

/// Takes over from the files of others what is required.
pub(super) fn adopt(loader: &Loader, required: &[String]) -> Adopted {
    let mut adopted = Adopted { changes: Vec::new(), base: Vec::new(), notes: Vec::new() };
    let mut is_known = true;
    for boot_file in files(loader).filter(|boot_file| boot_file.content.is_some()) {
        match taken_out(loader, boot_file, required, &mut adopted.changes) {
            Ok(rest) => adopted.base.extend(rest),
            Err(problem) => {
                adopted.notes.push(said(boot_file, &problem));
                is_known = false;
            }
        }
    }
    if !is_known {
        adopted.base.clear();
    }
    adopted
}

/// Takes it out of one file, which may have changed already: GRUB's is there once for each variable. What is left in it.
fn taken_out(
    loader: &Loader,
    boot_file: &BootFile,
    required: &[String],
    changes: &mut Vec<FileChange>,
) -> Result<Vec<String>, Problem> {
    let changed = changes.iter_mut().find(|change| change.path == boot_file.path);
    let old = changed
        .as_ref()
        .and_then(|change| change.new.clone())
        .map_or_else(|| text_of(boot_file).map(str::to_owned), Ok)?;
    let lines = format::lines(boot_file.format, &old)?;
    let goes = |parameter: &&String| required.contains(parameter) || WITHOUT_EFFECT.contains(&parameter.as_str());
    let (mut edits, mut removes, mut then) = (Vec::new(), Vec::new(), Vec::new());
    for line in &lines {
        let gone: Vec<String> = line.parameters.iter().filter(goes).cloned().collect();
        if !gone.is_empty() {
            let raw = format::edit(boot_file.format, &old[line.span.clone()], &Change { remove: &gone, add: &[] })
                .map_err(|problem| Problem { line: line.number + problem.line.saturating_sub(1), ..problem })?;
            edits.push((line.span.clone(), raw));
        }
        then.push(without(&line.parameters, &gone).cloned().collect::<Vec<_>>());
        removes.extend(gone);
    }
    let rest = then.concat();
    if removes.is_empty() {
        return Ok(rest);
    }
    let new =
        line::apply(&old, edits).filter(|new| reads_as(boot_file.format, new, then)).ok_or_else(format::by_hand)?;
    match changed {
        Some(change) => {
            change.new = Some(new);
            change.removes = unique([change.removes.clone(), removes].concat());
        }
        None => changes.push(FileChange {
            loader: loader.kind,
            path: boot_file.path.clone(),
            format: boot_file.format,
            old: Some(old),
            new: Some(new),
            adds: Vec::new(),
            removes: unique(removes),
            builder: Vec::new(),
        }),
    }
    Ok(rest)
}
