// SPDX-License-Identifier: LGPL-2.1-or-later
//! Entries that Void's kernel hook has written since the last apply. It copies its `CMDLINE` into them, ours included, and nothing
//! of ours runs then: what of the source is ours is ours in them too.

use super::parameters_of;
use super::record::{Owned, Record};
use crate::host::boot::{BootFile, Format, Loader, Role};

/// What of an entry is ours although no apply has put it in; `None` if the hook has not made it since the last one.
pub(super) fn ours(loader: &Loader, entry: &BootFile, record: &Record) -> Option<Vec<Owned>> {
    let source = source_with_ours(loader, |source| record.boot_files.get(&source.key()).map(Vec::as_slice))?;
    let is_new = is_of_hook(entry) && !record.boot_files.contains_key(&entry.key());
    // Every entry that an apply finds is known from then on, so an entry that is not known is newer.
    let is_known = |other: &BootFile| is_of_hook(other) && record.boot_files.contains_key(&other.key());
    if !is_new || !loader.boot_files.iter().any(is_known) {
        return None;
    }
    let there = parameters_of(entry).ok()?.concat();
    let parameters: Vec<String> = source
        .iter()
        .flat_map(|owned| &owned.parameters)
        .filter(|parameter| there.contains(parameter))
        .cloned()
        .collect();
    (!parameters.is_empty()).then(|| vec![Owned { key: String::new(), parameters, before: None }])
}

/// The entries that are to be known, also where nothing in them is ours: those that a source of ours is the source of.
pub(super) fn known(loader: &Loader, owned: &[(String, Vec<Owned>)]) -> Vec<String> {
    let of = |source: &BootFile| owned.iter().find(|(key, _)| *key == source.key()).map(|(_, owned)| owned.as_slice());
    if source_with_ours(loader, of).is_none() {
        return Vec::new();
    }
    loader.boot_files.iter().filter(|file| is_of_hook(file)).map(BootFile::key).collect()
}

/// What is ours in the hook's source, if anything.
fn source_with_ours<'a>(loader: &Loader, of: impl Fn(&BootFile) -> Option<&'a [Owned]>) -> Option<&'a [Owned]> {
    let source = loader.boot_files.iter().find(|file| file.format == Format::VoidHook)?;
    of(source).filter(|owned| !owned.is_empty())
}

/// Whether an entry has such a name as the hook gives: `void-x86_64-6.12.41_1.conf`.
fn is_of_hook(file: &BootFile) -> bool {
    file.role == Role::Entry && file.path.rsplit('/').next().is_some_and(|name| name.starts_with("void-"))
}
