// SPDX-License-Identifier: LGPL-2.1-or-later
//! What sdbootutil writes into entries, and what they would lose by it: it makes the whole command line again from its
//! sources, and what stands nowhere in them is gone.

use super::format::read_lines;
use super::{at, text_of, FileChange};
use crate::host::boot::{BootFile, Format, Loader, Role};
use crate::plan::cmdline::format::{self, Problem};
use std::collections::BTreeSet;

/// What it cannot put into an entry: its `sed` gives these a meaning.
const MEANT: [char; 3] = ['|', '&', '\\'];

/// Whether its run is safe once these files have changed. `ours` goes from entries and comes into them: it is not lost.
pub(super) fn check(loader: &Loader, changes: &[FileChange], ours: &[&str]) -> Result<(), String> {
    let said = |boot_file: &BootFile, problem: Problem| format!("{}: {}", at(boot_file, problem.line), problem.message);
    let mut sources = Vec::new();
    for boot_file in loader.boot_files.iter().filter(|file| matches!(file.role, Role::Base | Role::Source)) {
        let changed = changes.iter().find(|change| change.path == boot_file.path);
        let text = match changed {
            Some(change) => change.new.as_deref().unwrap_or_default(),
            None => text_of(boot_file).map_err(|problem| said(boot_file, problem))?,
        };
        sources.push((boot_file, text));
    }
    let written = written(sources.iter().map(|(_, text)| *text));
    if let Some(parameter) = written.iter().find(|parameter| parameter.contains(MEANT)) {
        return Err(format!("sdbootutil cannot write '{parameter}' into an entry, because of its '|', '&' or '\\'"));
    }
    let stays: BTreeSet<&str> = written.iter().map(String::as_str).chain(ours.iter().copied()).collect();
    for entry in loader.boot_files.iter().filter(|file| file.role == Role::Generated) {
        let lines = format::lines(Format::Bls, text_of(entry).map_err(|problem| said(entry, problem))?);
        let there = lines.map_err(|problem| said(entry, problem))?.into_iter().flat_map(|line| line.parameters);
        let goes = |parameter: &String| !is_its_own(parameter) && !stays.contains(parameter.as_str());
        if let Some(lost) = there.into_iter().find(goes) {
            return Err(loss(&sources, entry, &lost));
        }
    }
    Ok(())
}

/// Why a parameter would go, and what to do.
fn loss(sources: &[(&BootFile, &str)], entry: &BootFile, lost: &str) -> String {
    let in_open_line = sources.iter().find_map(|(file, text)| {
        let (number, parameters) = read_lines::open_line(text)?;
        parameters.iter().any(|parameter| parameter == lost).then(|| at(file, number))
    });
    match in_open_line {
        Some(place) => format!(
            "{place}: has no line end, and sdbootutil leaves such a line out, so '{lost}' would go from every entry: end it \
             with a line end"
        ),
        None => format!(
            "/{}: '{lost}' stands in this entry alone, and sdbootutil would take it out: add it to /etc/kernel/cmdline, or \
             remove it from the entry",
            entry.path
        ),
    }
}

/// Drop-ins that it does not read, or not to their end.
pub(super) fn notes(loader: &Loader) -> Vec<String> {
    let base = loader.boot_files.iter().filter(|file| file.role == Role::Base);
    let open = base.filter_map(|file| Some((file, read_lines::open_line(text_of(file).ok()?)?)));
    let note = |(file, (number, parameters)): (&BootFile, (usize, Vec<String>))| {
        format!("{}: has no line end, so sdbootutil does not read {}", at(file, number), parameters.join(" "))
    };
    open.map(note).collect()
}

/// The parameters that it writes itself (`sedrootflags`).
fn is_its_own(parameter: &str) -> bool {
    ["root=", "rootflags=subvol=", "systemd.machine_id="].iter().any(|begin| parameter.starts_with(begin))
        || is_of_the_loader(parameter)
}

fn is_of_the_loader(parameter: &str) -> bool {
    parameter.starts_with("BOOT_IMAGE=") || parameter.starts_with("initrd=")
}

/// What it makes of its sources: what is before a parameter of the loader's is left out, and blanks are one blank each.
fn written<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<String> {
    let parts: Vec<String> = texts.map(|text| read_lines::lines(text).remove(0).parameters.join(" ")).collect();
    let mut all: Vec<String> = Vec::new();
    for word in parts.join(" ").split([' ', '\t']).filter(|word| !word.is_empty()) {
        all.push(word.to_owned());
    }
    let from = all.iter().rposition(|word| is_of_the_loader(word)).map_or(0, |at| at + 1);
    format::parameters(&all[from..].join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_was_seen() {
        // Seen with sdbootutil of August 2026 (`create_boot_options`, `sedrootflags`), root= and rootflags= left out.
        for (texts, line) in [
            (&["root=x splash=silent\n", "iommu=pt lab=1\n"][..], "root=x splash=silent iommu=pt lab=1"),
            (&["splash=silent", "iommu=pt\n"], "iommu=pt"),
            (&["quiet BOOT_IMAGE=/x initrd=/y systemd.machine_id=5f\nlast\n"], "systemd.machine_id=5f last"),
            (&["a=\"b  c\" d\n"], "a=\"b c\" d"),
        ] {
            assert_eq!(written(texts.iter().copied()).join(" "), line, "{texts:?}");
        }
    }
}
